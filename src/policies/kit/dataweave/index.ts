export { payloadOf, requestScope, responseScope } from './exchange-scope.ts'
export {
  type Expression,
  expression,
  expressionIn,
  expressionProblem,
  textOrExpression,
  usualVocabulary,
} from './expression.ts'
export { DataWeaveProblem } from './problem.ts'
export { authenticationMembers, requestAttributes, responseAttributes, type Scope } from './scope.ts'
export { type Value, View } from './values.ts'
