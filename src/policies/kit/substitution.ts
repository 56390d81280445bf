import { compileCapturing } from '../../config/regular-expression.ts'

/** Puts something in place of what an expression finds, with the groups of the match. Texts have one character a byte. */
export interface Substitution {
  /** The first match with its groups; null for none. */
  find(text: string): readonly (string | undefined)[] | null
  /** @param every all matches, not the first alone */
  apply(text: string, every: boolean): string
}

/** A piece of the replacement: a text, or the number of a group. */
type Piece = string | number

/**
 * `replacement` refers to groups with `$1` or `${1}`, to the whole match with `$0`; `$$` is a dollar sign.
 * `problem` completes the sentence "the expression ...".
 */
export function compileSubstitution(
  source: string,
  replacement: string,
  ignoreCase = false,
): Substitution | { problem: string } {
  const pattern = compileCapturing(source, ignoreCase)
  if ('problem' in pattern) return pattern
  if (/\$(?!\$|\d|\{\d+\})/.test(replacement.replaceAll('$$', ''))) {
    return { problem: `has no group of the name that its replacement ${replacement} refers to` }
  }
  const pieces = piecesOf(Buffer.from(replacement).toString('latin1'))

  return {
    find: (text) => pattern.find(text, 0),
    apply(text, every) {
      let result = ''
      let copied = 0
      for (let match = pattern.find(text, 0); match !== null; ) {
        result += text.slice(copied, match.index) + filled(pieces, match)
        copied = match.index + match[0].length
        if (!every) break
        // An empty match would be found again at the same place.
        match = pattern.find(text, match[0] === '' ? copied + 1 : copied)
      }
      return copied === 0 && result === '' ? text : result + text.slice(copied)
    },
  }
}

function piecesOf(replacement: string): Piece[] {
  const pieces: Piece[] = []
  let copied = 0
  for (const match of replacement.matchAll(/\$(?:\$|(\d+)|\{(\d+)\})/g)) {
    pieces.push(replacement.slice(copied, match.index))
    const group = match[1] ?? match[2]
    pieces.push(group === undefined ? '$' : Number(group))
    copied = match.index + match[0].length
  }
  pieces.push(replacement.slice(copied))
  return pieces.filter((piece) => piece !== '')
}

function filled(pieces: readonly Piece[], match: RegExpExecArray): string {
  let text = ''
  for (const piece of pieces) text += typeof piece === 'string' ? piece : (match[piece] ?? '')
  return text
}
