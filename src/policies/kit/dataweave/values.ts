/**
 * The values of the subset, and how they turn into one another.
 * (Documentation of the gateway: "DataWeave Support in Flex Gateway Policies"; of the language: "Type Coercion".)
 */
import { DataWeaveProblem } from './problem.ts'

/** Objects of a payload and of literals are plain; those of a request are views, which look up what is asked for. */
export type Value =
  | null
  | boolean
  | string
  | number
  | Buffer
  | readonly Value[]
  | View
  | { readonly [key: string]: Value }

/** An object of which single members are cheap and all of them are not. */
export abstract class View {
  /** Null when there is no such member. */
  abstract get(key: string): Value
  abstract entries(): [key: string, value: Value][]
}

/** Characters that a text may grow to. */
export const longestText = 1024 * 1024

export function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

export function isObject(value: Value): value is View | { readonly [key: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)
}

/** `Null`, `String` and so on, as the language calls them. */
export function typeOf(value: Value): string {
  if (value === null) return 'Null'
  if (isArray(value)) return 'Array'
  if (Buffer.isBuffer(value)) return 'Binary'
  if (typeof value === 'object') return 'Object'
  return `${typeof value}`.replace(/^./, (letter) => letter.toUpperCase())
}

export function member(value: View | { readonly [key: string]: Value }, key: string): Value {
  if (value instanceof View) return value.get(key)
  return Object.hasOwn(value, key) ? (value[key] ?? null) : null
}

export function entriesOf(value: View | { readonly [key: string]: Value }): [string, Value][] {
  return value instanceof View ? value.entries() : Object.entries(value)
}

/** As a string is taken from it: numbers, booleans and bytes turn into one. @throws DataWeaveProblem */
export function stringOf(value: Value, offset: number): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  throw new DataWeaveProblem(`a String is needed, and this is ${articled(value)}`, offset)
}

/** @throws DataWeaveProblem */
export function booleanOf(value: Value, offset: number): boolean {
  if (value === true || value === 'true') return true
  if (value === false || value === 'false') return false
  throw new DataWeaveProblem(`a Boolean is needed, and this is ${articled(value)}`, offset)
}

export function equals(left: Value, right: Value): boolean {
  if (left === right) return true
  if (isArray(left)) {
    return (
      isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => equals(item, right[index] as Value))
    )
  }
  if (Buffer.isBuffer(left)) return Buffer.isBuffer(right) && left.equals(right)
  if (!isObject(left) || !isObject(right)) return false
  const entries = entriesOf(left)
  const others = new Map(entriesOf(right))
  return (
    entries.length === others.size &&
    entries.every(([key, value]) => others.has(key) && equals(value, others.get(key) as Value))
  )
}

/** What JSON can say of it. */
export function plain(value: Value): unknown {
  if (isArray(value)) return value.map(plain)
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (!isObject(value)) return value
  return Object.fromEntries(entriesOf(value).map(([key, item]) => [key, plain(item)]))
}

export function articled(value: Value): string {
  const type = typeOf(value)
  return `${/^[AO]/.test(type) ? 'an' : 'a'} ${type}`
}
