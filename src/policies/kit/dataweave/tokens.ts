/** Text of an expression -> tokens. */
import { DataWeaveProblem } from './problem.ts'

export interface Token {
  kind: 'name' | 'number' | 'string' | 'symbol' | 'end'
  /** The name, the symbol, or what the quotes hold with its escapes replaced. */
  text: string
  offset: number
}

const space = /(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y
/** `dw::core::Strings::substringAfter` is one name. */
const name = /[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*/y
const number = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const symbol = /\+\+|==|!=|~=|>=|<=|---|[-()[\]{},.:<>+*/!%]/y

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  '\\': '\\',
  '"': '"',
  "'": "'",
  '`': '`',
  $: '$',
}

/** @throws DataWeaveProblem */
export function tokens(text: string): Token[] {
  const found: Token[] = []
  let at = 0
  const matched = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0]
  }
  for (;;) {
    at += matched(space)?.length ?? 0
    if (at === text.length) break
    const quote = text[at] as string
    if (quote === '"' || quote === "'" || quote === '`') {
      const { value, end } = quoted(text, at)
      found.push({ kind: 'string', text: value, offset: at })
      at = end
      continue
    }
    const word = matched(name)
    const digits = word === undefined ? matched(number) : undefined
    const sign = word === undefined && digits === undefined ? matched(symbol) : undefined
    const piece = word ?? digits ?? sign
    if (piece === undefined) throw new DataWeaveProblem(`${JSON.stringify(text[at])} means nothing here`, at)
    found.push({
      kind: word !== undefined ? 'name' : digits !== undefined ? 'number' : 'symbol',
      text: piece,
      offset: at,
    })
    at += piece.length
  }
  found.push({ kind: 'end', text: 'the end', offset: at })
  return found
}

function quoted(text: string, start: number): { value: string; end: number } {
  const quote = text[start]
  let value = ''
  let at = start + 1
  while (at < text.length) {
    const letter = text[at] as string
    if (letter === quote) return { value, end: at + 1 }
    if (letter === '$' && text[at + 1] === '(') {
      throw new DataWeaveProblem(
        'an expression inside of a string is not part of the subset',
        at,
        'Join strings with ++, or write \\$ for the sign itself.',
      )
    }
    if (letter !== '\\') {
      value += letter
      at++
      continue
    }
    const unicode = /^u([0-9a-fA-F]{4})/.exec(text.slice(at + 1, at + 6))
    const escaped = unicode === null ? escapes[text[at + 1] ?? ''] : undefined
    if (unicode !== null) value += String.fromCharCode(Number.parseInt(unicode[1]!, 16))
    else if (escaped !== undefined) value += escaped
    else throw new DataWeaveProblem('there is no such escape in strings', at)
    at += unicode === null ? 2 : 6
  }
  throw new DataWeaveProblem('the string does not end', start)
}
