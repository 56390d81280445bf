import { parseExpression } from '../../config/expression.ts'

/** What is wrong with a condition on variables, in APISIX's words; undefined when nothing is. */
export function conditionFinding(vars: unknown): string | undefined {
  const parsed = parseExpression(vars)
  return 'problem' in parsed ? parsed.problem : undefined
}
