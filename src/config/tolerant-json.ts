/**
 * JSON as APISIX reads it, with lua-cjson, for its Admin API: control characters may stand in strings as they are,
 * numbers may begin with zeros, of several equal keys the last counts. What is wrong is said in that library's words.
 */

export type TolerantJson = { value: unknown } | { error: string }

/** As deep as lua-cjson goes. */
const maxDepth = 1000

/** Escapes of half a character, of which `JSON.parse` does not ask for the other half. */
const surrogate = /\\u[dD][89a-fA-F]/

/** Never throws. */
export function parseTolerantJson(text: string): TolerantJson {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return new Reader(text).document()
  }
  return isTooDeep(value) || surrogate.test(text) ? new Reader(text).document() : { value }
}

function isTooDeep(root: unknown): boolean {
  let level = [root].filter(isCompound)
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) return true
    level = level.flatMap((value) => Object.values(value)).filter(isCompound)
  }
  return false
}

const isCompound = (value: unknown): value is object => typeof value === 'object' && value !== null

/** The names of lua-cjson. */
type TokenType =
  | 'T_OBJ_BEGIN'
  | 'T_OBJ_END'
  | 'T_ARR_BEGIN'
  | 'T_ARR_END'
  | 'T_STRING'
  | 'T_NUMBER'
  | 'T_BOOLEAN'
  | 'T_NULL'
  | 'T_COLON'
  | 'T_COMMA'
  | 'T_END'

interface Token {
  type: TokenType
  value: unknown
  /** Where it begins, in UTF-16 units. */
  at: number
}

class JsonError extends Error {}

const marks: Readonly<Record<string, TokenType>> = {
  '{': 'T_OBJ_BEGIN',
  '}': 'T_OBJ_END',
  '[': 'T_ARR_BEGIN',
  ']': 'T_ARR_END',
  ':': 'T_COLON',
  ',': 'T_COMMA',
  '\0': 'T_END',
}
const words: readonly [string, TokenType, unknown][] = [
  ['true', 'T_BOOLEAN', true],
  ['false', 'T_BOOLEAN', false],
  ['null', 'T_NULL', null],
]
const number = /-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

class Reader {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): TolerantJson {
    try {
      const value = this.#value(this.#next('value'))
      const end = this.#next('the end')
      if (end.type !== 'T_END') this.#unexpected('the end', end.type, end.at)
      return { value }
    } catch (error) {
      if (!(error instanceof JsonError)) throw error
      return { error: error.message }
    }
  }

  #value(token: Token): unknown {
    switch (token.type) {
      case 'T_OBJ_BEGIN':
        return this.#object()
      case 'T_ARR_BEGIN':
        return this.#array()
      case 'T_STRING':
      case 'T_NUMBER':
      case 'T_BOOLEAN':
      case 'T_NULL':
        return token.value
      default:
        return this.#unexpected('value', token.type, token.at)
    }
  }

  #object(): Record<string, unknown> {
    this.#descend()
    const entries: [string, unknown][] = []
    let token = this.#next('object key string')
    if (token.type !== 'T_OBJ_END') {
      for (;;) {
        if (token.type !== 'T_STRING') this.#unexpected('object key string', token.type, token.at)
        const key = token.value as string
        const colon = this.#next('colon')
        if (colon.type !== 'T_COLON') this.#unexpected('colon', colon.type, colon.at)
        entries.push([key, this.#value(this.#next('value'))])
        token = this.#next('comma or object end')
        if (token.type === 'T_OBJ_END') break
        if (token.type !== 'T_COMMA') this.#unexpected('comma or object end', token.type, token.at)
        token = this.#next('object key string')
      }
    }
    this.#depth--
    return Object.fromEntries(entries)
  }

  #array(): unknown[] {
    this.#descend()
    const items: unknown[] = []
    let token = this.#next('value')
    if (token.type !== 'T_ARR_END') {
      for (;;) {
        items.push(this.#value(token))
        token = this.#next('comma or array end')
        if (token.type === 'T_ARR_END') break
        if (token.type !== 'T_COMMA') this.#unexpected('comma or array end', token.type, token.at)
        token = this.#next('value')
      }
    }
    this.#depth--
    return items
  }

  #descend(): void {
    if (++this.#depth > maxDepth) {
      throw new JsonError(
        `Found too many nested data structures (${this.#depth}) at character ${this.#bytesBefore(this.#at)}`,
      )
    }
  }

  #next(expected: string): Token {
    while (' \t\n\r'.includes(this.#text.charAt(this.#at)) && this.#at < this.#text.length) this.#at++
    const at = this.#at
    const char = this.#text.charAt(at)
    if (char === '') return { type: 'T_END', value: undefined, at }
    const mark = marks[char]
    if (mark !== undefined) {
      if (mark !== 'T_END') this.#at++
      return { type: mark, value: undefined, at }
    }
    if (char === '"') return { type: 'T_STRING', value: this.#string(expected), at }
    for (const [word, type, value] of words) {
      if (!this.#text.startsWith(word, at)) continue
      this.#at += word.length
      return { type, value, at }
    }
    if (char === '-' || (char >= '0' && char <= '9')) {
      number.lastIndex = at
      const [digits] = number.exec(this.#text) ?? []
      if (digits === undefined) return this.#unexpected(expected, 'invalid number', at)
      this.#at += digits.length
      return { type: 'T_NUMBER', value: Number(digits), at }
    }
    return this.#unexpected(expected, 'invalid token', at)
  }

  #string(expected: string): string {
    let value = ''
    let at = this.#at + 1
    for (;;) {
      const char = this.#text.charAt(at)
      if (char === '"') break
      if (char === '' || char === '\0') return this.#unexpected(expected, 'unexpected end of string', at)
      if (char !== '\\') {
        value += char
        at++
        continue
      }
      const letter = this.#text.charAt(at + 1)
      if (letter === 'u') {
        const unit = this.#unicode(at)
        if (unit === undefined) return this.#unexpected(expected, 'invalid unicode escape code', at)
        value += unit
        at += unit.length * 6
        continue
      }
      const meant = escapes[letter]
      if (meant === undefined) return this.#unexpected(expected, 'invalid escape code', at)
      value += meant
      at += 2
    }
    this.#at = at + 1
    return value
  }

  /** The character of one escape, or of the two that a character outside of the basic plane takes. */
  #unicode(at: number): string | undefined {
    const [, first, second] =
      /^\\u([\da-f]{4})(?:\\u([\da-f]{4}))?/i.exec(this.#text.slice(at, at + 12)) ?? []
    if (first === undefined) return undefined
    const high = Number.parseInt(first, 16)
    if (high < 0xd800 || high > 0xdfff) return String.fromCharCode(high)
    const low = second === undefined ? 0 : Number.parseInt(second, 16)
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff) return undefined
    return String.fromCharCode(high, low)
  }

  #unexpected(expected: string, found: string, at: number): never {
    throw new JsonError(`Expected ${expected} but found ${found} at character ${this.#bytesBefore(at) + 1}`)
  }

  /** lua-cjson counts bytes. */
  #bytesBefore(at: number): number {
    return Buffer.byteLength(this.#text.slice(0, at))
  }
}
