/** Query strings as policies read them: `name=value` pairs between `&`, percent-encoded, `+` for a space. */

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
