/** Evaluates paths into JSON. Values are what `JSON.parse` gives. */
import type { Filter, Operator, PathStep, Selector, Term } from '../config/json-path.ts'

/** Levels of nesting that are looked into; deeper, cjson would not have parsed the value either. */
const deepest = 1000

/** Every value that the path leads to, in the order of the document. */
export function queryJson(root: unknown, steps: readonly PathStep[]): unknown[] {
  let values = [root]
  for (const { deep, selectors } of steps) {
    const from = deep ? withDescendants(values) : values
    values = []
    for (const value of from) for (const selector of selectors) select(value, selector, values)
  }
  return values
}

function withDescendants(values: readonly unknown[]): unknown[] {
  const all: unknown[] = []
  const visit = (value: unknown, depth: number) => {
    if (!isContainer(value) || depth > deepest) return
    all.push(value)
    for (const child of Object.values(value)) visit(child, depth + 1)
  }
  for (const value of values) visit(value, 0)
  return all
}

/** A member of a list or of a map. */
export interface JsonPlace {
  readonly holder: Record<string | number, unknown>
  readonly key: string | number
}

/** Where the values stand that a path leads to, in the order of the document; not the root itself. */
export function jsonPlaces(root: unknown, steps: readonly PathStep[]): JsonPlace[] {
  const last = steps.at(-1)
  if (last === undefined) return []
  const before = queryJson(root, steps.slice(0, -1))
  const places: JsonPlace[] = []
  for (const holder of last.deep ? withDescendants(before) : before) {
    if (!isContainer(holder)) continue
    for (const selector of last.selectors)
      for (const key of keysOf(holder, selector)) places.push({ holder, key })
  }
  return places
}

function select(value: unknown, selector: Selector, out: unknown[]): void {
  if (!isContainer(value)) return
  for (const key of keysOf(value, selector)) out.push(value[key])
}

function keysOf(value: Record<string | number, unknown>, selector: Selector): (string | number)[] {
  switch (selector.kind) {
    case 'all':
      return Object.keys(value)
    case 'name':
      return !Array.isArray(value) && Object.hasOwn(value, selector.name) ? [selector.name] : []
    case 'index': {
      if (!Array.isArray(value)) return []
      const at = selector.index < 0 ? value.length + selector.index : selector.index
      return at >= 0 && at < value.length ? [at] : []
    }
    case 'slice': {
      if (!Array.isArray(value)) return []
      const { from, to, step } = selector
      const keys: number[] = []
      const end = placeIn(value, to ?? value.length)
      for (let i = placeIn(value, from); i < end; i += step) keys.push(i)
      return keys
    }
    case 'filter':
      return Object.keys(value).filter((key) => holds(value[key], selector.filter))
  }
}

function placeIn(list: readonly unknown[], index: number): number {
  return Math.min(Math.max(index < 0 ? list.length + index : index, 0), list.length)
}

function holds(value: unknown, filter: Filter): boolean {
  switch (filter.kind) {
    case 'and':
      return filter.sides.every((side) => holds(value, side))
    case 'or':
      return filter.sides.some((side) => holds(value, side))
    case 'present': {
      const found = termValue(value, filter.term)
      return found !== undefined && found !== false
    }
    case 'compare':
      return compare(termValue(value, filter.left), filter.operator, termValue(value, filter.right))
  }
}

function termValue(element: unknown, term: Term): unknown {
  if (term.kind === 'literal') return term.value
  let value = element
  for (const step of term.steps) {
    if (!isContainer(value)) return undefined
    if (step === 'length' && Array.isArray(value)) value = value.length
    else if (!Object.hasOwn(value, step)) return undefined
    else value = value[step]
  }
  return value
}

/** What is absent compares with nothing, and an order exists between two numbers or two texts only. */
function compare(left: unknown, operator: Operator, right: unknown): boolean {
  if (left === undefined || right === undefined) return false
  if (operator === '==') return left === right
  if (operator === '!=') return left !== right
  const comparable =
    (typeof left === 'number' && typeof right === 'number') ||
    (typeof left === 'string' && typeof right === 'string')
  if (!comparable) return false
  const [a, b] = [left as number, right as number]
  switch (operator) {
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '>=':
      return a >= b
  }
}

function isContainer(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null
}
