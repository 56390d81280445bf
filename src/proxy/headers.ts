/**
 * Field names and lines that are checked once and written many times.
 * A head that leaves the gateway consists of lines that a parser validated or that were made here (RFC 9110 5.5, 9112 5).
 */
import type { HeaderBlock, HeaderName } from './exchange.ts'
import { isFieldValue, isToken, tokenLower } from './http1/chars.ts'

/** A field that a policy or a setting tried to write and that would break the message. */
export class InvalidHeaderError extends Error {
  readonly code = 'invalid_header'
}

/**
 * Hash of a field name, the same that head parsers compute while they read it.
 * Different names can share a hash: compare the name too.
 */
export function nameHash(lower: string): number {
  let hash = 0
  for (let i = 0; i < lower.length; i++)
    hash = (Math.imul(hash, 31) + (tokenLower[lower.charCodeAt(i)] ?? 0)) | 0
  return hash
}

const names = new Map<string, HeaderName>()
const hashes = new Map<string, number>()
/** Names come from configuration and policy code; the bound only guards against a policy that makes them up per request. */
const namesKept = 4096

/** `nameHash`, remembered: policies ask for the same few names with every request. */
export function knownHash(lower: string): number {
  let hash = hashes.get(lower)
  if (hash === undefined) {
    hash = nameHash(lower)
    if (hashes.size < namesKept) hashes.set(lower, hash)
  }
  return hash
}

/** @throws InvalidHeaderError when the name is not a token (RFC 9110 5.1). */
export function headerName(text: string): HeaderName {
  const known = names.get(text)
  if (known) return known
  if (!isToken(text)) throw new InvalidHeaderError(`invalid header name ${JSON.stringify(text)}`)
  const lower = text.toLowerCase()
  const tellsOfClient = lower === 'x-real-ip' || lower.startsWith('x-forwarded-')
  const name = { text, lower, hash: nameHash(lower), isReserved: reserved.has(lower), tellsOfClient }
  if (names.size < namesKept) names.set(text, name)
  return name
}

/**
 * Fields that frame a message, belong to one connection, or say where a request goes: the engine writes them, and one
 * that a policy added could make two readers see two messages (RFC 9112 11.2).
 */
const reserved = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** A name that a policy may write. @throws InvalidHeaderError */
export function writableName(name: HeaderName | string): HeaderName {
  const known = typeof name === 'string' ? headerName(name) : name
  if (known.isReserved) throw new InvalidHeaderError(`the header ${known.text} is the gateway’s own to write`)
  return known
}

/** The value as it may be written. @throws InvalidHeaderError on CR, LF, NUL and other controls (RFC 9110 5.5). */
export function checkedValue(name: HeaderName, value: string): string {
  if (!isFieldValue(value)) throw new InvalidHeaderError(`invalid value for header ${name.text}`)
  return value
}

/** Fields whose values are numbers, put together in one piece with each answer: limits and what is left of them. */
export class NumberFields {
  readonly names: readonly HeaderName[]
  /** What stands before each value. */
  readonly #leads: readonly string[]

  /** @throws InvalidHeaderError */
  constructor(names: readonly string[]) {
    this.names = names.map(writableName)
    this.#leads = this.names.map(({ text }) => `${text}: `)
  }

  /** As many values as there are names, in their order. */
  block(...values: readonly number[]): HeaderBlock {
    let text = ''
    for (let i = 0; i < values.length; i++) text += `${this.#leads[i]}${values[i]}\r\n`
    return { text, names: this.names }
  }
}

/** Field lines with names that others chose, which therefore are not remembered. @throws InvalidHeaderError */
export function fieldLines(fields: Iterable<readonly [name: string, value: string]>): string {
  let text = ''
  for (const [name, value] of fields) {
    if (!isToken(name)) throw new InvalidHeaderError(`invalid header name ${JSON.stringify(name)}`)
    if (!isFieldValue(value)) throw new InvalidHeaderError(`invalid value for header ${name}`)
    text += `${name}: ${value}\r\n`
  }
  return text
}

/** Field lines made at plan time. @throws InvalidHeaderError */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): HeaderBlock {
  let text = ''
  const blockNames: HeaderName[] = []
  for (const [fieldName, value] of fields) {
    const name = writableName(fieldName)
    text += `${name.text}: ${checkedValue(name, value)}\r\n`
    if (!blockNames.some((known) => known.lower === name.lower)) blockNames.push(name)
  }
  return { text, names: blockNames }
}
