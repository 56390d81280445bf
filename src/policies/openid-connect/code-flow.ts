import { createHash, randomBytes } from 'node:crypto'
import { type Exchange, headerBlock, type PolicyHost, queryValues, type Verdict } from '../kit/index.ts'
import { type BearerCheck, TokenError } from './bearer.ts'
import { seenAuthority, seenScheme } from './origin.ts'
import { type Claims, type Provider, ProviderError } from './provider.ts'
import { type Session, Sessions } from './sessions.ts'
import type { Settings } from './settings.ts'

/** A login that has begun. */
export interface Pending {
  readonly state: string
  readonly nonce: string
  readonly verifier?: string
  /** Where the browser wanted to go, as an absolute URL of this host. */
  readonly url: string
}

/** Who has logged in. Times are epoch seconds. */
export interface Login {
  readonly since: number
  readonly seen: number
  readonly access_token: string
  readonly expires?: number
  readonly refresh_token?: string
  readonly id_token: string
  readonly claims: Claims
  readonly user?: Claims
  readonly scope?: string
}

const mostPending = 5
const mostRestarts = 3

/** Logs browsers in (authorization code, OpenID Connect Core 3.1) and keeps who they are. */
export class CodeFlow {
  readonly #settings: Settings
  readonly #provider: Provider
  readonly #check: BearerCheck
  readonly #sessions: Sessions
  readonly #host: Pick<PolicyHost, 'variable' | 'now' | 'log' | 'valueStore'>
  readonly #authority: (exchange: Exchange) => string | undefined
  readonly #requestUri: (exchange: Exchange) => string | undefined
  /** Renewals that are under way, by refresh token: a provider takes each only once. */
  readonly #renewals = new Map<string, Promise<Login | undefined>>()

  constructor(
    settings: Settings,
    provider: Provider,
    check: BearerCheck,
    host: Pick<PolicyHost, 'variable' | 'now' | 'log' | 'valueStore'>,
  ) {
    this.#settings = settings
    this.#provider = provider
    this.#check = check
    this.#host = host
    this.#authority = host.variable('http_host')
    this.#requestUri = host.variable('request_uri')
    this.#sessions = new Sessions(settings, host)
  }

  /** A verdict, who has logged in, or null for nobody who may pass all the same. */
  async run(exchange: Exchange): Promise<{ verdict: Verdict } | { login: Login } | null> {
    const { request } = exchange
    try {
      const session = await this.#sessions.read(exchange)
      if (this.#requestUri(exchange) === this.#settings.logout_path) {
        return { verdict: await this.#logOut(exchange, session) }
      }
      if (this.#isCallback(exchange)) return { verdict: await this.#callBack(exchange, session) }
      const login = session.login && (await this.#current(session.login))
      if (login) {
        const { id } = session
        const own = id === undefined ? {} : { id }
        if (login !== session.login) await this.#sessions.write(exchange, { ...own, login })
        else if (this.#sessions.isStale(login))
          await this.#sessions.write(exchange, { ...own, login: { ...login, seen: this.#seconds() } })
        return { login }
      }
      if (this.#settings.unauth_action === 'pass') return null
      if (this.#settings.unauth_action === 'deny') return { verdict: { status: 401 } }
      return { verdict: await this.#logIn(exchange, session, this.#absolute(exchange, request.target)) }
    } catch (error) {
      if (!(error instanceof ProviderError) && !(error instanceof TokenError)) throw error
      this.#host.log.error({ reason: error.message }, 'the OpenID provider could not log a user in')
      return { verdict: { status: this.#requestUri(exchange) === this.#settings.logout_path ? 503 : 500 } }
    }
  }

  async #logIn(exchange: Exchange, session: Session, url: string): Promise<Verdict> {
    const discovery = await this.#provider.discovery()
    if (discovery.authorization_endpoint === undefined)
      throw new ProviderError('it has no authorization endpoint')
    const usesChallenge =
      this.#settings.use_pkce || (discovery.code_challenge_methods_supported?.includes('S256') ?? false)
    const pending: Pending = {
      state: token(),
      nonce: token(),
      url,
      ...(usesChallenge && { verifier: token() }),
    }
    const target = new URL(discovery.authorization_endpoint)
    const parameters: Record<string, string> = {
      ...stringsOf(this.#settings.authorization_params),
      response_type: 'code',
      client_id: this.#settings.client_id,
      redirect_uri: this.#redirectUri(exchange),
      scope: this.#settings.scope,
      state: pending.state,
      nonce: pending.nonce,
    }
    if (pending.verifier !== undefined) {
      parameters.code_challenge = createHash('sha256').update(pending.verifier).digest('base64url')
      parameters.code_challenge_method = 'S256'
    }
    const { possession } = this.#provider
    if (possession !== undefined) parameters.dpop_jkt = possession.thumbprint
    const shown = this.#settings.par?.enabled
      ? { client_id: this.#settings.client_id, request_uri: await this.#provider.push(parameters) }
      : parameters
    for (const [name, value] of Object.entries(shown)) target.searchParams.set(name, value)
    const { restarts } = session
    const others = (session.pending ?? []).slice(1 - mostPending)
    await this.#sessions.write(exchange, {
      pending: [...others, pending],
      ...(restarts !== undefined && { restarts }),
    })
    return redirect(target.href)
  }

  /** The browser comes back from the provider. */
  async #callBack(exchange: Exchange, session: Session): Promise<Verdict> {
    const { query } = exchange.request
    const one = (name: string) => {
      const values = queryValues(query, name)
      return values.length === 1 ? values[0] : undefined
    }
    const [state, code, failure] = [one('state'), one('code'), one('error')]
    const known = session.pending?.find((candidate) => candidate.state === state)
    if (known === undefined)
      return this.#restart(exchange, session, session.pending?.at(-1)?.url, code !== undefined)
    if (code === undefined)
      return this.#restart(exchange, session, known.url, failure === 'temporarily_unavailable')
    const answer = await this.#provider.tokens({
      grant_type: 'authorization_code',
      code,
      redirect_uri: this.#redirectUri(exchange),
      ...(known.verifier !== undefined && { code_verifier: known.verifier }),
    })
    const { id_token: idToken, access_token: accessToken } = answer
    if (typeof idToken !== 'string' || typeof accessToken !== 'string') {
      throw new ProviderError('its token endpoint gave no tokens')
    }
    const claims = await this.#check.checkIdToken(idToken, known.nonce)
    const user = this.#settings.set_userinfo_header ? await this.#provider.userinfo(accessToken) : undefined
    if (user !== undefined && user.sub !== claims.sub)
      throw new TokenError('the user information is about someone else')
    const now = this.#seconds()
    await this.#sessions.forget(session)
    await this.#sessions.write(exchange, {
      login: {
        since: now,
        seen: now,
        id_token: idToken,
        claims,
        ...(user && { user }),
        ...this.#tokens(answer, now),
      },
    })
    return redirect(known.url)
  }

  /** Once more from the beginning, where that may help and did not fail too often. */
  async #restart(
    exchange: Exchange,
    session: Session,
    url: string | undefined,
    mayHelp: boolean,
  ): Promise<Verdict> {
    const { restarts = 0 } = session
    this.#host.log.warn({ restarts }, 'a login came back without what it began with')
    if (!mayHelp || url === undefined || restarts >= mostRestarts || exchange.request.method !== 'GET') {
      return { status: 500 }
    }
    await this.#sessions.write(exchange, { ...session, restarts: restarts + 1 })
    return redirect(url)
  }

  async #logOut(exchange: Exchange, session: Session): Promise<Verdict> {
    const { login } = session
    const discovery = await this.#provider.discovery()
    if (login && this.#settings.revoke_tokens_on_logout && discovery.revocation_endpoint !== undefined) {
      for (const [hint, text] of [
        ['refresh_token', login.refresh_token],
        ['access_token', login.access_token],
      ] as const) {
        if (text === undefined) continue
        const form = { token: text, token_type_hint: hint }
        // An answer without a body is fine, and a session ends whatever the provider says.
        await this.#provider
          .post(discovery.revocation_endpoint, this.#settings.token_endpoint_auth_method, form)
          .catch(() => {})
      }
    }
    await this.#sessions.end(exchange, session)
    const after = this.#settings.post_logout_redirect_uri
    if (discovery.end_session_endpoint !== undefined) {
      const target = new URL(discovery.end_session_endpoint)
      if (login) target.searchParams.set('id_token_hint', login.id_token)
      if (after !== undefined) target.searchParams.set('post_logout_redirect_uri', after)
      return redirect(target.href)
    }
    if (after !== undefined) {
      // As APISIX does: the place is told itself, as a provider would be.
      const target = new URL(after, this.#absolute(exchange, '/'))
      target.searchParams.set('post_logout_redirect_uri', after)
      return redirect(target.href)
    }
    return { status: 200, body: '<html><body>Logged Out</body></html>', contentType: 'text/html' }
  }

  /** The login with tokens that are good; undefined: it is over. */
  async #current(login: Login): Promise<Login | undefined> {
    const now = this.#seconds()
    if (this.#sessions.secondsLeft(login) <= 0) return undefined
    if (login.expires === undefined || now < login.expires - this.#settings.access_token_expires_leeway)
      return login
    if (!this.#settings.renew_access_token_on_expiry || login.refresh_token === undefined) return undefined
    let renewal = this.#renewals.get(login.refresh_token)
    if (renewal === undefined) {
      const key = login.refresh_token
      renewal = this.#renew(login, key).finally(() => this.#renewals.delete(key))
      this.#renewals.set(key, renewal)
    }
    return renewal
  }

  async #renew(login: Login, refreshToken: string): Promise<Login | undefined> {
    try {
      const answer = await this.#provider.tokens({
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        scope: this.#settings.scope,
      })
      if (typeof answer.access_token !== 'string') return undefined
      let { claims, id_token: idToken } = login
      if (typeof answer.id_token === 'string') {
        const renewed = await this.#check.checkIdToken(answer.id_token, undefined)
        if (renewed.sub !== claims.sub) return undefined
        claims = renewed
        idToken = answer.id_token
      }
      const now = this.#seconds()
      return { ...login, seen: now, claims, id_token: idToken, ...this.#tokens(answer, now) }
    } catch (error) {
      if (!(error instanceof ProviderError) && !(error instanceof TokenError)) throw error
      this.#host.log.warn({ reason: error.message }, 'a session could not be renewed')
      return undefined
    }
  }

  #tokens(answer: Claims, now: number) {
    const given = answer.expires_in ?? this.#settings.access_token_expires_in
    return {
      access_token: answer.access_token as string,
      ...(typeof given === 'number' && { expires: now + given }),
      ...(typeof answer.refresh_token === 'string' && { refresh_token: answer.refresh_token }),
      ...(typeof answer.scope === 'string' && { scope: answer.scope }),
    }
  }

  #isCallback({ request }: Exchange): boolean {
    const { redirect_uri: uri } = this.#settings
    if (uri === undefined) return request.path.endsWith('/.apisix/redirect')
    return request.path === (uri.startsWith('/') || !URL.canParse(uri) ? uri : new URL(uri).pathname)
  }

  #redirectUri(exchange: Exchange): string {
    const { redirect_uri: uri } = this.#settings
    if (uri !== undefined) return uri.startsWith('/') ? this.#absolute(exchange, uri) : uri
    const { path } = exchange.request
    const suffix = '/.apisix/redirect'
    return this.#absolute(exchange, path.endsWith(suffix) ? path : path.replace(/\/$/, '') + suffix)
  }

  /** Of this host, so that no path that begins with two slashes leads elsewhere. */
  #absolute(exchange: Exchange, target: string): string {
    const authority = seenAuthority(exchange) ?? this.#authority(exchange) ?? exchange.request.host
    return `${seenScheme(exchange)}://${authority}${target.startsWith('/') ? target : exchange.request.path}`
  }

  #seconds(): number {
    return Math.floor(this.#host.now() / 1000)
  }
}

const token = () => randomBytes(32).toString('base64url')
const redirect = (url: string): Verdict => ({ status: 302, headers: headerBlock([['Location', url]]) })

function stringsOf(parameters: Readonly<Record<string, unknown>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, String(value)]))
}
