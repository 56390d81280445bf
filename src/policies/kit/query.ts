/** Query strings as policies read them: `name=value` pairs between `&`, percent-encoded, `+` for a space. */

export type PairValue = string | true | (string | true)[]

/** Every value of that parameter, decoded, one character a byte. A parameter without `=` has an empty value. */
export function queryValues(query: string, name: string): string[] {
  const values: string[] = []
  forEachPair(query, (pair) => {
    const equals = pair.indexOf('=')
    const key = equals === -1 ? pair : pair.slice(0, equals)
    if (decode(key) === name) values.push(equals === -1 ? '' : decode(pair.slice(equals + 1)))
  })
  return values
}

/**
 * Every parameter, decoded, one character a byte: a name that comes twice has a list, one without `=` is true.
 * @param limit pairs that are read; what follows is left out
 */
export function readPairs(query: string, limit: number): Record<string, PairValue> {
  const values = new Map<string, PairValue>()
  let read = 0
  forEachPair(query, (pair) => {
    if (read++ >= limit) return
    const equals = pair.indexOf('=')
    const name = decode(equals === -1 ? pair : pair.slice(0, equals))
    const value: string | true = equals === -1 ? true : decode(pair.slice(equals + 1))
    const before = values.get(name)
    values.set(name, before === undefined ? value : ([before, value].flat() as (string | true)[]))
  })
  return Object.fromEntries(values)
}

/** The query without that parameter; everything else stays byte for byte. */
export function withoutQueryParameter(query: string, name: string): string {
  const kept: string[] = []
  forEachPair(query, (pair) => {
    const equals = pair.indexOf('=')
    if (decode(equals === -1 ? pair : pair.slice(0, equals)) !== name) kept.push(pair)
  })
  return kept.join('&')
}

function forEachPair(query: string, visit: (pair: string) => void): void {
  if (query === '') return
  let start = 0
  while (start <= query.length) {
    let end = query.indexOf('&', start)
    if (end === -1) end = query.length
    if (end > start) visit(query.slice(start, end))
    start = end + 1
  }
}

/** Bytes, not characters: a malformed escape stays as it is, as nginx leaves it. */
function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}
