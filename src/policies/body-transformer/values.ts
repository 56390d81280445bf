/**
 * Values as the template language has them. Texts have one character a byte; `undefined` is nil, `null` a null of JSON,
 * lists and maps are tables.
 */
export type Value = undefined | null | boolean | number | string | readonly Value[] | ValueMap | Multipart
export interface ValueMap {
  readonly [name: string]: Value
}

/** A body in parts, which templates may add to. */
export interface Multipart {
  readonly isMultipart: true
  set(name: string, value: string): void
  remove(name: string): void
  text(): string
}

/** Why a template could not be filled in, in a few words. */
export class RenderError extends Error {}

/** Bytes that one text may have while a template is filled in. */
const largestText = 64 * 1024 * 1024

export const isTruthy = (value: Value): boolean => value !== undefined && value !== false

export function typeName(value: Value): string {
  if (value === undefined) return 'nil'
  if (value === null) return 'userdata'
  return typeof value === 'object' ? 'table' : typeof value
}

export function member(table: Value, key: Value): Value {
  if (typeof table === 'object' && table !== null) {
    if (Array.isArray(table))
      return typeof key === 'number' ? (table as readonly Value[])[key - 1] : undefined
    if (isMultipart(table)) return undefined
    if (typeof key !== 'string' && typeof key !== 'number') return undefined
    const name = String(key)
    return Object.hasOwn(table, name) ? (table as ValueMap)[name] : undefined
  }
  throw new RenderError(`attempt to index ${shown(key)} of a ${typeName(table)} value`)
}

/** Changes what was decoded for this one message; nil takes a member away. */
export function setMember(table: Value, key: Value, value: Value): void {
  if (typeof table !== 'object' || table === null || isMultipart(table))
    throw new RenderError(`attempt to index a ${typeName(table)} value`)
  if (Array.isArray(table)) {
    const list = table as Value[]
    if (typeof key !== 'number' || !Number.isInteger(key) || key < 1 || key > list.length + 1)
      throw new RenderError('a list has no such member')
    if (value === undefined && key >= list.length) list.length = key - 1
    else list[key - 1] = value
  } else if (typeof key !== 'string' && typeof key !== 'number')
    throw new RenderError(`a ${typeName(key)} value is no name of a member`)
  else if (value === undefined) delete (table as Record<string, Value>)[String(key)]
  else
    Object.defineProperty(table, String(key), { value, enumerable: true, configurable: true, writable: true })
}

export function isMultipart(value: Value): value is Multipart {
  return typeof value === 'object' && value !== null && 'isMultipart' in value && value.isMultipart === true
}

export function concatenate(left: Value, right: Value): string {
  const text = textOperand(left) + textOperand(right)
  if (text.length > largestText) throw new RenderError('a text is too long')
  return text
}

function textOperand(value: Value): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberText(value)
  throw new RenderError(`attempt to concatenate a ${typeName(value)} value`)
}

export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (/^-?0x[0-9a-f]+$/i.test(text)) return text.startsWith('-') ? -Number(text.slice(1)) : Number(text)
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined
}

export function arithmetic(operator: string, left: Value, right: Value): number {
  const a = numberOf(left)
  const b = numberOf(right)
  if (a === undefined || b === undefined) {
    const wrong = a === undefined ? left : right
    throw new RenderError(`attempt to perform arithmetic on a ${typeName(wrong)} value`)
  }
  switch (operator) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return a - Math.floor(a / b) * b
    default:
      return a ** b
  }
}

export function isLess(left: Value, right: Value): boolean {
  if (typeof left === 'number' && typeof right === 'number') return left < right
  if (typeof left === 'string' && typeof right === 'string') return left < right
  throw new RenderError(`attempt to compare ${typeName(left)} with ${typeName(right)}`)
}

export function lengthOf(value: Value): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length
  if (typeof value !== 'object' || value === null || isMultipart(value))
    throw new RenderError(`attempt to get length of a ${typeName(value)} value`)
  let length = 0
  while (Object.hasOwn(value, String(length + 1))) length++
  return length
}

/** As a template writes it. */
export function written(value: Value): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberText(value)
  if (typeof value === 'boolean') return String(value)
  throw new RenderError('a table cannot be written as it is: use _escape_json')
}

/** Fourteen digits, as Lua writes numbers; whole ones with all that they have. */
export function numberText(value: number): string {
  if (Number.isSafeInteger(value)) return String(value)
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  const size = Math.abs(value)
  if (size >= 1e-4 && size < 1e14) return String(Number(value.toPrecision(14)))
  return value
    .toExponential(13)
    .replace(/\.?0*e/, 'e')
    .replace(/e([+-])(\d)$/, 'e$10$2')
}

/** As an element of HTML or the value of an attribute may have it. */
export function htmlText(text: string): string {
  return /[&<>"'/]/.test(text) ? text.replace(/[&<>"'/]/g, (character) => htmlEntities[character]!) : text
}

const htmlEntities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '/': '&#47;',
}

function shown(key: Value): string {
  return typeof key === 'string' ? `field '${key}'` : typeof key === 'number' ? `field ${key}` : 'a field'
}
