import { createHash } from 'node:crypto'
import { type CallAnswer, type CallClient, jsonOf } from '../kit/index.ts'

export type Claims = Readonly<Record<string, unknown>>

/** The server answered with something that says nothing of a token. */
export class AnswerError extends Error {}

export interface IntrospectionOptions {
  readonly url: string
  /** Value of `Authorization` for the server. */
  readonly authorization: string
  /** Milliseconds that an answer is kept at most; 0: none is. */
  readonly goodFor: number
  /** Answers of each kind that are kept; 0: none are. */
  readonly kept: number
}

interface Known {
  /** Undefined: the token is not active. */
  readonly claims: Claims | undefined
  /** Epoch milliseconds. */
  readonly until: number
}

/** Milliseconds for which a token that is not active is not asked for again. */
const refusedFor = 5000

/** Asks a server about tokens (RFC 7662). Tokens themselves are not kept, only their hashes. */
export class Introspection {
  readonly #options: IntrospectionOptions
  readonly #calls: CallClient
  readonly #now: () => number
  /** Apart, so that whoever makes tokens up pushes none out that is good. */
  readonly #active = new Map<string, Known>()
  readonly #refused = new Map<string, Known>()
  readonly #pending = new Map<string, Promise<Claims | undefined>>()

  constructor(options: IntrospectionOptions, calls: CallClient, now: () => number) {
    this.#options = options
    this.#calls = calls
    this.#now = now
  }

  /**
   * What the server says of a token; undefined: it is not active.
   * @throws CallError when there is no answer, AnswerError when it is none that can be used
   */
  async claims(token: string): Promise<Claims | undefined> {
    const key = createHash('sha256').update(token).digest('base64')
    const known = this.#active.get(key) ?? this.#refused.get(key)
    if (known !== undefined && known.until > this.#now()) return known.claims
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      pending = this.#ask(token, key).finally(() => this.#pending.delete(key))
      this.#pending.set(key, pending)
    }
    return pending
  }

  async #ask(token: string, key: string): Promise<Claims | undefined> {
    const { url, authorization } = this.#options
    const answer = await this.#calls.call({
      method: 'POST',
      url,
      headers: {
        Authorization: authorization,
        'Content-Type': 'application/x-www-form-urlencoded',
        Accept: 'application/json',
      },
      body: String(new URLSearchParams({ token, token_type_hint: 'access_token' })),
    })
    const told = claimsOf(answer)
    const end = secondsOf(told, 'exp') ?? Number.POSITIVE_INFINITY
    const start = secondsOf(told, 'nbf') ?? Number.NEGATIVE_INFINITY
    const seconds = this.#now() / 1000
    const claims = told.active === true && end > seconds && start <= seconds ? told : undefined
    this.#keep(key, claims, end * 1000)
    return claims
  }

  #keep(key: string, claims: Claims | undefined, end: number): void {
    const { goodFor, kept } = this.#options
    this.#active.delete(key)
    this.#refused.delete(key)
    if (goodFor === 0 || kept === 0) return
    const now = this.#now()
    const [map, until] =
      claims === undefined
        ? [this.#refused, now + Math.min(goodFor, refusedFor)]
        : [this.#active, Math.min(now + goodFor, end)]
    for (const oldest of map.keys()) {
      if (map.size < kept) break
      map.delete(oldest)
    }
    map.set(key, { claims, until })
  }
}

function claimsOf(answer: CallAnswer): Claims {
  if (answer.status !== 200) throw new AnswerError(`the introspection answers ${answer.status}`)
  const value = jsonOf(answer)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AnswerError('the introspection answers with no JSON object')
  }
  if (typeof (value as Claims).active !== 'boolean') {
    throw new AnswerError('the introspection does not say whether the token is active')
  }
  return value as Claims
}

/** A time that cannot be read is none that a token can be let pass with. */
function secondsOf(claims: Claims, name: string): number | undefined {
  const value = claims[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number') throw new AnswerError(`${name} of the introspection is no number`)
  return value
}
