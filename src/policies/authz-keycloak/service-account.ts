import { type Grant, type Keycloak, KeycloakError, readGrant } from './keycloak.ts'
import type { Settings } from './settings.ts'

interface Kept {
  readonly accessToken: string
  /** Epoch milliseconds. */
  readonly until: number
  readonly refreshToken: string | undefined
  readonly refreshUntil: number
}

/** The token with which the gateway itself asks for resources: fetched once for all who wait, and renewed in time. */
export class ServiceAccount {
  readonly #settings: Settings
  readonly #keycloak: Keycloak
  readonly #now: () => number
  #kept: Kept | undefined
  #pending: Promise<string> | undefined

  constructor(settings: Settings, keycloak: Keycloak, now: () => number) {
    this.#settings = settings
    this.#keycloak = keycloak
    this.#now = now
  }

  /** @throws KeycloakError, CallError */
  async accessToken(): Promise<string> {
    if (this.#kept !== undefined && this.#now() < this.#kept.until) return this.#kept.accessToken
    this.#pending ??= this.#renew().finally(() => {
      this.#pending = undefined
    })
    return this.#pending
  }

  async #renew(): Promise<string> {
    const kept = this.#kept
    this.#kept = undefined
    const grant = (kept && (await this.#refreshed(kept))) ?? (await this.#fresh())
    this.#kept = this.#keep(grant)
    return grant.accessToken
  }

  /** Undefined: it is over, or Keycloak does not take it any more. */
  async #refreshed({ refreshToken, refreshUntil }: Kept): Promise<Grant | undefined> {
    if (refreshToken === undefined || this.#now() >= refreshUntil) return undefined
    const answer = await this.#keycloak.grant([
      ['grant_type', 'refresh_token'],
      ['refresh_token', refreshToken],
    ])
    try {
      return readGrant(answer)
    } catch (error) {
      if (error instanceof KeycloakError) return undefined
      throw error
    }
  }

  async #fresh(): Promise<Grant> {
    return readGrant(await this.#keycloak.grant([['grant_type', 'client_credentials']]))
  }

  #keep({ accessToken, expiresIn, refreshToken, refreshExpiresIn }: Grant): Kept {
    const { cache_ttl_seconds: longest } = this.#settings
    // A second less, for the way.
    const end = (seconds: number, leeway: number) =>
      this.#now() + Math.min(longest, seconds - 1 - leeway) * 1000
    const { access_token_expires_in: usual, access_token_expires_leeway: leeway } = this.#settings
    const { refresh_token_expires_in: usualRefresh, refresh_token_expires_leeway: refreshLeeway } =
      this.#settings
    return {
      accessToken,
      until: end(expiresIn ?? usual, leeway),
      refreshToken,
      refreshUntil: end(refreshExpiresIn ?? usualRefresh, refreshLeeway),
    }
  }
}
