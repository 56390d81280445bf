/**
 * Reads JSON (RFC 8259) as it comes in and says at the first byte that is too much that it is. Nothing is built but the
 * names of open objects, and those only where equal ones are refused.
 */

/** -1: as many as there are. Lengths are in UTF-16 units, as JavaScript and Java count them. */
export interface JsonLimits {
  /** Objects and lists inside of each other; the outermost one counts. */
  readonly depth: number
  readonly entries: number
  readonly nameLength: number
  readonly elements: number
  readonly stringLength: number
  /** Whether an object may have two entries of one name. */
  readonly allowsEqualNames: boolean
}

/** What comes next. */
const wants = {
  value: 0,
  /** A value, or the end of the list. */
  element: 1,
  /** A name, or the end of the object. */
  entry: 2,
  name: 3,
  colon: 4,
  comma: 5,
  text: 6,
  escape: 7,
  hex: 8,
  /** The rest of a character of several bytes. */
  continuation: 9,
  word: 10,
  minus: 11,
  zero: 12,
  integer: 13,
  point: 14,
  fraction: 15,
  exponent: 16,
  exponentSign: 17,
  exponentDigits: 18,
} as const

/** States in which a number could end. */
const endsNumber = (state: number) =>
  state === wants.zero ||
  state === wants.integer ||
  state === wants.fraction ||
  state === wants.exponentDigits

const words: Readonly<Record<string, string>> = { t: 'rue', f: 'alse', n: 'ull' }

const malformed = 'it is not JSON'
const notUtf8 = 'it is not UTF-8'

export class JsonScanner {
  readonly #limits: JsonLimits
  #state: number = wants.value
  /** Entries or elements of the open ones, from the outermost; objects below zero: -1 is none yet. */
  readonly #open: number[] = []
  /** Names of the open objects; null for lists. */
  readonly #names: (Set<string> | null)[] = []
  readonly #keepsNames: boolean
  #isName = false
  /** UTF-16 units of the text that is read. */
  #length = 0
  #name = ''
  /** The name has escapes or characters beyond ASCII, so that its bytes are not what it says. */
  #isCoded = false
  /** Bytes of a character, or digits of an escape, that are still to come. */
  #missing = 0
  /** Bounds of the next continuation byte. */
  #low = 0x80
  #high = 0xbf
  #word = ''
  #problem: string | undefined

  constructor(limits: JsonLimits) {
    this.#limits = limits
    this.#keepsNames = !limits.allowsEqualNames
  }

  /**
   * @param piece one character a byte
   * @returns what is wrong, as the end of a sentence; from then on always the same
   */
  write(piece: string): string | undefined {
    this.#problem ??= this.#read(piece)
    return this.#problem
  }

  /** @returns what is wrong with the whole, now that there is no more of it */
  end(): string | undefined {
    if (endsNumber(this.#state)) this.#state = wants.comma
    if (this.#state !== wants.comma || this.#open.length > 0) this.#problem ??= malformed
    return this.#problem
  }

  #read(piece: string): string | undefined {
    const size = piece.length
    let at = 0
    while (at < size) {
      if (this.#state === wants.text) {
        const end = this.#plainText(piece, at)
        if (this.#keepsNames && this.#isName) this.#name += piece.slice(at, end)
        at = end
        if (at === size) break
      }
      const problem = this.#take(piece.charCodeAt(at))
      if (problem !== undefined) return problem
      at++
    }
    // Also where the text goes on in a piece that may never come.
    return this.#state === wants.text ? this.#lengthProblem() : undefined
  }

  /** Counts ASCII that stands for itself. @returns where it ends */
  #plainText(piece: string, from: number): number {
    let at = from
    for (; at < piece.length; at++) {
      const byte = piece.charCodeAt(at)
      if (byte === 0x22 || byte === 0x5c || byte < 0x20 || byte > 0x7f) break
    }
    this.#length += at - from
    return at
  }

  #take(byte: number): string | undefined {
    switch (this.#state) {
      case wants.text:
        return this.#takeText(byte)
      case wants.escape:
        return this.#takeEscape(byte)
      case wants.hex:
        return this.#takeHex(byte)
      case wants.continuation:
        return this.#takeContinuation(byte)
      case wants.word:
        if (byte !== this.#word.charCodeAt(0)) return malformed
        this.#word = this.#word.slice(1)
        if (this.#word === '') this.#state = wants.comma
        return undefined
    }
    if (this.#state >= wants.minus) {
      const next = afterDigit(this.#state, byte)
      if (next >= 0) {
        this.#state = next
        return undefined
      }
      if (!endsNumber(this.#state)) return malformed
      this.#state = wants.comma
    }
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return undefined
    return this.#takeToken(byte)
  }

  #takeToken(byte: number): string | undefined {
    switch (this.#state) {
      case wants.colon:
        this.#state = wants.value
        return byte === 0x3a ? undefined : malformed
      case wants.comma:
        return this.#afterValue(byte)
      case wants.entry:
        if (byte === 0x7d) return this.#close()
        return this.#beginName(byte)
      case wants.name:
        return this.#beginName(byte)
      case wants.element:
        if (byte === 0x5d) return this.#close()
        return this.#count() ?? this.#beginValue(byte)
      default:
        return this.#beginValue(byte)
    }
  }

  #afterValue(byte: number): string | undefined {
    const open = this.#open.at(-1)
    if (open === undefined) return malformed
    if (byte === 0x2c) {
      this.#state = open < 0 ? wants.name : wants.value
      return open < 0 ? undefined : this.#count()
    }
    return byte === (open < 0 ? 0x7d : 0x5d) ? this.#close() : malformed
  }

  #beginValue(byte: number): string | undefined {
    switch (byte) {
      case 0x7b:
        this.#state = wants.entry
        return this.#descend(-1)
      case 0x5b:
        this.#state = wants.element
        return this.#descend(0)
      case 0x22:
        this.#beginText(false)
        return undefined
      case 0x2d:
        this.#state = wants.minus
        return undefined
      case 0x30:
        this.#state = wants.zero
        return undefined
    }
    if (byte >= 0x31 && byte <= 0x39) {
      this.#state = wants.integer
      return undefined
    }
    const word = words[String.fromCharCode(byte)]
    if (word === undefined) return malformed
    this.#state = wants.word
    this.#word = word
    return undefined
  }

  #beginName(byte: number): string | undefined {
    if (byte !== 0x22) return malformed
    this.#beginText(true)
    this.#name = ''
    this.#isCoded = false
    return this.#count()
  }

  #beginText(isName: boolean): void {
    this.#isName = isName
    this.#length = 0
    this.#state = wants.text
  }

  #takeText(byte: number): string | undefined {
    if (byte === 0x22) return this.#endText()
    if (byte < 0x20) return malformed
    if (this.#keepsNames && this.#isName) {
      this.#name += String.fromCharCode(byte)
      this.#isCoded = true
    }
    if (byte === 0x5c) {
      this.#state = wants.escape
      return undefined
    }
    // RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
    if (byte < 0xc2 || byte > 0xf4) return notUtf8
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
    this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80
    this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf
    this.#length += byte < 0xf0 ? 1 : 2
    this.#state = wants.continuation
    return undefined
  }

  #takeContinuation(byte: number): string | undefined {
    if (byte < this.#low || byte > this.#high) return notUtf8
    this.#low = 0x80
    this.#high = 0xbf
    this.#keep(byte)
    if (--this.#missing === 0) this.#state = wants.text
    return undefined
  }

  #takeEscape(byte: number): string | undefined {
    this.#keep(byte)
    this.#length++
    this.#state = wants.text
    if (byte === 0x75) {
      this.#state = wants.hex
      this.#missing = 4
    } else if (!'"\\/bfnrt'.includes(String.fromCharCode(byte))) return malformed
    return undefined
  }

  #takeHex(byte: number): string | undefined {
    const letter = byte | 0x20
    if (!((byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66))) return malformed
    this.#keep(byte)
    if (--this.#missing === 0) this.#state = wants.text
    return undefined
  }

  #keep(byte: number): void {
    if (this.#keepsNames && this.#isName) this.#name += String.fromCharCode(byte)
  }

  #endText(): string | undefined {
    const problem = this.#lengthProblem()
    this.#state = this.#isName ? wants.colon : wants.comma
    if (problem !== undefined || !this.#isName || !this.#keepsNames) return problem
    const names = this.#names.at(-1)!
    const name = this.#isCoded ? decoded(this.#name) : this.#name
    if (names.has(name)) return 'two entries of an object have one name'
    names.add(name)
    return undefined
  }

  #lengthProblem(): string | undefined {
    const { nameLength, stringLength } = this.#limits
    const limit = this.#isName ? nameLength : stringLength
    if (limit < 0 || this.#length <= limit) return undefined
    return this.#isName ? 'the name of an entry is too long' : 'a string is too long'
  }

  #descend(count: number): string | undefined {
    const { depth } = this.#limits
    this.#open.push(count)
    if (this.#keepsNames) this.#names.push(count < 0 ? new Set() : null)
    return depth >= 0 && this.#open.length > depth ? 'it is nested too deeply' : undefined
  }

  #close(): undefined {
    this.#open.pop()
    if (this.#keepsNames) this.#names.pop()
    this.#state = wants.comma
  }

  /** One more entry or element of what is open. */
  #count(): string | undefined {
    const top = this.#open.length - 1
    const count = this.#open[top]!
    const { entries, elements } = this.#limits
    if (count < 0) {
      this.#open[top] = count - 1
      return entries >= 0 && -count > entries ? 'an object has too many entries' : undefined
    }
    this.#open[top] = count + 1
    return elements >= 0 && count >= elements ? 'an array has too many elements' : undefined
  }
}

/** @returns the state after one more character of a number; -1: it does not belong to the number */
function afterDigit(state: number, byte: number): number {
  const isDigit = byte >= 0x30 && byte <= 0x39
  const isExponent = (byte | 0x20) === 0x65
  switch (state) {
    case wants.minus:
      return byte === 0x30 ? wants.zero : isDigit ? wants.integer : -1
    case wants.zero:
    case wants.integer:
      if (isDigit && state === wants.integer) return state
      return byte === 0x2e ? wants.point : isExponent ? wants.exponent : -1
    case wants.point:
      return isDigit ? wants.fraction : -1
    case wants.fraction:
      return isDigit ? state : isExponent ? wants.exponent : -1
    case wants.exponent:
      if (byte === 0x2b || byte === 0x2d) return wants.exponentSign
      return isDigit ? wants.exponentDigits : -1
    default:
      return isDigit ? wants.exponentDigits : -1
  }
}

/** What the bytes of a name say; they were found to be sound. */
function decoded(bytes: string): string {
  return JSON.parse(`"${Buffer.from(bytes, 'latin1').toString()}"`) as string
}
