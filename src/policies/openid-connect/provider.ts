import { constants, createHmac, createPrivateKey, randomUUID, sign } from 'node:crypto'
import {
  type CallAnswer,
  type CallClient,
  jsonOf,
  KeySet,
  RemoteDocument,
  readKeySet,
  type Static,
  serviceUrlProblem,
  type Token,
} from '../kit/index.ts'
import type { settings } from './settings.ts'

export type Settings = Static<typeof settings>
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
] as const
const discoveryGoodFor = 3_600_000

/** An OpenID provider, as one client of it sees it. */
export class Provider {
  readonly #settings: Settings
  readonly #calls: CallClient
  readonly #now: () => number
  readonly #discovery: RemoteDocument<Discovery>
  readonly #keys: KeySet

  constructor(settings: Settings, calls: CallClient, now: () => number) {
    this.#settings = settings
    this.#calls = calls
    this.#now = now
    this.#discovery = new RemoteDocument(() => this.#discover(), now, { goodFor: discoveryGoodFor })
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
    form: Readonly<Record<string, string>>,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<Claims> {
    if (endpoint === undefined) throw new ProviderError('it has no such endpoint')
    const parameters = new URLSearchParams(form)
    const headers: Record<string, string> = {
      ...fields,
      'Content-Type': 'application/x-www-form-urlencoded',
      Accept: 'application/json',
    }
    this.#identify(endpoint, method, parameters, headers)
    return objectOf(await this.#call({ method: 'POST', url: endpoint, headers, body: String(parameters) }))
  }

  async userinfo(accessToken: string): Promise<Claims | undefined> {
    const { userinfo_endpoint: url } = await this.discovery()
    if (url === undefined) return undefined
    return objectOf(
      await this.#call({ method: 'GET', url, headers: { Authorization: `Bearer ${accessToken}` } }),
    )
  }

  async #call(call: Parameters<CallClient['call']>[0]): Promise<CallAnswer> {
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
    switch (method) {
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
        : sign(hash, Buffer.from(text), {
            key: createPrivateKey(pem),
            padding: constants.RSA_PKCS1_PADDING,
            dsaEncoding: 'ieee-p1363',
          })
    return `${text}.${signature.toString('base64url')}`
  }
}

function objectOf(answer: CallAnswer): Claims {
  if (answer.status !== 200) throw new ProviderError(`it answers ${answer.status}`)
  const value = jsonOf(answer)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProviderError('its answer is no JSON object')
  }
  return value as Claims
}
