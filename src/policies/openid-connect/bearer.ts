import { createPublicKey } from 'node:crypto'
import {
  type Algorithm,
  algorithms,
  type Exchange,
  fits,
  isSecret,
  isTimely,
  keyVerifier,
  readToken,
  type Token,
  type Verifier,
} from '../kit/index.ts'
import { type Claims, type Provider, ProviderError } from './provider.ts'
import type { Settings } from './settings.ts'

/** Why a token is not believed, as `error_description` tells it. */
export class TokenError extends Error {}

/** Answers about tokens that are kept. */
const answersKept = 10_000

/** Believes tokens of requests: by a key, by the keys of the provider, or by asking it. */
export class BearerCheck {
  readonly #settings: Settings
  readonly #provider: Provider
  readonly #now: () => number
  readonly #fixed: ReadonlyMap<string, Verifier> | undefined
  readonly #answers = new Map<string, { claims: Claims; until: number }>()

  /** @throws Error when the public key is none */
  constructor(settings: Settings, provider: Provider, now: () => number) {
    this.#settings = settings
    this.#provider = provider
    this.#now = now
    if (settings.public_key !== undefined) this.#fixed = verifiersOf(settings.public_key)
  }

  /** @throws TokenError */
  async check(text: string, exchange: Exchange): Promise<Claims> {
    const { public_key: key, use_jwks: useKeys } = this.#settings
    return key !== undefined || useKeys ? this.#verify(text) : this.#introspect(text, exchange)
  }

  /** An ID token for this client (OpenID Connect Core 3.1.3.7). @throws TokenError, ProviderError */
  async checkIdToken(text: string, nonce: string | undefined): Promise<Claims> {
    const token = readToken(text)
    if (token === undefined || !(await this.#isSigned(token, false)))
      throw new TokenError('the ID token is not signed')
    const { client_id: id } = this.#settings
    const { payload } = token
    const { issuer } = await this.#provider.discovery()
    const audience = Array.isArray(payload.aud) ? payload.aud : [payload.aud]
    if (payload.iss !== issuer) throw new TokenError('the ID token is of another issuer')
    if (!audience.includes(id)) throw new TokenError('the ID token is for someone else')
    if (payload.azp !== undefined && payload.azp !== id)
      throw new TokenError('the ID token is for someone else')
    if (nonce !== undefined && payload.nonce !== nonce)
      throw new TokenError('the ID token is of another login')
    this.#checkTime(payload, ['exp'])
    if (typeof payload.sub !== 'string') throw new TokenError('the ID token names nobody')
    return payload
  }

  async #verify(text: string): Promise<Claims> {
    const token = readToken(text)
    if (token === undefined) throw new TokenError('invalid jwt')
    const issuers = await this.#issuers()
    if (!(await this.#isSigned(token, true))) throw new TokenError('jwt signature verification failed')
    if (!issuers.includes(token.payload.iss)) throw new TokenError('jwt issuer is not valid')
    this.#checkTime(token.payload, [])
    return token.payload
  }

  async #isSigned(token: Token, mayBeFixed: boolean): Promise<boolean> {
    const { token_signing_alg_values_expected: expected } = this.#settings
    if (expected !== undefined && token.header.alg !== expected) return false
    if (mayBeFixed && this.#fixed) return this.#fixed.get(String(token.header.alg))?.(token) === true
    try {
      return await this.#provider.verifies(token)
    } catch (error) {
      if (!(error instanceof ProviderError) && !mayBeFixed) throw error
      throw new TokenError('the keys of the provider are not available')
    }
  }

  async #issuers(): Promise<readonly unknown[]> {
    const configured = this.#settings.claim_validator?.issuer?.valid_issuers
    if (configured !== undefined) return configured
    try {
      return [(await this.#provider.discovery()).issuer]
    } catch {
      throw new TokenError('issuer validation unavailable')
    }
  }

  #checkTime(claims: Claims, required: readonly ('exp' | 'nbf')[]): void {
    if (!isTimely(claims, required, this.#settings.iat_slack, Math.floor(this.#now() / 1000))) {
      throw new TokenError('jwt is expired or not yet good')
    }
  }

  async #introspect(text: string, { request }: Exchange): Promise<Claims> {
    const known = this.#answers.get(text)
    if (known !== undefined && known.until > this.#now()) return known.claims
    const fields: Record<string, string> = {}
    for (const name of this.#settings.introspection_addon_headers ?? []) {
      const value = request.headers.getAll(name.toLowerCase())
      if (value !== undefined) fields[name] = value
    }
    let claims: Claims
    try {
      const endpoint =
        this.#settings.introspection_endpoint ?? (await this.#provider.discovery()).introspection_endpoint
      const method = this.#settings.introspection_endpoint_auth_method
      const form = { token: text, token_type_hint: 'access_token' }
      claims = await this.#provider.post(endpoint, method, form, fields)
    } catch (error) {
      if (error instanceof ProviderError) throw new TokenError('the token could not be introspected')
      throw error
    }
    if (claims.active !== true) throw new TokenError('invalid token')
    const { introspection_expiry_claim: name = 'exp', introspection_interval: interval } = this.#settings
    const end = claims[name]
    const seconds = this.#now() / 1000
    if (typeof end === 'number' && end <= seconds) throw new TokenError('invalid token')
    if (interval > 0) {
      const until = Math.min(seconds + interval, typeof end === 'number' ? end : Number.POSITIVE_INFINITY)
      if (this.#answers.size >= answersKept) this.#answers.clear()
      this.#answers.set(text, { claims, until: until * 1000 })
    }
    return claims
  }
}

/** For each algorithm that the key may be used with. @throws Error when it is no key */
function verifiersOf(text: string): ReadonlyMap<string, Verifier> {
  const pem = text.includes('-----BEGIN')
    ? text
    : `-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----`
  const key = createPublicKey(pem)
  const usable = algorithms.filter((name) => !isSecret(name) && fits(key, name))
  return new Map(usable.map((name: Algorithm) => [name as string, keyVerifier(name, key)]))
}
