import { compileCapturing } from '../../config/regular-expression.ts'

/** Cuts texts of one character a byte where an expression matches, in a time that no text makes long. */
export type Split = (text: string) => string[]

/** Pieces that a text is cut into at most; the last one then holds the rest. */
const mostPieces = 1024

/** `problem` completes the sentence "the expression ...". A text that is too long for the expression stays whole. */
export function compileSplit(separator: string): Split | { problem: string } {
  const pattern = compileCapturing(separator, false)
  if ('problem' in pattern) return pattern
  return (text) => {
    const pieces: string[] = []
    let start = 0
    let from = 0
    while (pieces.length < mostPieces - 1) {
      const match = pattern.find(text, from)
      if (match === null) break
      from = match.index + match[0].length
      // What matches nothing separates nothing.
      if (match[0] === '') from++
      else {
        pieces.push(text.slice(start, match.index))
        start = from
      }
    }
    pieces.push(text.slice(start))
    return pieces
  }
}
