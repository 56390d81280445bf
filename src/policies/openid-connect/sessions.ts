import { createHash, randomBytes } from 'node:crypto'
import { type Exchange, type PolicyHost, type RedisTarget, StoreAbsentError } from '../kit/index.ts'
import type { Login, Pending } from './code-flow.ts'
import { seenScheme } from './origin.ts'
import { ProviderError } from './provider.ts'
import { Seal } from './seal.ts'
import { SealedCookie } from './sealed-cookie.ts'
import type { Settings } from './settings.ts'

/** What is known of a browser. */
export interface Session {
  readonly login?: Login
  /** Where the login is kept, when it is not in the cookie. */
  readonly id?: string
  readonly pending?: readonly Pending[]
  readonly restarts?: number
}

const defaultIdle = 900
const defaultLifetime = 86_400
/** Seconds after which a session that is used is written anew. */
const longestTouch = 60

/**
 * Sessions of browsers, in sealed cookies. With Redis, the cookie has no more than a name there, under which the login is
 * kept as sealed; so whoever can read Redis learns nothing, and a logout ends the session for every copy of the cookie.
 */
export class Sessions {
  readonly #settings: NonNullable<Settings['session']> | undefined
  readonly #seal: Seal
  readonly #cookie: SealedCookie
  readonly #host: Pick<PolicyHost, 'now' | 'valueStore'>
  readonly #redis: { target: RedisTarget; prefix: string } | undefined

  constructor(settings: Settings, host: Pick<PolicyHost, 'now' | 'valueStore'>) {
    const { session } = settings
    this.#settings = session
    this.#host = host
    this.#seal = new Seal(session?.secret ?? '', JSON.stringify([settings.discovery, settings.client_id]))
    this.#cookie = new SealedCookie({
      name: session?.cookie_name ?? 'session',
      seal: this.#seal,
      path: session?.cookie_path ?? '/',
      domain: session?.cookie_domain,
      httpOnly: session?.cookie_http_only ?? true,
      sameSite: session?.cookie_same_site === 'Default' ? undefined : (session?.cookie_same_site ?? 'Lax'),
    })
    if (session?.storage === 'redis' && session.redis !== undefined) {
      this.#redis = { target: targetOf(session.redis), prefix: session.redis.prefix }
    }
  }

  /** @throws ProviderError when it is kept where nobody answers */
  async read(exchange: Exchange): Promise<Session> {
    const value = this.#cookie.read(cookiesOf(exchange))
    const session: Session = typeof value === 'object' && value !== null ? value : {}
    if (this.#redis === undefined || session.id === undefined) return session
    const place = this.#place(session.id)
    const kept = await this.#ask((store) => store.get(place))
    const login = kept === undefined ? undefined : (this.#seal.open(kept, place) as Login | undefined)
    if (login !== undefined) return { ...session, login }
    const { id: _, ...rest } = session
    return rest
  }

  /** A login without `id` begins a session of its own. @throws ProviderError */
  async write(exchange: Exchange, session: Session): Promise<void> {
    let value = session
    if (this.#redis !== undefined && session.login !== undefined) {
      const { login, id = randomBytes(32).toString('base64url'), ...rest } = session
      const place = this.#place(id)
      const sealed = this.#seal.close(login, place)
      await this.#ask((store) => store.set(place, sealed, this.secondsLeft(login) * 1000))
      value = { ...rest, id }
    }
    const lines = this.#cookie.lines(value, this.#isSecure(exchange))
    if (lines === undefined) throw new ProviderError('the session is too large for cookies')
    for (const line of lines) exchange.answer.add('Set-Cookie', line)
  }

  /** Takes the cookies away, and what they lead to. @throws ProviderError */
  async end(exchange: Exchange, session: Session): Promise<void> {
    for (const line of this.#cookie.gone(cookiesOf(exchange), this.#isSecure(exchange)))
      exchange.answer.add('Set-Cookie', line)
    await this.forget(session)
  }

  /** @throws ProviderError */
  async forget({ id }: Session): Promise<void> {
    if (this.#redis === undefined || id === undefined) return
    const place = this.#place(id)
    await this.#ask((store) => store.delete(place))
  }

  /** Until the session ends when nobody uses it; not above 0: it is over. */
  secondsLeft({ since, seen }: Login): number {
    const lifetime = this.#settings?.absolute_timeout ?? this.#settings?.cookie?.lifetime ?? defaultLifetime
    const now = this.#host.now() / 1000
    return Math.min(since + lifetime, seen + this.#idle) + 1 - Math.floor(now)
  }

  /** Whether it is time to write down that the session is used. */
  isStale({ seen }: Login): boolean {
    return Math.floor(this.#host.now() / 1000) - seen > Math.min(longestTouch, this.#idle / 2)
  }

  get #idle(): number {
    return this.#settings?.idling_timeout ?? defaultIdle
  }

  #place(id: string): string {
    return `${this.#redis?.prefix}:${createHash('sha256').update(id).digest('base64url')}`
  }

  async #ask<T>(work: (store: ReturnType<PolicyHost['valueStore']>) => Promise<T>): Promise<T> {
    try {
      return await work(this.#host.valueStore(this.#redis!.target))
    } catch (error) {
      if (!(error instanceof StoreAbsentError)) throw error
      throw new ProviderError('Redis, where sessions are kept, does not answer')
    }
  }

  #isSecure(exchange: Exchange): boolean {
    return this.#settings?.cookie_secure ?? seenScheme(exchange) === 'https'
  }
}

const cookiesOf = ({ request }: Exchange) => request.headers.getAll('cookie')

function targetOf(redis: NonNullable<NonNullable<Settings['session']>['redis']>): RedisTarget {
  return {
    kind: 'redis',
    host: redis.host,
    port: redis.port,
    database: redis.database,
    ...(redis.username !== undefined && { username: redis.username }),
    ...(redis.password !== undefined && { password: redis.password }),
    ...(redis.ssl && {
      tls: {
        verify: redis.ssl_verify,
        ...(redis.server_name !== undefined && { serverName: redis.server_name }),
      },
    }),
    connectTimeoutMs: redis.connect_timeout,
    timeoutMs: redis.connect_timeout + redis.send_timeout + redis.read_timeout,
    idleMs: redis.keepalive_timeout,
  }
}
