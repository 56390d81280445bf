import { hash, randomInt, timingSafeEqual } from 'node:crypto'

/** What a token says, apart from its signature. */
interface Claims {
  readonly random: number
  /** Epoch seconds at which it was made, in spite of its name. */
  readonly expires: number
}

/** Fourteen digits, which every reader of JSON gives back as they are. */
const largestRandom = 10 ** 14

/** A token as APISIX makes it: JSON in base64. */
export function makeToken(key: string, now: number): string {
  const claims = { random: randomInt(largestRandom), expires: now }
  return Buffer.from(JSON.stringify({ ...claims, sign: signatureOf(claims, key) })).toString('base64')
}

/**
 * Whether the token was made with this key, no longer ago than `lifetime` seconds (0: at any time).
 * @param now epoch seconds
 */
export function isGoodToken(token: string, key: string, lifetime: number, now: number): boolean {
  const claims = readToken(token)
  if (claims === undefined) return false
  if (lifetime > 0 && now - claims.expires > lifetime) return false
  return isSame(claims.sign, signatureOf(claims, key))
}

/** Takes the same time for every text of the same length. */
export function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

function readToken(text: string): (Claims & { sign: string }) | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined
  try {
    const { random, expires, sign } = (JSON.parse(Buffer.from(text, 'base64').toString()) ?? {}) as Record<
      string,
      unknown
    >
    const isToken = Number.isFinite(random) && Number.isFinite(expires) && typeof sign === 'string'
    return isToken ? { random: random as number, expires: expires as number, sign } : undefined
  } catch {
    return undefined
  }
}

function signatureOf({ random, expires }: Claims, key: string): string {
  return hash('sha256', `{expires:${luaNumber(expires)},random:${luaNumber(random)},key:${key}}`)
}

/** A number as Lua writes it into a text (`%.14g`), which is what APISIX signs. */
function luaNumber(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [mantissa, exponent] = value.toExponential(13).split('e') as [string, string]
  const power = Number(exponent)
  if (power < -4 || power >= 14) {
    const digits = String(Math.abs(power)).padStart(2, '0')
    return `${withoutZeros(mantissa)}e${power < 0 ? '-' : '+'}${digits}`
  }
  return withoutZeros(value.toFixed(Math.max(0, 13 - power)))
}

function withoutZeros(decimal: string): string {
  return decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal
}
