import { compilePattern, matchesPattern } from '../../config/regular-expression.ts'

/** A regular expression that is looked for in texts of one character a byte, in a time that no text makes long. */
export interface Search {
  matches(text: string): boolean
}

/** `problem` completes the sentence "the expression ...". */
export function compileSearch(source: string, ignoreCase = false): Search | { problem: string } {
  const pattern = compilePattern(source, ignoreCase)
  return 'problem' in pattern ? pattern : { matches: (text) => matchesPattern(pattern, text) }
}
