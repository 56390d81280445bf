/** Conditions on variables (`vars`, `filter`) as functions of an exchange. Nothing is parsed or looked up when they run. */
import {
  type Combination,
  type Expression,
  luaNumber,
  parseExpression,
  type Test,
} from '../config/expression.ts'
import { matchesPattern } from '../config/regular-expression.ts'
import { AddressSet } from './addresses.ts'
import type { Exchange } from './exchange.ts'
import { compileValue, type Value } from './variables.ts'

export type Condition = (exchange: Exchange) => boolean

/** Never throws when it is evaluated. */
export function compileExpression(expression: Expression): Condition {
  return compileWith(expression, compileValue)
}

/** As `compileExpression`, of something else that has variables: `getter` gives a getter for one of them. */
export function compileWith<X>(
  expression: Expression,
  getter: (name: string) => (x: X) => Value,
): (x: X) => boolean {
  if (expression.kind === 'combination') return compileCombination(expression, getter)
  const variable = getter(expression.variable)
  const holds = compileTest(expression.test)
  return expression.negated ? (x) => !holds(variable(x)) : (x) => holds(variable(x))
}

/** A condition as it stands in a configuration that was checked. @throws when it is none */
export function compileCondition(vars: unknown): Condition {
  return compileExpression(checkedExpression(vars))
}

/** An expression as it stands in a configuration that was checked. @throws when it is none */
export function checkedExpression(vars: unknown): Expression {
  const parsed = parseExpression(vars)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed.expression
}

function compileCombination<X>(
  { logic, members }: Combination,
  getter: (name: string) => (x: X) => Value,
): (x: X) => boolean {
  const conditions = members.map((member) => compileWith(member, getter))
  switch (logic) {
    case 'AND':
      return conditions.length === 1 ? conditions[0]! : (x) => all(conditions, x)
    case 'OR':
      return (x) => some(conditions, x)
    case '!AND':
      return (x) => !all(conditions, x)
    case '!OR':
      return (x) => !some(conditions, x)
  }
}

function all<X>(conditions: readonly ((x: X) => boolean)[], x: X): boolean {
  for (const condition of conditions) if (!condition(x)) return false
  return true
}

function some<X>(conditions: readonly ((x: X) => boolean)[], x: X): boolean {
  for (const condition of conditions) if (condition(x)) return true
  return false
}

/** What lua-resty-expr compares, and how: a number on the right makes a number of the left, a text does not. */
function compileTest(test: Test): (value: Value) => boolean {
  switch (test.operator) {
    case '==':
      return equals(test.operand)
    case '~=': {
      const equal = equals(test.operand)
      return (value) => !equal(value)
    }
    case '>': {
      const { operand } = test
      return (value) => luaNumber(value) > operand
    }
    case '>=': {
      const { operand } = test
      return (value) => luaNumber(value) >= operand
    }
    case '<': {
      const { operand } = test
      return (value) => luaNumber(value) < operand
    }
    case '<=': {
      const { operand } = test
      return (value) => luaNumber(value) <= operand
    }
    case '~~':
    case '~*': {
      const { pattern } = test
      return (value) => {
        const text = textOf(value)
        return text !== undefined && matchesPattern(pattern, text)
      }
    }
    case 'in': {
      const operands: ReadonlySet<unknown> = new Set(test.operands)
      return (value) => value !== undefined && operands.has(value)
    }
    case 'has': {
      const { operand } = test
      return (value) => Array.isArray(value) && operand !== null && value.includes(operand)
    }
    case 'ipmatch': {
      const addresses = new AddressSet(test.addresses)
      return (value) => typeof value === 'string' && addresses.has(value)
    }
  }
}

function equals(operand: unknown): (value: Value) => boolean {
  if (operand === null) return (value) => value === undefined
  if (typeof operand === 'number') return (value) => luaNumber(value) === operand
  return (value) => value === operand
}

/** The text that an expression is searched in; undefined where there is nothing to search. */
function textOf(value: Value): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || value === true ? String(value) : undefined
}
