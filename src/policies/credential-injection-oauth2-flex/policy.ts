import { rejection } from '../kit/flex/rejection.ts'
import {
  type CallClient,
  CallError,
  definePolicy,
  headerName,
  jsonOf,
  RemoteDocument,
  serviceUrlProblem,
  Type,
} from '../kit/index.ts'

const authorization = headerName('Authorization')
const largestAnswer = 64 * 1024
/** Of a token whose server does not say it, in seconds. */
const usualLifetime = 300
/** Seconds by which a token is asked for anew before its end. */
const margin = 10
/** RFC 6750 2.1. */
const tokenForm = /^[A-Za-z0-9._~+/-]+=*$/

/** Tokens of an authorization server for an upstream; configuration of the Flex policy of that name. */
export default definePolicy({
  name: 'credential-injection-oauth2-flex',
  summary: 'Gets an access token with credentials of its own (OAuth 2.0), and sends it to the upstream.',
  details:
    'The token is asked for with the grant `client_credentials` (RFC 6749 4.4), by HTTP Basic, once for all requests, and ' +
    'again ten seconds before its end. While there is none, requests are answered with 503 and `{"error":"..."}`, unless ' +
    '`allowRequestWithoutCredential` lets them pass without; then credentials of the client do not reach the upstream ' +
    'either. Without `overwrite`, credentials of the client go on where there are some.',
  stage: 'transform',
  priority: 421,
  config: Type.Object(
    {
      oauthService: Type.String({ description: 'URL of the token endpoint.' }),
      clientId: Type.String({ minLength: 1, description: 'Client id.' }),
      clientSecret: Type.String({ minLength: 1, description: 'Client secret.', 'x-secret': true }),
      scope: Type.Array(
        Type.String({ pattern: '^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$', 'x-form': 'a scope without spaces' }),
        {
          default: [],
          description: 'Scopes to ask for.',
        },
      ),
      overwrite: Type.Boolean({ default: true, description: 'Replace credentials of the client.' }),
      tokenFetchTimeout: Type.Integer({
        minimum: 1,
        maximum: 60_000,
        default: 10,
        description: 'Time for a token: seconds, or milliseconds from 1000 on.',
      }),
      allowRequestWithoutCredential: Type.Boolean({
        default: false,
        description: 'Let requests pass while there is no token.',
      }),
      ssl_verify: Type.Boolean({ default: true, description: 'Check the certificate of the service.' }),
    },
    { additionalProperties: false },
  ),
  validate({ oauthService }) {
    const problem = serviceUrlProblem(oauthService)
    return problem && `oauthService ${problem}`
  },
  create(config, host) {
    const { tokenFetchTimeout: time, overwrite, allowRequestWithoutCredential: isOptional } = config
    const calls = host.calls({
      timeout: time < 1000 ? time * 1000 : time,
      largestAnswer,
      verify: config.ssl_verify,
    })
    const unavailable = rejection(503, 'No credentials for the service can be had')
    const token = new Token(
      () => fetchToken(calls, config),
      () => host.now(),
    )
    return {
      async request({ request: { headers } }) {
        if (!overwrite && headers.has('authorization')) return undefined
        try {
          headers.set(authorization, `Bearer ${await token.get()}`)
          return undefined
        } catch (error) {
          host.log.warn({ reason: (error as Error).message }, 'no token could be had')
          if (!isOptional) return unavailable
          headers.remove(authorization)
          return undefined
        }
      },
    }
  },
})

interface Granted {
  readonly token: string
  /** Seconds. */
  readonly lifetime: number
}

/** One token, until shortly before its end. */
class Token {
  readonly #document: RemoteDocument<Granted>
  readonly #now: () => number
  #since = 0

  constructor(fetch: () => Promise<Granted>, now: () => number) {
    this.#now = now
    this.#document = new RemoteDocument(
      async () => {
        const granted = await fetch()
        this.#since = now()
        return granted
      },
      now,
      { goodFor: Number.POSITIVE_INFINITY, pause: 1000 },
    )
  }

  /** @throws Error */
  async get(): Promise<string> {
    const known = await this.#document.get()
    if (!this.#isOver(known, margin)) return known.token
    const fresh = await this.#document.refresh()
    if (this.#isOver(fresh, 0)) throw new Error('the token is over, and no other can be had')
    return fresh.token
  }

  #isOver({ lifetime }: Granted, early: number): boolean {
    return this.#now() - this.#since >= Math.max(1, lifetime - early) * 1000
  }
}

interface Settings {
  readonly oauthService: string
  readonly clientId: string
  readonly clientSecret: string
  readonly scope: readonly string[]
}

async function fetchToken(
  calls: CallClient,
  { oauthService: url, clientId, clientSecret, scope }: Settings,
): Promise<Granted> {
  // RFC 6749 2.3.1: both are encoded as in forms.
  const pair = [clientId, clientSecret].map((text) => encodeURIComponent(text)).join(':')
  const form = new URLSearchParams({ grant_type: 'client_credentials' })
  if (scope.length > 0) form.set('scope', scope.join(' '))
  const answer = await calls.call({
    method: 'POST',
    url,
    headers: {
      authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    },
    body: form.toString(),
  })
  const { access_token: token, expires_in: seconds } = (jsonOf(answer) ?? {}) as Record<string, unknown>
  if (answer.status !== 200 || typeof token !== 'string' || !tokenForm.test(token)) {
    throw new CallError('unreachable', `the authorization server answered ${answer.status} without a token`)
  }
  const lifetime = Number(seconds)
  return { token, lifetime: Number.isFinite(lifetime) && lifetime > 0 ? lifetime : usualLifetime }
}
