/** Times that a token is good for (RFC 7519 4.1). */
export type TimeClaim = 'exp' | 'nbf'

/**
 * `required` must be there; without any, both are looked at where they are.
 * @param now epoch seconds
 * @param grace seconds by which clocks may differ
 */
export function isTimely(
  payload: Readonly<Record<string, unknown>>,
  required: readonly TimeClaim[],
  grace: number,
  now: number,
): boolean {
  const claims: readonly TimeClaim[] = required.length > 0 ? required : ['exp', 'nbf']
  return claims.every((claim) => {
    const value = payload[claim]
    if (value === undefined && required.length === 0) return true
    if (typeof value !== 'number') return false
    return claim === 'exp' ? value > now - grace : value < now + grace
  })
}
