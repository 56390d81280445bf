import { compileSplit, type Split } from '../kit/index.ts'

/** How the values of a label are written. */
export type Parser = 'segmented_text' | 'json' | 'table'

/** The values of one label: of a text as it is written, of a list its texts. */
export type ReadLabel = (value: unknown) => readonly unknown[]

const none: readonly unknown[] = []
const atCommas = compileSplit('\\s*,\\s*') as Split

/** Without a parser a text in brackets is JSON, one with commas a list, and any other a single value. */
export function readAnyForm(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  if (typeof value !== 'string') return none
  if (value.startsWith('[')) return readJson(value)
  return value.includes(',') ? segments(value, atCommas) : [value]
}

/** @param split for `segmented_text` */
export function labelReader(parser: Parser | undefined, split: Split | undefined): ReadLabel {
  switch (parser) {
    case 'segmented_text':
      return (value) => (typeof value === 'string' && split ? segments(value, split) : none)
    case 'json':
      return (value) => (typeof value === 'string' && value.startsWith('[') ? readJson(value) : none)
    case 'table':
      return (value) => (Array.isArray(value) ? value : none)
    default:
      return readAnyForm
  }
}

/** The separator with white space around it, which belongs to no value. */
export function separatorOf(expression: string): Split | { problem: string } {
  return compileSplit(`\\s*${expression}\\s*`)
}

function segments(value: string, split: Split): string[] {
  return split(Buffer.from(value).toString('latin1')).map((piece) => Buffer.from(piece, 'latin1').toString())
}

function readJson(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : none
  } catch {
    return none
  }
}
