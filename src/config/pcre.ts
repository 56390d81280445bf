/**
 * Reads regular expressions as operators write them for APISIX: PCRE's, over bytes or, as with its option UTF, over characters. Everything that means the same in
 * JavaScript is translated, so that `$`, `.`, `\s`, `[[:alpha:]]` or `(?i)` match what they match there; what has no
 * counterpart is a problem, rather than read differently.
 */

import {
  byteClass,
  characterClass,
  complement,
  inAnyCase,
  lastByte,
  lastCharacter,
  property,
  type Range,
  written,
} from './character-set.ts'

/** A part of an expression, in JavaScript's terms. */
export type Part =
  /** A character, a class, an assertion or a reference: something that stands for itself. */
  | { kind: 'atom'; text: string }
  | { kind: 'sequence'; items: readonly Part[] }
  | { kind: 'choice'; branches: readonly Part[] }
  /** `open` is `(`, `(?:`, `(?=`, `(?!`, `(?<=` or `(?<!`. */
  | { kind: 'group'; open: string; body: Part }
  | { kind: 'repetition'; item: Part; least: number; most: number; lazy: boolean }

export interface Reading {
  part: Part
  /** It refers back to a group, so that it needs the flag `i` where case is to be ignored. */
  refersBack: boolean
}

export class PatternProblem extends Error {}

/**
 * @param text one character a byte, unless it is read by characters
 * @throws PatternProblem
 */
export function readPattern(text: string, ignoreCase: boolean, byCharacter = false): Reading {
  return new PatternReader(text, ignoreCase, byCharacter).read()
}

export const startOfText = '^'

interface Options {
  ignoreCase: boolean
  multiline: boolean
  dotAll: boolean
  extended: boolean
}

const deepestNesting = 200

const space: readonly Range[] = [
  [9, 13],
  [32, 32],
]
const blank: readonly Range[] = [
  [9, 9],
  [32, 32],
]
const lineEnds: readonly Range[] = [
  [10, 13],
  [0x85, 0x85],
]
const digit: readonly Range[] = [[0x30, 0x39]]
const upper: readonly Range[] = [[0x41, 0x5a]]
const lower: readonly Range[] = [[0x61, 0x7a]]
const word: readonly Range[] = [...digit, ...upper, [0x5f, 0x5f], ...lower]
const posixClasses: Readonly<Record<string, readonly Range[]>> = {
  alnum: [...digit, ...upper, ...lower],
  alpha: [...upper, ...lower],
  ascii: [[0, 0x7f]],
  blank,
  cntrl: [
    [0, 0x1f],
    [0x7f, 0x7f],
  ],
  digit,
  graph: [[0x21, 0x7e]],
  lower,
  print: [[0x20, 0x7e]],
  punct: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x5b, 0x60],
    [0x7b, 0x7e],
  ],
  space,
  upper,
  word,
  xdigit: [...digit, [0x41, 0x46], [0x61, 0x66]],
}
const horizontal: readonly Range[] = [...blank, [0xa0, 0xa0]]
/** PCRE's own, without its option UCP: `\\d`, `\\w` and `\\s` are ASCII's even where a text is read by characters. */
const escapedClasses: Readonly<Record<string, { bytes: readonly Range[]; characters: readonly Range[] }>> = {
  d: { bytes: digit, characters: digit },
  w: { bytes: word, characters: word },
  s: { bytes: space, characters: space },
  h: {
    bytes: horizontal,
    characters: [
      ...horizontal,
      [0x1680, 0x1680],
      [0x180e, 0x180e],
      [0x2000, 0x200a],
      [0x202f, 0x202f],
      [0x205f, 0x205f],
      [0x3000, 0x3000],
    ],
  },
  v: { bytes: lineEnds, characters: [...lineEnds, [0x2028, 0x2029]] },
}
const controls: Readonly<Record<string, number>> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 }

class PatternReader {
  private at = 0
  private depth = 0
  private groups = 0
  private readonly names = new Map<string, number>()
  private highestReference = 0
  private options: Options
  private readonly text: string
  private readonly byCharacter: boolean
  /** The largest code of what it matches. */
  private readonly last: number

  constructor(text: string, ignoreCase: boolean, byCharacter: boolean) {
    this.text = text
    this.byCharacter = byCharacter
    this.last = byCharacter ? lastCharacter : lastByte
    this.options = { ignoreCase, multiline: false, dotAll: false, extended: false }
  }

  read(): Reading {
    const part = this.choice()
    if (this.at < this.text.length) throw new PatternProblem('has a closing parenthesis too many')
    if (this.highestReference > this.groups) throw noSuchGroup()
    return { part, refersBack: this.highestReference > 0 }
  }

  private choice(): Part {
    const outer = this.options
    const branches: Part[] = []
    do branches.push(this.sequence())
    while (this.take('|'))
    // `(?i)` holds to the end of the group that it stands in.
    this.options = outer
    return branches.length === 1 ? branches[0]! : { kind: 'choice', branches }
  }

  private sequence(): Part {
    const items: Part[] = []
    while (this.at < this.text.length && this.text[this.at] !== '|' && this.text[this.at] !== ')') {
      const item = this.item()
      if (item !== null) items.push(this.repeated(item))
    }
    return { kind: 'sequence', items }
  }

  /** Null for what matches nothing by itself: a comment, or a change of options. */
  private item(): Part | null {
    const { multiline, dotAll, extended } = this.options
    const character = this.next()!
    if (extended && /\s/.test(character)) return null
    if (extended && character === '#') {
      const end = this.text.indexOf('\n', this.at)
      this.at = end === -1 ? this.text.length : end + 1
      return null
    }
    switch (character) {
      case '(':
        return this.group()
      case '[':
        return atom(this.bracket())
      case '.':
        return atom(this.noneOf(dotAll ? [] : lineFeed))
      case '^':
        return atom(multiline ? '(?<![^\\n])' : startOfText)
      case '$':
        return atom(multiline ? '(?![^\\n])' : endOfText)
      case '\\':
        return this.escape()
      case '*':
      case '+':
      case '?':
        throw new PatternProblem(`has a ${character} with nothing in front that it could repeat`)
      default:
        return this.literal(character)
    }
  }

  private repeated(item: Part): Part {
    let part = item
    for (;;) {
      while (this.options.extended && /\s/.test(this.text[this.at] ?? '')) this.at++
      const range = this.quantifier()
      if (range === null) return part
      const [least, most] = range
      if (most < least) throw new PatternProblem('has a repetition whose limits are in the wrong order')
      if (this.take('+')) throw new PatternProblem('has a possessive repetition, which there is not here')
      const lazy = this.take('?')
      if (part.kind !== 'atom' && part.kind !== 'group') part = { kind: 'group', open: '(?:', body: part }
      part = { kind: 'repetition', item: part, least, most, lazy }
    }
  }

  private quantifier(): [least: number, most: number] | null {
    if (this.take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.take('?')) return [0, 1]
    const match = this.takeMatch(/\{(\d{1,5})(?:(,)(\d{0,5}))?\}/y)
    if (match === null) return null
    const least = Number(match[1])
    if (match[2] === undefined) return [least, least]
    return [least, match[3] === '' ? Number.POSITIVE_INFINITY : Number(match[3])]
  }

  private group(): Part | null {
    if (this.takeMatch(/\?#[^)]*\)/y) !== null) return null
    const settings = this.takeMatch(/\?([imsx]*)(?:-([imsx]+))?([:)])/y)
    if (settings !== null) {
      const outer = this.options
      this.options = withOptions(outer, settings[1]!, settings[2] ?? '')
      if (settings[3] === ')') return null
      const body = this.closed('(?:')
      this.options = outer
      return body
    }
    const look = this.takeMatch(/\?<?[=!]/y)
    if (look !== null) return this.closed(`(${look[0]}`)
    const name = this.takeMatch(/\?P?<([A-Za-z_]\w*)>|\?'([A-Za-z_]\w*)'/y)
    if (name === null && /[?*]/.test(this.text[this.at] ?? '')) {
      const kind = this.text.slice(this.at, this.at + 2)
      throw new PatternProblem(`has a group of a kind that there is not here: (${kind}`)
    }
    this.groups++
    if (name !== null) this.names.set(name[1] ?? name[2]!, this.groups)
    return this.closed('(')
  }

  private closed(open: string): Part {
    if (++this.depth > deepestNesting) throw new PatternProblem('is nested too deeply')
    const body = this.choice()
    if (!this.take(')')) throw new PatternProblem('has a parenthesis that is not closed')
    this.depth--
    return { kind: 'group', open, body }
  }

  private escape(): Part | null {
    const character = this.next()
    switch (character) {
      case undefined:
        throw new PatternProblem('ends with a backslash')
      case 'A':
        return atom(startOfText)
      case 'z':
        return atom('$')
      case 'Z':
        return atom(endOfText)
      case 'b':
      case 'B':
        return atom(`\\${character}`)
      case 'R':
        return atom(`(?:\\r\\n|${this.oneOf(this.escapedClass('v')!)})`)
      case 'N':
        return atom(this.noneOf(lineFeed))
      case 'E':
        return null
      case 'Q':
        return this.quoted()
      case 'k': {
        const name = this.takeMatch(/\{(\w+)\}|<(\w+)>|'(\w+)'/y)
        return this.reference(name === null ? 0 : (this.names.get(name[1] ?? name[2] ?? name[3]!) ?? 0))
      }
      case 'g': {
        const number = this.takeMatch(/(-?)([1-9]\d?)|\{(-?)([1-9]\d?)\}/y)
        if (number === null) throw new PatternProblem('has an escape that there is not here: \\g')
        const count = Number(number[2] ?? number[4])
        return this.reference((number[1] ?? number[3]) === '-' ? this.groups + 1 - count : count)
      }
      default:
        break
    }
    const inside = this.escapedClass(character)
    if (inside !== null) return atom(this.oneOf(inside))
    const isOctal = /^[1-3][0-7]{2}/.test(this.text.slice(this.at - 1, this.at + 2))
    if (/[1-9]/.test(character) && !isOctal) {
      return this.reference(Number(character + this.takeMatch(/\d?/y)![0]))
    }
    return this.literal(this.escapedCharacter(character))
  }

  private quoted(): Part {
    const end = this.text.indexOf('\\E', this.at)
    const quoted = this.text.slice(this.at, end === -1 ? undefined : end)
    this.at = end === -1 ? this.text.length : end + 2
    const items = Array.from(quoted, (character) => this.literal(character))
    return items.length === 1 ? items[0]! : { kind: 'sequence', items }
  }

  private reference(number: number): Part {
    if (number < 1) throw noSuchGroup()
    this.highestReference = Math.max(this.highestReference, number)
    return atom(`(?:\\${number})`)
  }

  private escapedCharacter(escaped: string): string {
    const control = controls[escaped]
    if (control !== undefined) return String.fromCharCode(control)
    if (escaped === 'x') {
      const match = this.takeMatch(/\{([0-9A-Fa-f]{1,6})\}|[0-9A-Fa-f]{0,2}/y)!
      const code = Number.parseInt(match[1] ?? `0${match[0]}`, 16)
      if (code > this.last)
        throw new PatternProblem(`has a character that is no ${this.byCharacter ? 'character' : 'byte'}`)
      return String.fromCodePoint(code)
    }
    if (/[0-7]/.test(escaped)) {
      const octal = escaped + this.takeMatch(/[0-7]{0,2}/y)![0]
      return String.fromCharCode(Number.parseInt(octal, 8) & 0xff)
    }
    if (escaped === 'c' && this.at < this.text.length) {
      return String.fromCharCode((this.text[this.at++]!.toUpperCase().charCodeAt(0) ^ 0x40) & 0xff)
    }
    if (/[A-Za-z0-9]/.test(escaped)) {
      throw new PatternProblem(`has an escape that there is not here: \\${escaped}`)
    }
    return escaped
  }

  private literal(character: string): Part {
    const code = character.codePointAt(0)!
    return atom(this.oneOf(this.cased([[code, code]])))
  }

  private bracket(): string {
    const negated = this.take('^')
    const inside: Range[] = []
    do inside.push(...this.bracketItem())
    while (!this.take(']'))
    return negated ? this.noneOf(inside) : this.oneOf(inside)
  }

  private bracketItem(): readonly Range[] {
    const posix = this.takeMatch(/\[:(\^?)([a-z]+):\]/y)
    if (posix !== null) {
      const caseless = this.options.ignoreCase && (posix[2] === 'upper' || posix[2] === 'lower')
      const inside = posixClasses[caseless ? 'alpha' : posix[2]!]
      if (inside === undefined) throw new PatternProblem(`has a class that there is not here: ${posix[0]}`)
      return posix[1] === '' ? inside : complement(inside, this.last)
    }
    const from = this.bracketEnd()
    if (typeof from !== 'number') return from
    const isRange = this.text[this.at] === '-' && !/^(?:\]|$)/.test(this.text.slice(this.at + 1, this.at + 2))
    if (!isRange) return this.cased([[from, from]])
    this.at++
    const to = this.bracketEnd()
    if (typeof to !== 'number') return [...this.cased([[from, from]]), [hyphen, hyphen], ...to]
    if (to < from) throw new PatternProblem('has a range whose ends are in the wrong order')
    return this.cased([[from, to]])
  }

  /** A character by its code, or what an escape stands for. */
  private bracketEnd(): number | readonly Range[] {
    const character = this.next()
    if (character === undefined) throw new PatternProblem('has a bracket that is not closed')
    if (character !== '\\') return character.codePointAt(0)!
    const escaped = this.next()
    if (escaped === undefined) throw new PatternProblem('has a bracket that is not closed')
    const inside = this.escapedClass(escaped)
    if (inside !== null) return inside
    return (escaped === 'b' ? '\b' : this.escapedCharacter(escaped)).codePointAt(0)!
  }

  private cased(ranges: readonly Range[]): readonly Range[] {
    return this.options.ignoreCase ? inAnyCase(ranges, this.last) : ranges
  }

  private oneOf(ranges: readonly Range[]): string {
    if (this.byCharacter) return characterClass(ranges)
    const [first, ...others] = ranges
    const isSingle = first !== undefined && others.length === 0 && first[0] === first[1]
    return isSingle ? written(first) : byteClass(ranges, false)
  }

  private noneOf(ranges: readonly Range[]): string {
    return this.byCharacter ? characterClass(complement(ranges, this.last)) : byteClass(ranges, true)
  }

  /** What `\d` and its like stand for; null when the letter stands for none. */
  private escapedClass(letter: string): readonly Range[] | null {
    if (this.byCharacter && (letter === 'p' || letter === 'P')) return this.property(letter === 'P')
    const inside = escapedClasses[letter.toLowerCase()]
    if (inside === undefined) return null
    const ranges = this.byCharacter ? inside.characters : inside.bytes
    return letter === letter.toLowerCase() ? ranges : complement(ranges, this.last)
  }

  private property(isNegated: boolean): readonly Range[] {
    const match = this.takeMatch(/\{(\^?)([A-Za-z_&]+)\}|([A-Za-z])/y)
    const found = match === null ? null : property(match[2] ?? match[3]!)
    if (found === null) throw new PatternProblem(`has a property that there is not here: ${match?.[0] ?? ''}`)
    return isNegated === (match![1] !== '^') ? complement(found, this.last) : found
  }

  /** The character that is next, in its whole; undefined at the end. */
  private next(): string | undefined {
    const code = this.text.codePointAt(this.at)
    if (code === undefined) return undefined
    const character = String.fromCodePoint(code)
    this.at += character.length
    return character
  }

  private take(character: string): boolean {
    if (this.text[this.at] !== character) return false
    this.at++
    return true
  }

  /** `pattern` is sticky. */
  private takeMatch(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match !== null) this.at += match[0].length
    return match
  }
}

/** PCRE's `$` also stands before a last line feed. This takes the line feed along, since V8's linear engine cannot look ahead. */
export const endOfText = '(?:\\n?$)'

const lineFeed: readonly Range[] = [[10, 10]]
const hyphen = 0x2d

const atom = (text: string): Part => ({ kind: 'atom', text })

const noSuchGroup = () => new PatternProblem('refers to a group that it does not have')

function withOptions(options: Options, on: string, off: string): Options {
  const setting = (letter: string, before: boolean) =>
    !off.includes(letter) && (on.includes(letter) || before)
  return {
    ignoreCase: setting('i', options.ignoreCase),
    multiline: setting('m', options.multiline),
    dotAll: setting('s', options.dotAll),
    extended: setting('x', options.extended),
  }
}
