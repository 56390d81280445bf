/** Lua's patterns, as regular expressions over texts of one character a byte. */

const classes: Readonly<Record<string, string>> = {
  a: 'A-Za-z',
  c: '\\x00-\\x1f\\x7f',
  d: '0-9',
  l: 'a-z',
  p: '!-\\/:-@\\[-`{-~',
  s: '\\t-\\r ',
  u: 'A-Z',
  w: '0-9A-Za-z',
  x: '0-9A-Fa-f',
}

/** `problem` completes the sentence "the pattern ...". */
export function expressionOf(pattern: string): { source: string } | { problem: string } {
  let source = ''
  let at = 0
  if (pattern.startsWith('^')) {
    source = '^'
    at = 1
  }
  let open = 0
  while (at < pattern.length) {
    const character = pattern[at]!
    if (character === '(') {
      if (pattern[at + 1] === ')') return { problem: 'asks for a place, which it cannot' }
      open++
      source += '('
      at++
      continue
    }
    if (character === ')') {
      if (open-- === 0) return { problem: 'has a bracket too many' }
      source += ')'
      at++
      continue
    }
    if (character === '$' && at === pattern.length - 1) {
      source += '$'
      break
    }
    const single = readSingle(pattern, at)
    if ('problem' in single) return single
    source += single.source
    at = single.end
    const repeats = pattern[at] ?? ''
    if (!'*+?-'.includes(repeats) || repeats === '') continue
    source += repeats === '-' ? '*?' : repeats
    at++
  }
  return open === 0 ? { source } : { problem: 'has a bracket that is not closed' }
}

/** What may be repeated: a character, a class or a set. */
function readSingle(pattern: string, at: number): { source: string; end: number } | { problem: string } {
  const character = pattern[at]!
  if (character === '.') return { source: '[\\x00-\\xff]', end: at + 1 }
  if (character === '[') return readSet(pattern, at + 1)
  if (character !== '%') return { source: escaped(character), end: at + 1 }
  const letter = pattern[at + 1]
  if (letter === undefined) return { problem: 'ends with %' }
  if (/[bf\d]/.test(letter)) return { problem: `has %${letter}, which is not supported` }
  const known = classes[letter.toLowerCase()]
  if (known === undefined) return { source: escaped(letter), end: at + 2 }
  return { source: letter === letter.toLowerCase() ? `[${known}]` : `[^${known}]`, end: at + 2 }
}

function readSet(pattern: string, from: number): { source: string; end: number } | { problem: string } {
  let at = from
  let source = '['
  if (pattern[at] === '^') {
    source = '[^'
    at++
  }
  const first = at
  for (; at < pattern.length && (pattern[at] !== ']' || at === first); at++) {
    let character = pattern[at]!
    if (character === '%') {
      character = pattern[++at] ?? ''
      const known = classes[character]
      if (/[A-Z]/.test(character) && classes[character.toLowerCase()] !== undefined)
        return { problem: `has %${character} in a set, which is not supported` }
      source += known ?? escaped(character)
      continue
    }
    if (pattern[at + 1] === '-' && pattern[at + 2] !== undefined && pattern[at + 2] !== ']') {
      source += `${escaped(character)}-${escaped(pattern[at + 2]!)}`
      at += 2
    } else source += escaped(character)
  }
  return at < pattern.length
    ? { source: `${source}]`, end: at + 1 }
    : { problem: 'has a set that is not closed' }
}

function escaped(character: string): string {
  return /\w/.test(character) ? character : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}

/** `%1` refers to a group, `%0` to all. */
export function replacementOf(text: string): string {
  return text
    .replaceAll('$', '$$$$')
    .replace(/%([\s\S])/g, (_, character: string) => (/\d/.test(character) ? `\${${character}}` : character))
}
