/**
 * JSON in its one canonical form (RFC 8785): members in the order of their names, no space, numbers and strings as
 * ECMAScript writes them. Two sides that hold the same value hold the same bytes, and so the same hash.
 */
import { hash } from 'node:crypto'

/** @throws TypeError for what JSON cannot say: a number that is not finite, a function */
export function canonicalJson(value: unknown): string {
  const parts: string[] = []
  write(value, parts)
  return parts.join('')
}

/** SHA-256 in hexadecimal digits. */
export function sha256(bytes: string | Uint8Array): string {
  return hash('sha256', bytes)
}

function write(value: unknown, parts: string[]): void {
  if (Array.isArray(value)) writeList(value, parts)
  else if (typeof value === 'object' && value !== null) writeObject(value as Record<string, unknown>, parts)
  else parts.push(scalar(value))
}

function writeList(list: readonly unknown[], parts: string[]): void {
  let mark = '['
  for (const item of list) {
    parts.push(mark)
    write(item, parts)
    mark = ','
  }
  parts.push(mark === '[' ? '[]' : ']')
}

/** Members that are undefined are left out, as `JSON.stringify` does. */
function writeObject(object: Record<string, unknown>, parts: string[]): void {
  let mark = '{'
  for (const name of Object.keys(object).sort()) {
    if (object[name] === undefined) continue
    parts.push(mark, JSON.stringify(name), ':')
    write(object[name], parts)
    mark = ','
  }
  parts.push(mark === '{' ? '{}' : '}')
}

function scalar(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new TypeError('JSON has only finite numbers')
  const text = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`JSON has no ${typeof value}`)
  return text
}
