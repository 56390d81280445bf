/** Pairs of a query or of a form: `name=value` between `&`, percent-encoded, `+` for a space. Texts have one character a byte. */

/** The first value of that name; true where the name stands without `=`, as APISIX has it; undefined when it is absent. */
export function firstPair(pairs: string, name: string): string | true | undefined {
  for (let start = 0; start < pairs.length; ) {
    const end = pairEnd(pairs, start)
    const value = valueAt(pairs, start, end, name)
    if (value !== undefined) return value
    start = end + 1
  }
  return undefined
}

/** Every pair in order, decoded. Pairs without a name are left out. */
export function forEachPair(pairs: string, visit: (name: string, value: string | true) => void): void {
  for (let start = 0; start < pairs.length; ) {
    const end = pairEnd(pairs, start)
    const equals = pairs.indexOf('=', start)
    const nameEnd = equals === -1 || equals > end ? end : equals
    if (nameEnd > start) {
      visit(
        formDecoded(pairs.slice(start, nameEnd)),
        nameEnd === end ? true : formDecoded(pairs.slice(nameEnd + 1, end)),
      )
    }
    start = end + 1
  }
}

function pairEnd(pairs: string, start: number): number {
  const ampersand = pairs.indexOf('&', start)
  return ampersand === -1 ? pairs.length : ampersand
}

function valueAt(pairs: string, start: number, end: number, name: string): string | true | undefined {
  const equals = pairs.indexOf('=', start)
  const nameEnd = equals === -1 || equals > end ? end : equals
  if (nameEnd === start || !isName(pairs, start, nameEnd, name)) return undefined
  return nameEnd === end ? true : formDecoded(pairs.slice(nameEnd + 1, end))
}

function isName(pairs: string, start: number, end: number, name: string): boolean {
  // Escaped, a name is longer than what it means.
  if (end - start < name.length) return false
  if (end - start === name.length && pairs.startsWith(name, start)) return true
  const written = pairs.slice(start, end)
  return /[%+]/.test(written) && formDecoded(written) === name
}

/** An escape that is none stays as it is, as nginx leaves it. */
export function formDecoded(text: string): string {
  return text.includes('%') || text.includes('+') ? percentDecoded(text.replaceAll('+', ' ')) : text
}

export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}
