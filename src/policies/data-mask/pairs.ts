import type { Change } from './change.ts'

/** A change of the values that stand under one name. */
export interface PairRule {
  /** Decoded, one character a byte. */
  readonly name: string
  readonly change: Change
}

/**
 * Changes pairs of a query or a form; everything else stays byte for byte. Null: no rule met one.
 * @param limit pairs that are looked at; what follows is left out
 */
export function maskPairs(text: string, rules: readonly PairRule[], limit: number): string | null {
  const pairs = text.split('&')
  let isMasked = pairs.length > limit
  const kept: string[] = []
  for (const pair of pairs.slice(0, limit)) {
    const equals = pair.indexOf('=')
    const written = equals === -1 ? pair : pair.slice(0, equals)
    const name = decode(written)
    let value: string | null = equals === -1 ? '' : decode(pair.slice(equals + 1))
    let isMet = false
    for (const rule of rules) {
      if (rule.name !== name || value === null) continue
      value = rule.change(value)
      isMet = true
    }
    if (!isMet) kept.push(pair)
    else if (value !== null) kept.push(`${written}=${encode(value)}`)
    isMasked ||= isMet
  }
  return isMasked ? kept.join('&') : null
}

function decode(text: string): string {
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function encode(bytes: string): string {
  return bytes.replace(
    /[^A-Za-z0-9_.!~*'()-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}
