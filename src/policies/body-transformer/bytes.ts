import type { Value } from './values.ts'

/** A value of JSON or YAML with texts of one character a byte. */
export function inBytes(value: unknown): Value {
  if (typeof value === 'string') return Buffer.from(value).toString('latin1')
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value
  if (Array.isArray(value)) return value.map(inBytes)
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object') return undefined
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [inBytes(name) as string, inBytes(entry)]),
  )
}
