import { compilePattern, matchesPattern, type TextPattern } from '../../config/regular-expression.ts'

/** A regular expression that is looked for in texts of one character a byte, in a time that no text makes long. */
export interface Search {
  matches(text: string): boolean
}

/** `problem` completes the sentence "the expression ...". */
export function compileSearch(source: string, ignoreCase = false): Search | { problem: string } {
  return searchOf(compilePattern(source, ignoreCase))
}

/** The same for texts that are read by characters, as PCRE does with its option UTF; they have to be well-formed. */
export function compileTextSearch(source: string): Search | { problem: string } {
  return searchOf(compilePattern(source, false, true))
}

function searchOf(pattern: TextPattern | { problem: string }): Search | { problem: string } {
  return 'problem' in pattern ? pattern : { matches: (text) => matchesPattern(pattern, text) }
}
