/**
 * The plain part of YAML that configurations are nearly always written in, read about twenty times as fast as by the
 * library and with a tenth of its memory: 100 000 routes are a matter of a second then, and not of twenty.
 *
 * It reads block maps and lists, flow ones within a line, plain and quoted scalars within a line, and whole-line
 * comments. At anything else (anchors, tags, block scalars, escapes, several documents, a key that comes twice, any
 * mistake) it gives up, and the library reads the text from the start. So it may refuse what YAML allows, but what it
 * accepts it must read as the library does; a test compares the two.
 */

import { reportAll, type WantedNode } from './position.ts'

/** The value of a text, or undefined when it is not plain enough. */
export function readPlainYaml(text: string): Record<string, unknown> | undefined {
  return readDocument(text, undefined, () => {})
}

/**
 * Calls `found` with the offset of every wanted key and value; a place below a missing one is reported at the nearest
 * value around it. False when the text is not plain enough: what was reported then does not count.
 */
export function locatePlainYaml(text: string, wanted: WantedNode, found: Found): boolean {
  return readDocument(text, wanted, found) !== undefined
}

type Found = (index: number, offset: number) => void

function readDocument(
  text: string,
  wanted: WantedNode | undefined,
  found: Found,
): Record<string, unknown> | undefined {
  // An assignment to such a key would not make a property.
  if (text.includes('__proto__')) return undefined
  try {
    return new PlainReader(text, found).document(wanted)
  } catch (error) {
    if (error === notPlain) return undefined
    throw error
  }
}

const notPlain = new Error('not plain YAML')

const key = /^(?:"([^"\\\x00-\x1f\x7f]*)"|([A-Za-z_/$][\w./$-]*)):(?: +(.*))?$/
const doubleQuoted = /^"[^"\\\x00-\x1f\x7f]*"$/
const singleQuoted = /^'[^'\x00-\x1f\x7f]*'$/
/** In block context: no `: `, no `#`, nothing at its start that means something else. */
const plain = /^(?:-?[A-Za-z0-9_/$(])(?:[^\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff:#]|:(?=[^\s:]))*$/
const flowToken =
  /\s*(?:([{}[\],])|"([^"\\\x00-\x1f\x7f]*)"|'([^'\x00-\x1f\x7f]*)'|(-?[A-Za-z0-9_/$(][\w./$()*+@%=<>~-]*))/y
const flowColon = /:(?= |$)/y

const constants = new Map<string, unknown>([
  ...['null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
])
const integer = /^(?:0|-?[1-9]\d{0,14})$/
const decimal = /^-?\d{1,15}\.\d{1,15}$/
/** Everything else that YAML 1.2 takes for a number: leading zeros, other bases, exponents, very long ones. */
const otherNumber = /^[-+]?(?:\d+|0o[0-7]+|0x[0-9a-fA-F]+|(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?)$/

const maxDepth = 100

class PlainReader {
  readonly #text: string
  readonly #found: Found
  #at = 0
  #depth = 0
  /** Of the current line; -1 at the end. */
  #indent = -1
  /** Of the current line, without indentation and trailing white space. */
  #content = ''
  /** Where that begins in the text. */
  #offset = 0

  constructor(text: string, found: Found) {
    this.#text = text
    this.#found = found
  }

  document(wanted: WantedNode | undefined): Record<string, unknown> {
    this.#next()
    if (wanted !== undefined) {
      for (const index of wanted.keys) this.#found(index, this.#offset)
      reportAll(wanted, this.#offset, this.#found)
    }
    const value = this.#indent === 0 && !this.#isItem() ? this.#map(0, wanted) : undefined
    if (value === undefined || this.#indent !== -1) throw notPlain
    return value
  }

  /** Goes on to the next line that is neither empty nor a comment. */
  #next(): void {
    const text = this.#text
    while (this.#at < text.length) {
      const newline = text.indexOf('\n', this.#at)
      const end = newline < 0 ? text.length : newline
      let start = this.#at
      while (text.charCodeAt(start) === 0x20) start++
      const indent = start - this.#at
      this.#at = end + 1
      const content = text.slice(start, end).trimEnd()
      if (content === '' || content.startsWith('#')) continue
      if (indent === 0 && (content.startsWith('---') || content.startsWith('...'))) throw notPlain
      this.#indent = indent
      this.#content = content
      this.#offset = start
      return
    }
    this.#indent = -1
    this.#content = ''
  }

  #isItem(): boolean {
    return this.#content.startsWith('- ') || this.#content === '-'
  }

  /** The block that begins at the current line, which stands at `indent`. */
  #block(indent: number, wanted: WantedNode | undefined): unknown {
    if (++this.#depth > maxDepth) throw notPlain
    if (wanted !== undefined) reportAll(wanted, this.#offset, this.#found)
    const value = this.#isItem() ? this.#list(indent, wanted) : this.#map(indent, wanted)
    this.#depth--
    return value
  }

  #map(indent: number, wanted: WantedNode | undefined): Record<string, unknown> {
    const map: Record<string, unknown> = {}
    while (this.#indent === indent) {
      const match = key.exec(this.#content)
      if (match === null) throw notPlain
      const name = match[1] ?? match[2]!
      if (Object.hasOwn(map, name) || constants.has(name)) throw notPlain
      const rest = match[3] ?? ''
      const child = wanted?.children.get(name)
      const end = this.#offset + this.#content.length
      if (child !== undefined) for (const index of child.keys) this.#found(index, this.#offset)
      this.#next()
      if (rest !== '') map[name] = this.#inline(rest, indent, end - rest.length, child)
      else if (this.#indent > indent) map[name] = this.#block(this.#indent, child)
      // A list may stand at the same column as the key that it belongs to.
      else if (this.#indent === indent && this.#isItem()) map[name] = this.#block(indent, child)
      else {
        map[name] = null
        this.#report(child, end)
      }
    }
    if (this.#indent > indent) throw notPlain
    return map
  }

  #list(indent: number, wanted: WantedNode | undefined): unknown[] {
    const list: unknown[] = []
    while (this.#indent === indent && this.#isItem()) {
      const rest = this.#content.slice(1).trimStart()
      const child = wanted?.children.get(list.length)
      const skipped = this.#content.length - rest.length
      const start = this.#offset + skipped
      if (rest === '') {
        this.#next()
        if (this.#indent > indent) list.push(this.#item(child))
        else {
          list.push(null)
          this.#report(child, start, true)
        }
      } else if (key.test(rest) || rest.startsWith('- ') || rest === '-') {
        // The item begins on the line of its dash, and goes on at the column after it.
        this.#indent = indent + skipped
        this.#content = rest
        this.#offset = start
        list.push(this.#item(child))
      } else {
        this.#next()
        this.#report(child, start, true)
        list.push(this.#inline(rest, indent, start, child))
      }
    }
    if (this.#indent > indent) throw notPlain
    return list
  }

  /** An item of a list that is a block, which begins at the current line. */
  #item(wanted: WantedNode | undefined): unknown {
    this.#report(wanted, this.#offset, true)
    return this.#block(this.#indent, wanted)
  }

  /** Items of lists have no key: it is taken to stand where they do. */
  #report(wanted: WantedNode | undefined, offset: number, item = false): void {
    if (wanted === undefined) return
    if (item) for (const index of wanted.keys) this.#found(index, offset)
    reportAll(wanted, offset, this.#found)
  }

  /** A value that ends with its line. The current line is the one after it. */
  #inline(text: string, indent: number, offset: number, wanted: WantedNode | undefined): unknown {
    if (this.#indent > indent) throw notPlain
    this.#report(wanted, offset)
    if (text.startsWith('{') || text.startsWith('['))
      return new FlowReader(text, offset, this.#found).value(wanted)
    if (doubleQuoted.test(text) || singleQuoted.test(text)) return text.slice(1, -1)
    if (!plain.test(text)) throw notPlain
    return typed(text)
  }
}

class FlowReader {
  readonly #text: string
  /** Where that begins in the whole text. */
  readonly #base: number
  readonly #found: Found
  #at = 0
  #depth = 0
  /** Where the current token begins in the whole text. */
  #offset = 0
  #punctuation: string | undefined
  #scalar: unknown
  #name: string | undefined

  constructor(text: string, base: number, found: Found) {
    this.#text = text
    this.#base = base
    this.#found = found
  }

  value(wanted: WantedNode | undefined): unknown {
    this.#token()
    const value = this.#value(wanted)
    if (this.#at !== this.#text.length) throw notPlain
    return value
  }

  #token(): void {
    flowToken.lastIndex = this.#at
    const match = flowToken.exec(this.#text)
    if (match === null) throw notPlain
    this.#offset = this.#base + flowToken.lastIndex - match[0].trimStart().length
    this.#at = flowToken.lastIndex
    this.#punctuation = match[1]
    this.#name = match[2] ?? match[3] ?? match[4]
    this.#scalar = match[4] === undefined ? this.#name : typed(match[4])
  }

  /** The value that begins with the current token. */
  #value(wanted: WantedNode | undefined): unknown {
    if (++this.#depth > maxDepth) throw notPlain
    if (wanted !== undefined) reportAll(wanted, this.#offset, this.#found)
    let value = this.#scalar
    if (this.#punctuation === '{') value = this.#map(wanted)
    else if (this.#punctuation === '[') value = this.#list(wanted)
    else if (this.#punctuation !== undefined) throw notPlain
    this.#depth--
    return value
  }

  #map(wanted: WantedNode | undefined): Record<string, unknown> {
    const map: Record<string, unknown> = {}
    this.#token()
    if (this.#punctuation === '}') return map
    for (;;) {
      const name = this.#name
      if (name === undefined || name !== this.#scalar || Object.hasOwn(map, name)) throw notPlain
      flowColon.lastIndex = this.#at
      if (!flowColon.test(this.#text)) throw notPlain
      const child = wanted?.children.get(name)
      if (child !== undefined) for (const index of child.keys) this.#found(index, this.#offset)
      this.#at++
      this.#token()
      map[name] = this.#value(child)
      this.#token()
      if (this.#punctuation === '}') return map
      if (this.#punctuation !== ',') throw notPlain
      this.#token()
    }
  }

  #list(wanted: WantedNode | undefined): unknown[] {
    const list: unknown[] = []
    this.#token()
    if (this.#punctuation === ']') return list
    for (;;) {
      const child = wanted?.children.get(list.length)
      if (child !== undefined) for (const index of child.keys) this.#found(index, this.#offset)
      list.push(this.#value(child))
      this.#token()
      if (this.#punctuation === ']') return list
      if (this.#punctuation !== ',') throw notPlain
      this.#token()
    }
  }
}

/** A plain scalar by the core schema of YAML 1.2. */
function typed(text: string): unknown {
  const constant = constants.get(text)
  if (constant !== undefined) return constant
  const code = text.charCodeAt(0)
  const maybeNumber = code === 0x2d || (code >= 0x30 && code <= 0x39)
  if (!maybeNumber) return text
  if (integer.test(text) || decimal.test(text)) return Number(text)
  if (otherNumber.test(text)) throw notPlain
  return text
}
