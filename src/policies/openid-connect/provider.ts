import { constants, createHmac, createPrivateKey, randomUUID, sign } from 'node:crypto'
import {
  type Call,
  type CallAnswer,
  type CallClient,
  jsonOf,
  KeySet,
  RemoteDocument,
  readKeySet,
  serviceUrlProblem,
  type Token,
} from '../kit/index.ts'
import { isUsable } from './key-findings.ts'
import { Possession } from './possession.ts'
import type { Settings } from './settings.ts'

type Form = Readonly<Record<string, string>>
export type Claims = Readonly<Record<string, unknown>>

/** What the discovery document says, as far as it is used. */
export interface Discovery {
  readonly issuer: string
  readonly authorization_endpoint?: string
  readonly token_endpoint?: string
  readonly userinfo_endpoint?: string
  readonly jwks_uri?: string
  readonly introspection_endpoint?: string
  readonly revocation_endpoint?: string
  readonly end_session_endpoint?: string
  readonly pushed_authorization_request_endpoint?: string
  readonly code_challenge_methods_supported?: readonly unknown[]
}

/** The provider does not answer as it should; the message holds nothing that was sent. */
export class ProviderError extends Error {}

const endpoints = [
  'authorization_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'introspection_endpoint',
  'revocation_endpoint',
  'end_session_endpoint',
  'pushed_authorization_request_endpoint',
] as const
const discoveryGoodFor = 3_600_000

/** An OpenID provider, as one client of it sees it. */
export class Provider {
  readonly #settings: Settings
  readonly #calls: CallClient
  readonly #now: () => number
  readonly #discovery: RemoteDocument<Discovery>
  readonly #keys: KeySet
  /** Of the key that tokens are bound to. */
  readonly possession: Possession | undefined

  constructor(settings: Settings, calls: CallClient, now: () => number) {
    this.#settings = settings
    this.#calls = calls
    this.#now = now
    this.#discovery = new RemoteDocument(() => this.#discover(), now, { goodFor: discoveryGoodFor })
    if (settings.dpop?.enabled) this.possession = new Possession(settings.dpop, now)
    const goodFor = settings.jwk_expires_in * 1000
    this.#keys = new KeySet(new RemoteDocument(() => this.#loadKeys(), now, { goodFor }))
  }

  discovery(): Promise<Discovery> {
    return this.#discovery.get()
  }

  verifies(token: Token): Promise<boolean> {
    return this.#keys.verifies(token)
  }

  /** @throws ProviderError unless the answer is 200 with JSON */
  async post(
    endpoint: string | undefined,
    method: string,
    form: Form,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<Claims> {
    const [url, call] = this.#request(endpoint, method, form, fields)
    return objectOf(await this.#call({ ...call(), url }))
  }

  /** Asks for tokens, bound to the key where there is one (RFC 9449 5). @throws ProviderError */
  async tokens(form: Form): Promise<Claims> {
    const { token_endpoint: endpoint } = await this.discovery()
    const [url, call] = this.#request(endpoint, this.#settings.token_endpoint_auth_method, form, {})
    const answer = objectOf(await this.#prove(url, call))
    if (this.possession !== undefined && String(answer.token_type).toLowerCase() !== 'dpop')
      throw new ProviderError('its token is good without the key that it was to be bound to')
    return answer
  }

  /** Leaves the parameters of a login with the provider (RFC 9126). @returns what stands for them */
  async push(form: Form): Promise<string> {
    const { par, token_endpoint_auth_method: usual } = this.#settings
    const endpoint = par?.endpoint ?? (await this.discovery()).pushed_authorization_request_endpoint
    const [url, call] = this.#request(endpoint, par?.endpoint_auth_method ?? usual, form, {})
    const { request_uri: uri } = objectOf(await this.#call({ ...call(), url }), [200, 201])
    if (typeof uri !== 'string' || uri === '') throw new ProviderError('it gave no request_uri')
    return uri
  }

  async userinfo(accessToken: string): Promise<Claims | undefined> {
    const { userinfo_endpoint: url } = await this.discovery()
    if (url === undefined) return undefined
    const scheme = this.possession === undefined ? 'Bearer' : 'DPoP'
    const headers = { Authorization: `${scheme} ${accessToken}` }
    return objectOf(await this.#prove(url, () => ({ method: 'GET', headers }), accessToken))
  }

  #request(
    endpoint: string | undefined,
    method: string,
    form: Form,
    fields: Readonly<Record<string, string>>,
  ): [url: string, call: () => Omit<Call, 'url'>] {
    if (endpoint === undefined) throw new ProviderError('it has no such endpoint')
    // Once for each attempt: what the client signs may be used once.
    const call = (): Omit<Call, 'url'> => {
      const parameters = new URLSearchParams(form)
      const headers: Record<string, string> = {
        ...fields,
        'Content-Type': 'application/x-www-form-urlencoded',
        Accept: 'application/json',
      }
      this.#identify(endpoint, method, parameters, headers)
      return { method: 'POST', headers, body: String(parameters) }
    }
    return [endpoint, call]
  }

  /** With a proof of possession where tokens are bound, once more when the server wants its nonce in there. */
  async #prove(url: string, make: () => Omit<Call, 'url'>, accessToken?: string): Promise<CallAnswer> {
    const { possession } = this
    if (possession === undefined) return this.#call({ ...make(), url })
    const ask = () => {
      const call = make()
      const proof = possession.proof(call.method, url, accessToken)
      return this.#call({ ...call, url, headers: { ...call.headers, DPoP: proof } })
    }
    const answer = await ask()
    const isNew = possession.learn(url, answer.headers['dpop-nonce'])
    return isNew && (answer.status === 400 || answer.status === 401) ? ask() : answer
  }

  async #call(call: Call): Promise<CallAnswer> {
    try {
      return await this.#calls.call(call)
    } catch (error) {
      throw new ProviderError((error as Error).message)
    }
  }

  async #discover(): Promise<Discovery> {
    const { discovery: url } = this.#settings
    if (serviceUrlProblem(url) !== undefined)
      throw new ProviderError('the URL of its discovery document is none')
    const document = objectOf(await this.#call({ method: 'GET', url }))
    if (typeof document.issuer !== 'string') throw new ProviderError('its discovery document names no issuer')
    for (const name of endpoints) {
      const endpoint = document[name]
      if (endpoint === undefined) continue
      // A document that came over TLS does not lead away from it.
      const isFine =
        typeof endpoint === 'string' &&
        serviceUrlProblem(endpoint) === undefined &&
        (!url.startsWith('https:') || endpoint.startsWith('https:'))
      if (!isFine) throw new ProviderError(`${name} of its discovery document cannot be used`)
    }
    return document as unknown as Discovery
  }

  async #loadKeys() {
    const { jwks_uri: url } = await this.discovery()
    if (url === undefined) throw new ProviderError('it publishes no keys')
    return readKeySet(objectOf(await this.#call({ method: 'GET', url })))
  }

  /** How the client says who it is (OpenID Connect Core 9). */
  #identify(endpoint: string, method: string, form: URLSearchParams, headers: Record<string, string>): void {
    const { client_id: id, client_secret: secret } = this.#settings
    switch (isUsable(this.#settings, method) ? method : 'client_secret_basic') {
      case 'client_secret_post':
        form.set('client_id', id)
        if (secret !== undefined) form.set('client_secret', secret)
        break
      case 'private_key_jwt':
      case 'client_secret_jwt':
        form.set('client_id', id)
        form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
        form.set('client_assertion', this.#assertion(endpoint, method))
        break
      default:
        if (secret === undefined) form.set('client_id', id)
        else {
          const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`
          headers.Authorization = `Basic ${Buffer.from(pair).toString('base64')}`
        }
    }
  }

  #assertion(endpoint: string, method: string): string {
    const { client_id: id, client_rsa_private_key_id: kid, client_rsa_private_key: pem = '' } = this.#settings
    const alg = this.#settings.client_jwt_assertion_alg ?? (method === 'private_key_jwt' ? 'RS256' : 'HS256')
    const now = Math.floor(this.#now() / 1000)
    const claims = {
      iss: id,
      sub: id,
      aud: this.#settings.client_jwt_assertion_audience ?? endpoint,
      jti: randomUUID(),
      iat: now,
      exp: now + this.#settings.client_jwt_assertion_expires_in,
    }
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ typ: 'JWT', alg, ...(kid !== undefined && { kid }) })}.${part(claims)}`
    const hash = `sha${alg.slice(2)}`
    const signature =
      method === 'client_secret_jwt'
        ? createHmac(hash, this.#settings.client_secret ?? '')
            .update(text)
            .digest()
        : signed(hash, text, pem)
    return `${text}.${signature.toString('base64url')}`
  }
}

function objectOf(answer: CallAnswer, expected: readonly number[] = [200]): Claims {
  if (!expected.includes(answer.status)) throw new ProviderError(`it answers ${answer.status}`)
  const value = jsonOf(answer)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProviderError('its answer is no JSON object')
  }
  return value as Claims
}

function signed(hash: string, text: string, pem: string): Buffer {
  try {
    const key = createPrivateKey(pem)
    return sign(hash, Buffer.from(text), {
      key,
      padding: constants.RSA_PKCS1_PADDING,
      dsaEncoding: 'ieee-p1363',
    })
  } catch {
    throw new ProviderError('the key of the client cannot sign')
  }
}
