/**
 * Conditions on variables as Apache APISIX writes them, in `vars` of routes and in `filter` of policies:
 * `[["arg_name", "==", "json"], ["OR", ["arg_age", ">", 18], ["remote_addr", "ipmatch", "10.0.0.0/8"]]]`.
 * They are read here as lua-resty-expr reads them, with its words for what is wrong.
 */
import { addressProblem } from './addresses.ts'
import { isBodyPath } from './json-path.ts'
import type { PathSegment } from './problem.ts'
import { compilePattern, inBytes, type TextPattern } from './regular-expression.ts'

export type Expression = Comparison | Combination

export interface Comparison {
  kind: 'comparison'
  variable: string
  negated: boolean
  test: Test
}

export interface Combination {
  kind: 'combination'
  /** How the members come together; `!AND` and `!OR` are the opposites of what they combine to. */
  logic: Logic
  members: readonly Expression[]
}

export type Logic = 'AND' | 'OR' | '!AND' | '!OR'

export type Test =
  | { operator: '==' | '~=' | 'has'; operand: Operand }
  /** NaN where the operand is no number: such a comparison never holds. */
  | { operator: '>' | '>=' | '<' | '<='; operand: number }
  | { operator: '~~' | '~*'; pattern: TextPattern }
  | { operator: 'in'; operands: readonly Operand[] }
  | { operator: 'ipmatch'; addresses: readonly string[] }

/** Texts have one character a byte, as values of variables have. `null` is what an absent variable has. */
export type Operand = string | number | boolean | null | object

export interface ExpressionProblem {
  problem: string
  /** Where in the value. */
  path: PathSegment[]
}

/** What a variable is compared with when it has no operand. */
const operators: readonly string[] = ['==', '~=', '>', '>=', '<', '<=', '~~', '~*', 'in', 'has', 'ipmatch']
const logics: readonly string[] = ['AND', 'OR', '!AND', '!OR']

const deepestNesting = 100

/** Reads a condition as it stands in a configuration. An empty list is a condition that always holds. */
export function parseExpression(value: unknown): { expression: Expression } | ExpressionProblem {
  try {
    return { expression: readWhole(value) }
  } catch (error) {
    if (error instanceof Refusal) return { problem: error.message, path: error.path }
    throw error
  }
}

/** The names of the variables that an expression reads, each once. */
export function expressionVariables(expression: Expression): string[] {
  const names = new Set<string>()
  const collect = (part: Expression) => {
    if (part.kind === 'comparison') names.add(part.variable)
    else part.members.forEach(collect)
  }
  collect(expression)
  return [...names]
}

/** A number as Lua reads it; NaN when it is none. */
export function luaNumber(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value !== 'string') return Number.NaN
  const match = luaNumeral.exec(value)
  if (match === null) return Number.NaN
  const [, sign, decimal, hexadecimal, binary] = match
  const size =
    decimal !== undefined
      ? Number(decimal)
      : hexadecimal !== undefined
        ? Number.parseInt(hexadecimal, 16)
        : binary !== undefined
          ? Number.parseInt(binary, 2)
          : Number.POSITIVE_INFINITY
  return sign === '-' ? -size : size
}

const luaNumeral =
  /^[\t-\r ]*([+-]?)(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|0x([\da-f]+)|0b([01]+)|inf(?:inity)?)[\t-\r ]*$/i

class Refusal extends Error {
  readonly path: PathSegment[]

  constructor(message: string, path: PathSegment[]) {
    super(message)
    this.path = path
  }
}

function isEmptyMap(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  )
}

function readWhole(value: unknown): Expression {
  if (!Array.isArray(value)) throw new Refusal('missing argument rule', [])
  if (value.length === 0) return { kind: 'combination', logic: 'AND', members: [] }
  // Lua has one empty table for both, and JSON that it wrote may say either.
  if (isEmptyMap(value[0])) throw new Refusal('rule too short', [0])
  if (!Array.isArray(value[0]) && logicOf(value[0]) === undefined) {
    throw new Refusal('rule should be wrapped inside brackets', [])
  }
  return readRule(value, [])
}

function readRule(rule: unknown, path: PathSegment[]): Expression {
  if (!Array.isArray(rule) || path.length > deepestNesting) throw new Refusal('invalid expression', path)
  if (rule.length === 0) throw new Refusal('rule too short', path)
  if (Array.isArray(rule[0])) return combination('AND', rule, 0, path)
  const logic = logicOf(rule[0])
  if (logic === undefined) return readComparison(rule, path)
  if (rule.length < 3) throw new Refusal('rule too short', path)
  return combination(logic, rule, 1, path)
}

function combination(
  logic: Logic,
  rules: readonly unknown[],
  from: number,
  path: PathSegment[],
): Combination {
  const members = rules.slice(from).map((rule, index) => readRule(rule, [...path, from + index]))
  return { kind: 'combination', logic, members }
}

function logicOf(value: unknown): Logic | undefined {
  const upper = typeof value === 'string' ? value.toUpperCase() : ''
  return logics.includes(upper) ? (upper as Logic) : undefined
}

function readComparison(rule: readonly unknown[], path: PathSegment[]): Comparison {
  const negated = rule.length === 4
  if (negated && rule[1] !== '!') throw new Refusal("bad 'not' expression", path)
  const [variable] = rule
  const written = rule[negated ? 2 : 1]
  let operand = rule[negated ? 3 : 2]
  if (typeof variable !== 'string' || (typeof written !== 'string' && typeof written !== 'number')) {
    throw new Refusal('invalid expression', path)
  }
  if (variable.startsWith('post_arg.') && !isBodyPath(variable.slice('post_arg.'.length))) {
    throw new Refusal('invalid expression', path)
  }
  let operator = String(written).toLowerCase()
  // `["arg_a", "b"]` means `["arg_a", "==", "b"]`, and `["arg_a", "~="]` compares with nothing.
  if (operand === undefined && !operators.includes(operator)) {
    operand = operator
    operator = '=='
  }
  if (!operators.includes(operator)) throw new Refusal(`invalid operator '${operator}'`, path)
  return { kind: 'comparison', variable, negated, test: readTest(operator, operand ?? null, path) }
}

function readTest(operator: string, operand: unknown, path: PathSegment[]): Test {
  switch (operator) {
    case '==':
    case '~=':
    case 'has':
      return { operator, operand: comparable(operand) }
    case '>':
    case '>=':
    case '<':
    case '<=':
      return { operator, operand: luaNumber(operand) }
    case 'in':
      return { operator, operands: Array.isArray(operand) ? operand.map(comparable) : [] }
    case 'ipmatch':
      return { operator, addresses: readAddresses(operand, path) }
    default:
      return { operator: operator as '~~' | '~*', pattern: readPattern(operator, operand, path) }
  }
}

function comparable(operand: unknown): Operand {
  return typeof operand === 'string' ? inBytes(operand) : (operand as Operand)
}

function readAddresses(operand: unknown, path: PathSegment[]): string[] {
  const addresses: unknown[] = Array.isArray(operand) ? operand : [operand]
  if (addresses.length === 0 || operand === null || operand === '')
    throw new Refusal('invalid ip address', path)
  return addresses.map((address) => {
    const problem = addressProblem(address)
    if (problem !== undefined) throw new Refusal(problem, path)
    return address as string
  })
}

function readPattern(operator: string, operand: unknown, path: PathSegment[]): TextPattern {
  if (typeof operand !== 'string' && typeof operand !== 'number')
    throw new Refusal('invalid expression', path)
  const pattern = compilePattern(String(operand), operator === '~*')
  if ('problem' in pattern) throw new Refusal(`the regular expression ${pattern.problem}`, path)
  return pattern
}
