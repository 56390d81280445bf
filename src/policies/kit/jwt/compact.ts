/** What tokens in their compact form have in common (RFC 7515 7.1, RFC 7516 7.1). */

/** More than any token that a head has room for. */
const longest = 64 * 1024

/** The parts between the dots; undefined: there are more or fewer of them, or the text is longer than a token. */
export function partsOf(text: string, count: number): string[] | undefined {
  if (text.length > longest) return undefined
  const parts = text.split('.', count + 1)
  return parts.length === count ? parts : undefined
}

/** The JSON object that a part holds in base64url; undefined: it holds none. */
export function objectOf(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
