/**
 * Regular expressions of the configuration, matched against what clients send: none may take exponential time.
 *
 * V8 can run most expressions in linear time, and is told to go over to that when it has backtracked too often. Those that
 * it cannot run so (lookaheads, references back) are refused when they repeat something that repeats, and look at short
 * texts only. See docs/decisions/0013.
 */
import './regexp-engine.ts'
import { endOfText, type Part, PatternProblem, readPattern, startOfText } from './pcre.ts'

/** Tests texts of one character a byte, or of characters where it is compiled for them. */
export interface TextPattern {
  readonly expression: RegExp
  /** The longest text that is looked at; any longer one does not match. */
  readonly longest: number
  /** Lookaheads from the front of the expression, which are tests of their own. */
  readonly also: readonly { readonly pattern: TextPattern; readonly expected: boolean }[]
}

/** Longest text for an expression that V8 cannot run in linear time. */
const shortText = 1024
/** Characters of an expression whose repetitions were written out. */
const largestSource = 20_000
const ambiguous =
  'repeats what repeats itself, beside a lookahead or a reference back: a text could keep it busy for ever'

/** V8's own bound for the copies that its linear engine makes. */
const mostCopies = 16

/**
 * Compiles an expression in PCRE's syntax, for bytes or, as with PCRE's option UTF, for characters. A text is searched for it, as APISIX does; anchors are the operator's business.
 * `problem` completes the sentence "the expression ..." in words for the operator.
 */
export function compilePattern(
  source: string,
  ignoreCase: boolean,
  byCharacter = false,
): TextPattern | { problem: string } {
  try {
    const text = byCharacter ? source.toWellFormed() : inBytes(source)
    const { part, refersBack } = readPattern(text, ignoreCase, byCharacter)
    return compilePart(part, refersBack ? (ignoreCase ? 'i' : '') : null)
  } catch (error) {
    if (error instanceof PatternProblem) return { problem: error.message }
    throw error
  }
}

export function matchesPattern(pattern: TextPattern, text: string): boolean {
  if (text.length > pattern.longest || !pattern.expression.test(text)) return false
  for (const { pattern: other, expected } of pattern.also) {
    if (matchesPattern(other, text) !== expected) return false
  }
  return true
}

/** An expression whose groups are counted as they stand in its source, for what takes the place of a match. */
export interface CapturingPattern {
  /** The first match that does not begin before `from`; null for none, and in a text that is too long for the expression. */
  find(text: string, from: number): RegExpExecArray | null
}

/** As `compilePattern`, for expressions whose groups are used. */
export function compileCapturing(
  source: string,
  ignoreCase: boolean,
): CapturingPattern | { problem: string } {
  try {
    const { part, refersBack } = readPattern(inBytes(source), ignoreCase)
    const plain = write(part, Number.POSITIVE_INFINITY)
    const expression = regExp(plain, refersBack && ignoreCase ? 'gi' : 'g')
    const isUnbounded = !refersBack && isLinear(plain)
    if (!isUnbounded && repeatsRepetition(part)) throw new PatternProblem(ambiguous)
    const longest = isUnbounded ? Number.POSITIVE_INFINITY : shortText
    const atVeryEnd = plain.includes(endOfText)
      ? regExp(plain.replaceAll(endOfText, '$'), expression.flags)
      : null
    return {
      find: (text, from) => (text.length > longest ? null : matchIn(text, from, expression, atVeryEnd)),
    }
  } catch (error) {
    if (error instanceof PatternProblem) return { problem: error.message }
    throw error
  }
}

/** @param atVeryEnd the same expression, for which a text ends behind its last line feed only; null: it asks for no end */
function matchIn(
  text: string,
  from: number,
  expression: RegExp,
  atVeryEnd: RegExp | null,
): RegExpExecArray | null {
  const match = found(expression, text, from)
  if (match === null || atVeryEnd === null || !match[0].endsWith('\n')) return match
  const { index } = match
  if (index + match[0].length < text.length) return match
  // The line feed belongs to the match if something in the expression asked for it, not if it only is the last one.
  const whole = found(atVeryEnd, text, index)
  return whole?.index === index ? whole : found(expression, text.slice(0, -1), index)
}

function found(expression: RegExp, text: string, from: number): RegExpExecArray | null {
  expression.lastIndex = from
  return expression.exec(text)
}

/** A text of the configuration as it compares with what came in: one character a byte. */
export function inBytes(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text).toString('latin1')
}

/** `flags` are those of an expression with references back, null without. */
function compilePart(whole: Part, flags: string | null): TextPattern {
  const { part, ahead } = flags === null ? withoutLeadingLookaheads(whole) : { part: whole, ahead: [] }
  const also = ahead.map(({ body, expected }) => ({ pattern: compilePart(body, null), expected }))
  const plain = write(part, Number.POSITIVE_INFINITY)
  if (flags === null) {
    for (const source of [plain, write(part, mostCopies)]) {
      if (source.length > largestSource || !isLinear(source)) continue
      const longest = Math.min(...also.map(({ pattern }) => pattern.longest))
      return { expression: new RegExp(source), longest, also }
    }
  }
  const expression = regExp(plain, flags ?? '')
  if (repeatsRepetition(part)) {
    throw new PatternProblem(ambiguous)
  }
  return { expression, longest: shortText, also }
}

function regExp(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags)
  } catch {
    throw new PatternProblem('is not a regular expression')
  }
}

/** V8 accepts the flag `l` only for what its linear engine can run. */
function isLinear(source: string): boolean {
  try {
    new RegExp(source, 'l')
    return true
  } catch {
    return false
  }
}

/** `^(?!a)(?=b)c` finds something where `^c` does, `^a` does not and `^b` does: three expressions without a lookahead. */
function withoutLeadingLookaheads(part: Part): {
  part: Part
  ahead: readonly { body: Part; expected: boolean }[]
} {
  const ahead: { body: Part; expected: boolean }[] = []
  if (part.kind !== 'sequence') return { part, ahead }
  const [start, ...rest] = part.items
  if (start?.kind !== 'atom' || start.text !== startOfText) return { part, ahead }
  let first = rest[0]
  while (first?.kind === 'group' && (first.open === '(?=' || first.open === '(?!')) {
    const body: Part = { kind: 'sequence', items: [start, { kind: 'group', open: '(?:', body: first.body }] }
    ahead.push({ body, expected: first.open === '(?=' })
    rest.shift()
    first = rest[0]
  }
  return { part: { kind: 'sequence', items: [start, ...rest] }, ahead }
}

/** JavaScript's form. Repetitions that come to more copies than `most` are written out. */
function write(part: Part, most: number, copies = 1): string {
  switch (part.kind) {
    case 'atom':
      return part.text
    case 'sequence':
      return part.items.map((item) => write(item, most, copies)).join('')
    case 'choice':
      return part.branches.map((branch) => write(branch, most, copies)).join('|')
    case 'group':
      return `${part.open}${write(part.body, most, copies)})`
    case 'repetition': {
      const lazy = part.lazy ? '?' : ''
      const own = Number.isFinite(part.most) ? part.most : part.least
      const all = copies * Math.max(own, 1)
      if (all <= most) return write(part.item, most, all) + quantifier(part.least, part.most) + lazy
      return copied(write(part.item, most, copies), part.least, part.most, lazy)
    }
  }
}

function quantifier(least: number, most: number): string {
  return Number.isFinite(most) ? `{${least},${most}}` : `{${least},}`
}

/** `xx(?:x(?:x)?)?` for `x{2,4}`: nested, so that there is one way only to match three. */
function copied(item: string, least: number, most: number, lazy: string): string {
  const optional = Number.isFinite(most) ? most - least : 0
  // Too long to be used; what comes back only has to be that as well.
  if (item.length * (least + optional) > largestSource) return item.repeat(least + optional)
  const tail = Number.isFinite(most) ? '' : `${item}*${lazy}`
  return item.repeat(least) + tail + `(?:${item}`.repeat(optional) + `)?${lazy}`.repeat(optional)
}

/** `(a+)+` and its like, which can match one text in exponentially many ways. */
function repeatsRepetition(part: Part, inside = false): boolean {
  switch (part.kind) {
    case 'atom':
      return false
    case 'sequence':
      return part.items.some((item) => repeatsRepetition(item, inside))
    case 'choice':
      return inside || part.branches.some((branch) => repeatsRepetition(branch, inside))
    case 'group':
      return repeatsRepetition(part.body, inside)
    case 'repetition':
      return (inside && part.least !== part.most) || repeatsRepetition(part.item, inside || part.most > 1)
  }
}
