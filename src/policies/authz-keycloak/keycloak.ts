import {
  type Call,
  type CallAnswer,
  type CallClient,
  jsonOf,
  RemoteDocument,
  serviceUrlProblem,
} from '../kit/index.ts'
import type { Settings } from './settings.ts'

/** Keycloak does not answer as it should; the message holds nothing that was sent. */
export class KeycloakError extends Error {}

/** A token that the token endpoint gave. Times are seconds from now on. */
export interface Grant {
  readonly accessToken: string
  readonly expiresIn: number | undefined
  readonly refreshToken: string | undefined
  readonly refreshExpiresIn: number | undefined
}

type Endpoint = 'token_endpoint' | 'resource_registration_endpoint'
type Form = readonly (readonly [name: string, value: string | undefined])[]

/** Resources that one path may belong to. */
const mostResources = 1000

/** The authorization services of Keycloak, as one resource server sees them. */
export class Keycloak {
  readonly #settings: Settings
  readonly #calls: CallClient
  readonly #discovery: RemoteDocument<Partial<Record<Endpoint, string>>>

  constructor(settings: Settings, calls: CallClient, now: () => number) {
    this.#settings = settings
    this.#calls = calls
    const goodFor = settings.cache_ttl_seconds * 1000
    this.#discovery = new RemoteDocument(() => this.#discover(), now, { goodFor })
  }

  /** Asks whether who has the token has all of the permissions. @throws KeycloakError, CallError */
  async decision(authorization: string, permissions: readonly string[]): Promise<CallAnswer> {
    const form: Form = [
      ['grant_type', this.#settings.grant_type],
      ['audience', this.#settings.client_id],
      ['response_mode', 'decision'],
      ...permissions.map((permission) => ['permission', permission] as const),
    ]
    return this.#post(form, { Authorization: authorization })
  }

  /** A token for the resource server itself, or for somebody who has a password. @throws KeycloakError, CallError */
  async grant(form: Form): Promise<CallAnswer> {
    const { client_id: id, client_secret: secret } = this.#settings
    return this.#post([...form, ['client_id', id], ['client_secret', secret]])
  }

  /** Ids of the resources that a path belongs to. @throws KeycloakError, CallError */
  async resources(path: string, accessToken: string): Promise<readonly string[]> {
    const url = new URL(await this.#endpoint('resource_registration_endpoint'))
    url.searchParams.set('uri', path)
    url.searchParams.set('matchingUri', 'true')
    const headers = { Authorization: `Bearer ${accessToken}` }
    const answer = await this.#calls.call({ method: 'GET', url: url.href, headers })
    const ids = answer.status === 200 ? jsonOf(answer) : undefined
    if (!Array.isArray(ids) || ids.length > mostResources || !ids.every((id) => typeof id === 'string')) {
      throw new KeycloakError('its resource registration endpoint gave no list of resources')
    }
    return ids
  }

  async #post(form: Form, fields: Readonly<Record<string, string>> = {}): Promise<CallAnswer> {
    const body = new URLSearchParams()
    for (const [name, value] of form) if (value !== undefined) body.append(name, value)
    const call: Call = {
      method: 'POST',
      url: await this.#endpoint('token_endpoint'),
      headers: { ...fields, 'Content-Type': 'application/x-www-form-urlencoded' },
      body: String(body),
    }
    return this.#calls.call(call)
  }

  async #endpoint(name: Endpoint): Promise<string> {
    const configured = this.#settings[name]
    if (configured !== undefined) return configured
    const found = this.#settings.discovery === undefined ? undefined : (await this.#discovery.get())[name]
    if (found === undefined) throw new KeycloakError(`there is no ${name}`)
    return found
  }

  async #discover(): Promise<Partial<Record<Endpoint, string>>> {
    const url = this.#settings.discovery!
    const answer = await this.#calls.call({ method: 'GET', url })
    const document = answer.status === 200 ? jsonOf(answer) : undefined
    if (typeof document !== 'object' || document === null) {
      throw new KeycloakError('its discovery document cannot be read')
    }
    const found: Partial<Record<Endpoint, string>> = {}
    for (const name of ['token_endpoint', 'resource_registration_endpoint'] as const) {
      const endpoint = (document as Record<string, unknown>)[name]
      if (endpoint === undefined) continue
      // Tokens and secrets go there: a document that came over TLS does not lead away from it.
      const isFine =
        typeof endpoint === 'string' &&
        serviceUrlProblem(endpoint) === undefined &&
        (!url.startsWith('https:') || endpoint.startsWith('https:'))
      if (!isFine) throw new KeycloakError(`${name} of its discovery document cannot be used`)
      found[name] = endpoint
    }
    return found
  }
}

/** @throws KeycloakError unless the answer is 200 with an access token */
export function readGrant(answer: CallAnswer): Grant {
  const value = answer.status === 200 ? jsonOf(answer) : undefined
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (typeof given.access_token !== 'string') throw new KeycloakError('its token endpoint gave no token')
  const number = (item: unknown) => (typeof item === 'number' ? item : undefined)
  return {
    accessToken: given.access_token,
    expiresIn: number(given.expires_in),
    refreshToken: typeof given.refresh_token === 'string' ? given.refresh_token : undefined,
    refreshExpiresIn: number(given.refresh_expires_in),
  }
}
