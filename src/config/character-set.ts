/**
 * Characters as ranges of their codes, and how an expression of JavaScript without the flag `u` has them: V8's linear engine
 * does not take that flag, so a character beyond the first 65 536 is written as the two halves that its texts have for it.
 */

export type Range = readonly [from: number, to: number]

/** The largest code: of a byte, or of a character. */
export const lastByte = 0xff
export const lastCharacter = 0x10ffff

const surrogates: Range = [0xd800, 0xdfff]
const firstAstral = 0x10000
/** Beyond it no character has another case. */
const lastCased = 0x1e943

/** What is not in them, up to the last one. */
export function complement(ranges: readonly Range[], last: number): Range[] {
  const rest: Range[] = []
  let next = 0
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    if (from > next) rest.push([next, from - 1])
    next = Math.max(next, to + 1)
  }
  if (next <= last) rest.push([next, last])
  return rest
}

/** One of these bytes, or none of them. */
export function byteClass(ranges: readonly Range[], isNegated: boolean): string {
  return `[${isNegated ? '^' : ''}${ranges.map(written).join('')}]`
}

/** One of these characters. */
export function characterClass(ranges: readonly Range[]): string {
  // The halves of a pair are no characters by themselves.
  const proper = complement([...complement(ranges, lastCharacter), surrogates], lastCharacter)
  const plain = proper.filter(([from]) => from < firstAstral)
  const pairs = proper.filter(([, to]) => to >= firstAstral).flatMap(pairsOf)
  const first = `[${plain.map(([from, to]) => written([from, Math.min(to, firstAstral - 1)])).join('')}]`
  if (pairs.length === 0) return first
  return `(?:${plain.length === 0 ? pairs.join('|') : [first, ...pairs].join('|')})`
}

function pairsOf([start, to]: Range): string[] {
  const from = Math.max(start, firstAstral)
  const [firstHigh, firstLow] = halves(from)
  const [lastHigh, lastLow] = halves(to)
  if (firstHigh === lastHigh) return [pair(firstHigh, firstHigh, firstLow, lastLow)]
  const pairs = [pair(firstHigh, firstHigh, firstLow, 0xdfff)]
  if (lastHigh - firstHigh > 1) pairs.push(pair(firstHigh + 1, lastHigh - 1, 0xdc00, 0xdfff))
  return [...pairs, pair(lastHigh, lastHigh, 0xdc00, lastLow)]
}

function halves(code: number): [high: number, low: number] {
  return [0xd800 + ((code - firstAstral) >> 10), 0xdc00 + ((code - firstAstral) & 0x3ff)]
}

function pair(highFrom: number, highTo: number, lowFrom: number, lowTo: number): string {
  return `[${written([highFrom, highTo])}][${written([lowFrom, lowTo])}]`
}

/** A range as it stands in brackets; a single character also outside of them. */
export function written([from, to]: Range): string {
  return from === to ? character(from) : `${character(from)}-${character(to)}`
}

function character(code: number): string {
  const text = String.fromCharCode(code)
  if (/[0-9A-Za-z_ ]/.test(text)) return text
  return code > 0xff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\x${code.toString(16).padStart(2, '0')}`
}

/** These and the same letters in the other case; of bytes, those of ASCII. */
export function inAnyCase(ranges: readonly Range[], last: number): Range[] {
  const all = [...ranges]
  for (const [from, to] of ranges) {
    if (last === lastByte) {
      for (const [first, distance] of [
        [0x41, 32],
        [0x61, -32],
      ] as const) {
        const start = Math.max(from, first)
        const end = Math.min(to, first + 25)
        if (start <= end) all.push([start + distance, end + distance])
      }
    } else
      for (const [code, others] of casesOf()) {
        if (code >= from && code <= to) for (const other of others) all.push([other, other])
      }
  }
  return all
}

let cases: Map<number, readonly number[]> | undefined

/** For each character that has another case, all that are the same but for that. */
function casesOf(): Map<number, readonly number[]> {
  if (cases !== undefined) return cases
  const groups = new Map<number, number[]>()
  for (let code = 0x41; code <= lastCased; code++) {
    const folded = single(single(code, 'toUpperCase'), 'toLowerCase')
    if (folded === code && single(code, 'toUpperCase') === code) continue
    const group = groups.get(folded)
    if (group === undefined) groups.set(folded, [folded, code])
    else group.push(code)
  }
  cases = new Map()
  for (const group of groups.values()) for (const code of group) cases.set(code, group)
  return cases
}

/** In the other case where that is one character too. */
function single(code: number, change: 'toUpperCase' | 'toLowerCase'): number {
  const text = String.fromCodePoint(code)[change]()
  const changed = text.codePointAt(0)!
  return text.length === (changed >= firstAstral ? 2 : 1) ? changed : code
}

const properties = new Map<string, readonly Range[] | null>()

/** The characters of a general category or script, by the name that PCRE has for it; null: there is no such one. */
export function property(name: string): readonly Range[] | null {
  let found = properties.get(name)
  if (found === undefined) {
    found = name === 'Any' ? [[0, lastCharacter]] : readProperty(name === 'L&' ? 'LC' : name)
    properties.set(name, found)
  }
  return found
}

function readProperty(name: string): Range[] | null {
  if (!/^[A-Za-z_]{1,40}$/.test(name)) return null
  for (const written of [`gc=${name}`, `sc=${name}`]) {
    let member: RegExp
    try {
      member = new RegExp(`\\p{${written}}`, 'u')
    } catch {
      continue
    }
    const ranges: Range[] = []
    let from = -1
    for (let code = 0; code <= lastCharacter + 1; code++) {
      const isMember = code <= lastCharacter && member.test(String.fromCodePoint(code))
      if (isMember && from === -1) from = code
      else if (!isMember && from !== -1) {
        ranges.push([from, code - 1])
        from = -1
      }
    }
    return ranges
  }
  return null
}
