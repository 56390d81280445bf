/**
 * Path patterns of routes, as Apache APISIX reads them: `/a` exact, `/a/*` and `/a*` by prefix, a `*` elsewhere for a gap
 * of any length, `/user/:name` for a segment where the router's mode has parameters.
 */
import { canonicalPattern, comparablePath } from '../target.ts'

export interface PathPattern {
  /** As configured. */
  readonly source: string
  /** Literal text in front of the first `*` or `:name`; the whole path when `exact`. */
  readonly prefix: string
  readonly exact: boolean
  /** What must follow the prefix; null when anything may. */
  readonly rest: PatternRest | null
}

export interface PatternRest {
  /** The whole path against the whole pattern. */
  matches(path: string): boolean
}

export function compilePattern(source: string, parameters: boolean): PathPattern {
  const pieces = split(canonicalPattern(source), parameters)
  const first = pieces[0]
  const prefix = first?.kind === 'text' ? first.text : ''
  const tail = prefix === '' ? pieces : pieces.slice(1)
  if (tail.length === 0) return { source, prefix, exact: true, rest: null }
  const open = tail.length === 1 && tail[0]!.kind === 'gap'
  return { source, prefix, exact: false, rest: open ? null : new Rest(pieces) }
}

/** APISIX's name for what an unnamed `*` stands for. */
const UNNAMED = ':ext'
/** A gap inside a segment, which has no name. */
const INNER = ''

type Piece =
  | { kind: 'text'; text: string }
  /** One segment, not empty. */
  | { kind: 'parameter'; name: string }
  /** Anything, slashes included. */
  | { kind: 'gap'; name: string }

/**
 * What parameters and gaps of a pattern stand for, by name, still percent-encoded. As in APISIX only a gap that begins a
 * segment is one of them, and one without a name is `:ext`.
 */
export function pathParameters(
  source: string,
  parameters: boolean,
): (path: string) => Record<string, string> {
  const pieces = split(canonicalPattern(source), parameters)
  if (pieces.every((piece) => piece.kind === 'text' || piece.name === INNER)) return () => ({})
  const rest = new Rest(pieces)
  return (path) => rest.captures(path)
}

/** A segment that begins with `:` or `*` goes by the name after it; any other `*` is a gap and any other `:` is text. */
function split(pattern: string, parameters: boolean): Piece[] {
  const pieces: Piece[] = []
  let copied = 0
  for (const match of pattern.matchAll(parameters ? withParameters : plain)) {
    const { parameter, gap } = match.groups!
    if (match.index > copied) pieces.push(textPiece(pattern.slice(copied, match.index)))
    if (parameter !== undefined) pieces.push({ kind: 'parameter', name: parameter })
    else pieces.push({ kind: 'gap', name: gap === undefined ? INNER : gap || UNNAMED })
    copied = match.index + match[0].length
  }
  if (copied < pattern.length) pieces.push(textPiece(pattern.slice(copied)))
  return pieces
}

/** An escaped `*` or `:` is none of the pattern's own. */
function textPiece(text: string): Piece {
  return { kind: 'text', text: comparablePath(text) }
}

const plain = /(?<=\/)\*(?<gap>[^/*.]*)(?=\/|$)|\*/g
const withParameters = /(?<=\/)(?::(?<parameter>[^/]*)|\*(?<gap>[^/*.]*))(?=\/|$)|\*/g

class Rest implements PatternRest {
  readonly #pieces: readonly Piece[]

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces
  }

  /** Only the last gap passed is ever widened, which decides every glob in quadratic time where a regular expression may not. */
  matches(path: string): boolean {
    return this.#match(path, null)
  }

  captures(path: string): Record<string, string> {
    const ends: number[] = []
    const values: Record<string, string> = {}
    if (!this.#match(path, ends)) return values
    this.#pieces.forEach((piece, i) => {
      if (piece.kind !== 'text' && piece.name !== INNER)
        values[piece.name] = path.slice(i === 0 ? 0 : ends[i - 1]!, ends[i]!)
    })
    return values
  }

  #match(path: string, ends: number[] | null): boolean {
    const pieces = this.#pieces
    let piece = 0
    let at = 0
    let gap = -1
    let gapEnd = 0
    while (piece < pieces.length || at < path.length) {
      const current = pieces[piece]
      let end = -1
      if (current?.kind === 'gap') {
        gap = piece
        gapEnd = at
        end = piece === pieces.length - 1 ? path.length : at
      } else if (current?.kind === 'text') {
        end = path.startsWith(current.text, at) ? at + current.text.length : -1
      } else if (current !== undefined) {
        end = segmentEnd(path, at)
      }
      if (end !== -1) {
        if (ends !== null) ends[piece] = end
        at = end
        piece++
      } else if (gap !== -1 && gapEnd < path.length) {
        at = ++gapEnd
        if (ends !== null) ends[gap] = at
        piece = gap + 1
      } else {
        return false
      }
    }
    return true
  }
}

/** End of the segment at `at`; -1 when it is empty. */
function segmentEnd(path: string, at: number): number {
  const slash = path.indexOf('/', at)
  const end = slash === -1 ? path.length : slash
  return end > at ? end : -1
}
