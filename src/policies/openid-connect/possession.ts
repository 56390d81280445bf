import { constants, createHash, createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto'
import type { Settings } from './settings.ts'

/** Members of a public key that its thumbprint is made of (RFC 7638 3.2), in their order. */
export const thumbprintMembers: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  RSA: ['e', 'kty', 'n'],
}

/** Nonces of servers that are kept; the oldest makes room. */
const noncesKept = 16

/**
 * Proves that the gateway has the key which its tokens are bound to (RFC 9449). A server may ask for a nonce, which then is
 * in every further proof for it.
 */
export class Possession {
  readonly #algorithm: 'ES256' | 'RS256' | 'PS256'
  readonly #key: KeyObject
  readonly #jwk: Readonly<Record<string, string>>
  readonly #now: () => number
  readonly #nonces = new Map<string, string>()
  /** Of the public key; a login that names it gets a code for this key alone. */
  readonly thumbprint: string

  /** @throws Error when the key cannot be read; the check of the configuration has said so */
  constructor(settings: NonNullable<Settings['dpop']>, now: () => number) {
    this.#algorithm = settings.signing_alg
    this.#key = createPrivateKey(settings.private_key ?? '')
    this.#now = now
    const jwk = settings.public_jwk as Readonly<Record<string, string>>
    const members = thumbprintMembers[jwk.kty!]!
    // No more than that: whatever else the configuration has there concerns nobody.
    this.#jwk = Object.fromEntries(members.map((name) => [name, jwk[name]!]))
    this.thumbprint = createHash('sha256').update(JSON.stringify(this.#jwk)).digest('base64url')
  }

  /** Value of `DPoP` for one request. @param accessToken the token that is shown with it */
  proof(method: string, url: string, accessToken?: string): string {
    const target = new URL(url)
    const nonce = this.#nonces.get(target.origin)
    const claims = {
      jti: randomUUID(),
      htm: method,
      htu: `${target.origin}${target.pathname}`,
      iat: Math.floor(this.#now() / 1000),
      ...(nonce !== undefined && { nonce }),
      ...(accessToken !== undefined && {
        ath: createHash('sha256').update(accessToken).digest('base64url'),
      }),
    }
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ typ: 'dpop+jwt', alg: this.#algorithm, jwk: this.#jwk })}.${part(claims)}`
    const signature = sign('sha256', Buffer.from(text), {
      key: this.#key,
      ...(this.#algorithm === 'ES256' && { dsaEncoding: 'ieee-p1363' as const }),
      ...(this.#algorithm === 'PS256' && {
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      }),
    })
    return `${text}.${signature.toString('base64url')}`
  }

  /** Keeps the nonce of an answer (RFC 9449 8); true: there is one that the request did not have. */
  learn(url: string, nonce: unknown): boolean {
    const { origin } = new URL(url)
    if (typeof nonce !== 'string' || nonce === '' || this.#nonces.get(origin) === nonce) return false
    this.#nonces.delete(origin)
    this.#nonces.set(origin, nonce)
    for (const oldest of this.#nonces.keys()) {
      if (this.#nonces.size <= noncesKept) break
      this.#nonces.delete(oldest)
    }
    return true
  }
}
