/** Bodies as values. Texts of bodies have one character a byte. */

export type Reading =
  /** `text`: what says the same in one way only; absent: the body itself does. */
  { readonly value: unknown; readonly text?: string } | { readonly problem: string }

/** A number in JSON with the digits that it was written with. */
interface RawJson {
  rawJSON(text: string): unknown
}

export function readJson(body: string): Reading {
  const text = Buffer.from(body, 'latin1').toString()
  try {
    const value: unknown = JSON.parse(text)
    const { rawJSON } = JSON as unknown as RawJson
    const kept = JSON.parse(text, function keep(_, member, context?: { source?: string }) {
      return typeof member === 'number' && context?.source ? rawJSON(context.source) : member
    } as (key: string, value: unknown) => unknown)
    return { value, text: Buffer.from(JSON.stringify(kept)).toString('latin1') }
  } catch (error) {
    return {
      problem: `the body is no JSON: ${error instanceof RangeError ? 'it is too deep' : 'it cannot be read'}`,
    }
  }
}

/** A name that comes twice has a list; one without `=` is true. */
export function readForm(body: string): Reading {
  const values = new Map<string, unknown>()
  for (const pair of body.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals === -1 ? pair : pair.slice(0, equals))
    const value = equals === -1 ? true : decode(pair.slice(equals + 1))
    const before = values.get(name)
    values.set(name, before === undefined ? value : [before, value].flat())
  }
  return { value: Object.fromEntries(values) }
}

function decode(text: string): string {
  const bytes = text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
