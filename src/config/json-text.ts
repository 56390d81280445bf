/**
 * What `JSON.parse` does not tell: where things stand in a text, which keys come twice, and what is wrong with the
 * syntax without quoting the text (it may hold secrets).
 */
import { reportAll, type WantedNode } from './position.ts'

export interface JsonScan {
  syntaxError?: { offset: number; message: string }
  duplicateKeys: { offset: number; key: string }[]
}

/** Nesting beyond this is refused: it would overflow the stack of whoever walks the value. */
const maxDepth = 200

class JsonSyntaxError extends Error {
  readonly offset: number

  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

/**
 * Reads a JSON text (RFC 8259) from end to end. `found` is called with the offset of every wanted key and value;
 * a place below a missing one is reported at the nearest value around it.
 */
export function scanJson(
  text: string,
  wanted?: WantedNode,
  found: (index: number, offset: number) => void = () => {},
): JsonScan {
  const scan: JsonScan = { duplicateKeys: [] }
  try {
    new JsonScanner(text, scan, found).document(wanted)
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error
    scan.syntaxError = { offset: error.offset, message: error.message }
  }
  return scan
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

class JsonScanner {
  readonly #text: string
  readonly #scan: JsonScan
  readonly #found: (index: number, offset: number) => void
  #at = 0

  constructor(text: string, scan: JsonScan, found: (index: number, offset: number) => void) {
    this.#text = text
    this.#scan = scan
    this.#found = found
  }

  document(wanted: WantedNode | undefined): void {
    this.#space()
    if (wanted !== undefined) for (const index of wanted.keys) this.#found(index, this.#at)
    this.#value(wanted, 0)
    this.#space()
    if (this.#at < this.#text.length) this.#fail('there is text after the end of the value')
  }

  #value(wanted: WantedNode | undefined, depth: number): void {
    const start = this.#at
    if (wanted !== undefined) reportAll(wanted, start, this.#found)
    if (depth > maxDepth) this.#fail('the nesting is too deep')
    switch (this.#text.charCodeAt(start)) {
      case 0x7b:
        this.#object(wanted, depth)
        break
      case 0x5b:
        this.#array(wanted, depth)
        break
      case 0x22:
        this.#string()
        break
      case 0x74:
        this.#word('true')
        break
      case 0x66:
        this.#word('false')
        break
      case 0x6e:
        this.#word('null')
        break
      default:
        number.lastIndex = start
        if (!number.test(this.#text)) this.#fail('a value is expected here')
        this.#at = number.lastIndex
    }
  }

  #object(wanted: WantedNode | undefined, depth: number): void {
    const keys: string[] = []
    let many: Set<string> | undefined
    this.#at++
    this.#space()
    if (this.#take(0x7d)) return
    for (;;) {
      const keyAt = this.#at
      if (this.#text.charCodeAt(keyAt) !== 0x22) this.#fail('a key in double quotes is expected here')
      const key = this.#string()
      if (many === undefined ? keys.includes(key) : many.has(key)) {
        this.#scan.duplicateKeys.push({ offset: keyAt, key })
      }
      if (many !== undefined) many.add(key)
      else if (keys.push(key) > 32) many = new Set(keys)
      this.#space()
      if (!this.#take(0x3a)) this.#fail('a colon is expected here')
      this.#space()
      const child = wanted?.children.get(key)
      if (child !== undefined) for (const index of child.keys) this.#found(index, keyAt)
      this.#value(child, depth + 1)
      this.#space()
      if (this.#take(0x7d)) return
      if (!this.#take(0x2c)) this.#fail('a comma or a closing brace is expected here')
      this.#space()
    }
  }

  #array(wanted: WantedNode | undefined, depth: number): void {
    this.#at++
    this.#space()
    if (this.#take(0x5d)) return
    for (let index = 0; ; index++) {
      const child = wanted?.children.get(index)
      if (child !== undefined) for (const key of child.keys) this.#found(key, this.#at)
      this.#value(child, depth + 1)
      this.#space()
      if (this.#take(0x5d)) return
      if (!this.#take(0x2c)) this.#fail('a comma or a closing bracket is expected here')
      this.#space()
    }
  }

  #string(): string {
    const start = this.#at
    let escaped = false
    for (let at = start + 1; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at)
      if (code === 0x22) {
        this.#at = at + 1
        const raw = this.#text.slice(start + 1, at)
        return escaped ? this.#unescape(start, at + 1) : raw
      }
      if (code === 0x5c) {
        escaped = true
        at++
      } else if (code < 0x20) {
        if (code === 0x0a || code === 0x0d) return this.#fail('this string is not closed on its line')
        this.#at = at
        return this.#fail('a control character must be escaped inside a string')
      }
    }
    return this.#fail('this string is not closed')
  }

  #unescape(start: number, end: number): string {
    try {
      return JSON.parse(this.#text.slice(start, end))
    } catch {
      this.#at = start
      return this.#fail('this string has an escape that JSON does not know')
    }
  }

  #word(word: string): void {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value is expected here')
    this.#at += word.length
  }

  #take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false
    this.#at++
    return true
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #fail(message: string): never {
    throw new JsonSyntaxError(message, this.#at)
  }
}
