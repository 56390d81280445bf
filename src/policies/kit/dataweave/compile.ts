/** Tree -> closure, made once when the plan is built. What can be known to be wrong is found here. */
import { bounded, functionNamed, functions } from './functions.ts'
import { DataWeaveProblem } from './problem.ts'
import type { Scope } from './scope.ts'
import type { Node, Operator } from './syntax.ts'
import {
  articled,
  booleanOf,
  equals,
  isArray,
  isObject,
  member,
  stringOf,
  typeOf,
  type Value,
} from './values.ts'

export type Evaluate = (scope: Scope) => Value

/** What an expression may speak of. */
export interface Vocabulary {
  /** Members of `attributes`. */
  readonly attributes: readonly string[]
  /** Members of `authentication`. */
  readonly authentication: readonly string[]
  /** Members of `vars`; null: any. */
  readonly vars: readonly string[] | null
}

/** What it does speak of. */
export interface Reads {
  payload: boolean
  authentication: boolean
}

/** A tree that is deeper would run out of stack while it is worked out. */
const deepest = 600

/** @throws DataWeaveProblem */
export function compile(node: Node, vocabulary: Vocabulary, reads: Reads): Evaluate {
  return new Compiler(vocabulary, reads).node(node)
}

class Compiler {
  private readonly vocabulary: Vocabulary
  private readonly reads: Reads
  private depth = 0

  constructor(vocabulary: Vocabulary, reads: Reads) {
    this.vocabulary = vocabulary
    this.reads = reads
  }

  node(node: Node): Evaluate {
    if (++this.depth > deepest) throw new DataWeaveProblem('the expression nests too deep', node.offset)
    const evaluate = this.ofKind(node)
    this.depth--
    return evaluate
  }

  private ofKind(node: Node): Evaluate {
    switch (node.kind) {
      case 'literal': {
        const { value } = node
        return () => value
      }
      case 'array': {
        const items = node.items.map((item) => this.node(item))
        return (scope) => items.map((item) => item(scope))
      }
      case 'object':
        return this.object(node.entries)
      case 'variable':
        return this.variable(node.name, node.offset)
      case 'select':
        return this.select(node)
      case 'call':
        return this.call(node)
      case 'not': {
        refuseUnlessBoolean(node.of)
        const of = this.node(node.of)
        const { offset } = node.of
        return (scope) => !booleanOf(of(scope), offset)
      }
      case 'if': {
        refuseUnlessBoolean(node.test)
        const [test, then, otherwise] = [
          this.node(node.test),
          this.node(node.then),
          this.node(node.otherwise),
        ]
        const { offset } = node.test
        return (scope) => (booleanOf(test(scope), offset) ? then(scope) : otherwise(scope))
      }
      default:
        return this.binary(node)
    }
  }

  private object(entries: readonly (readonly [Node, Node])[]): Evaluate {
    const made = entries.map(([key, value]) => [this.node(key), this.node(value), key.offset] as const)
    return (scope) => {
      const object: Record<string, Value> = Object.create(null)
      for (const [key, value, offset] of made) object[stringOf(key(scope), offset)] = value(scope)
      return object
    }
  }

  private variable(name: string, offset: number): Evaluate {
    switch (name) {
      case 'attributes':
        return (scope) => scope.attributes
      case 'authentication':
        this.reads.authentication = true
        return (scope) => scope.authentication
      case 'vars':
        return (scope) => scope.vars
      case 'payload':
        this.reads.payload = true
        return (scope) => scope.payload
      default:
        throw new DataWeaveProblem(
          `there is no variable ${name}`,
          offset,
          functions.has(name)
            ? `${name} is a function: ${name}(...)`
            : 'there are attributes, authentication, payload and vars',
        )
    }
  }

  private select({ of, key, offset }: Extract<Node, { kind: 'select' }>): Evaluate {
    if (of.kind === 'variable' && key.kind === 'literal') this.refuseUnknown(of.name, key)
    const object = this.node(of)
    const named = this.node(key)
    if (of.kind === 'select' && isHeaders(of)) {
      // Names of fields are the same in upper case.
      return (scope) => {
        const wanted = named(scope)
        return selected(object(scope), typeof wanted === 'string' ? wanted.toLowerCase() : wanted, offset)
      }
    }
    return (scope) => selected(object(scope), named(scope), offset)
  }

  private refuseUnknown(variable: string, { value, offset }: Extract<Node, { kind: 'literal' }>): void {
    const known = (this.vocabulary as unknown as Record<string, readonly string[] | null | undefined>)[
      variable
    ]
    if (known === undefined || known === null || typeof value !== 'string' || known.includes(value)) return
    const hint = known.length === 0 ? undefined : `there are ${known.join(', ')}`
    throw new DataWeaveProblem(`${variable} has no ${value} here`, offset, hint)
  }

  private call({ name, given, offset }: Extract<Node, { kind: 'call' }>): Evaluate {
    const found = functionNamed(name)
    if (found === undefined) {
      throw new DataWeaveProblem(
        `there is no function ${name} in the subset that gateways know`,
        offset,
        `there are ${[...functions.keys()].join(', ')}`,
      )
    }
    const { least, most } = found
    if (given.length < least || given.length > most) {
      const wanted = least === most ? String(least) : `${least} to ${most}`
      throw new DataWeaveProblem(`${name} takes ${wanted} arguments, not ${given.length}`, offset)
    }
    const values = given.map((node) => this.node(node))
    return (scope) =>
      found.call(
        values.map((value) => value(scope)),
        offset,
      )
  }

  private binary({
    operator,
    left: first,
    right: second,
    offset,
  }: Extract<Node, { kind: 'binary' }>): Evaluate {
    if (operator === 'and' || operator === 'or') {
      refuseUnlessBoolean(first)
      refuseUnlessBoolean(second)
    }
    const left = this.node(first)
    const right = this.node(second)
    switch (operator) {
      case 'and':
        return (scope) => booleanOf(left(scope), first.offset) && booleanOf(right(scope), second.offset)
      case 'or':
        return (scope) => booleanOf(left(scope), first.offset) || booleanOf(right(scope), second.offset)
      case 'default':
        return (scope) => left(scope) ?? right(scope)
      case '==':
        return (scope) => equals(left(scope), right(scope))
      case '!=':
        return (scope) => !equals(left(scope), right(scope))
      case '++':
        return (scope) => joined(left(scope), right(scope), offset)
      default:
        return (scope) => isOrdered(operator, left(scope), right(scope), offset)
    }
  }
}

function isHeaders({ of, key }: Extract<Node, { kind: 'select' }>): boolean {
  return (
    of.kind === 'variable' && of.name === 'attributes' && key.kind === 'literal' && key.value === 'headers'
  )
}

/** A text where a condition has to be is nearly always a function whose operands are further away than it looks. */
function refuseUnlessBoolean(node: Node): void {
  if (node.kind !== 'literal' && node.kind !== 'array' && node.kind !== 'object') return
  if (node.kind === 'literal' && typeof node.value === 'boolean') return
  throw new DataWeaveProblem(
    `a Boolean is needed, and this is ${node.kind === 'literal' ? articled(node.value) : `an ${node.kind}`}`,
    node.offset,
    'and, or and == bind more than functions between their operands: (a contains b) or (c contains d)',
  )
}

/** What is not there is null; so is a member of null. */
function selected(of: Value, key: Value, offset: number): Value {
  if (of === null) return null
  if (isObject(of) && typeof key === 'string') return member(of, key)
  if (isArray(of) && typeof key === 'string') {
    return of.filter((item) => isObject(item)).map((item) => member(item, key))
  }
  if ((isArray(of) || typeof of === 'string') && typeof key === 'number') {
    return of[key < 0 ? of.length + key : key] ?? null
  }
  throw new DataWeaveProblem(`${articled(of)} has no members that ${articled(key)} could name`, offset)
}

/** Null is an empty text, as everywhere that a text is wanted of it. */
function joined(left: Value, right: Value, offset: number): Value {
  if (isArray(left) && isArray(right)) return [...left, ...right]
  if (isArray(left) || isArray(right) || isObject(left) || isObject(right)) {
    throw new DataWeaveProblem(`++ does not join ${articled(left)} and ${articled(right)}`, offset)
  }
  return bounded(
    (left === null ? '' : stringOf(left, offset)) + (right === null ? '' : stringOf(right, offset)),
    offset,
  )
}

function isOrdered(operator: Operator, left: Value, right: Value, offset: number): boolean {
  const comparable = typeof left === 'number' || typeof left === 'string'
  if (!comparable || typeof left !== typeof right) {
    throw new DataWeaveProblem(`${operator} does not compare ${typeOf(left)} with ${typeOf(right)}`, offset)
  }
  const other = right as typeof left
  switch (operator) {
    case '<':
      return left < other
    case '<=':
      return left <= other
    case '>':
      return left > other
    default:
      return left >= other
  }
}
