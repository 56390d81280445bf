import {
  type CallProxies,
  definePolicy,
  type Exchange,
  headerBlock,
  schemaTest,
  serviceUrlProblem,
  type Verdict,
} from '../kit/index.ts'
import { BearerCheck, TokenError } from './bearer.ts'
import { CodeFlow, type Login } from './code-flow.ts'
import { keyFinding } from './key-findings.ts'
import { type Claims, Provider } from './provider.ts'
import { type Settings, settings } from './settings.ts'

/** What only this policy says to the upstream. */
const ownFields = ['X-Access-Token', 'X-Userinfo', 'X-ID-Token', 'X-Refresh-Token', 'X-Raw-ID-Token']

/** OpenID Connect; configuration and answers of APISIX's `openid-connect`. */
export default definePolicy({
  name: 'openid-connect',
  summary: 'Lets in who logged in with an OpenID provider, or has a bearer token of one.',
  details:
    'A bearer token (`Authorization: Bearer`, or `X-Access-Token`) is verified with `public_key`, with the keys of the ' +
    'provider (`use_jwks`), or by introspection. Without one, a browser logs in with an authorization code; who it is ' +
    'stays in a cookie that only the gateway can read. The upstream gets `X-Access-Token`, `X-ID-Token`, `X-Userinfo`, ' +
    '`X-Raw-ID-Token` and `X-Refresh-Token` from this policy alone, never from a client.\n\nA refused token is 401 with ' +
    'a challenge that says why, missing scopes and a wrong audience are 403. A provider that does not answer is 500 in ' +
    'a login, 503 in a logout.\n\nUnlike in APISIX, which algorithms a signature may have follows from the key: ' +
    '`accept_none_alg` and `accept_unsupported_alg` have no effect. There always is a nonce, and PKCE where the ' +
    'provider knows it. `Forwarded`, `X-Forwarded-Host` and `X-Forwarded-Proto` ' +
    'of trusted proxies say where the browser comes back to. With `dpop`, a token that is not bound to the key is refused. What the provider says of a token is kept only with `introspection_interval`. Sessions are ' +
    'kept in cookies, or in Redis with a cookie that names them there; only then does a logout end copies of the cookie too.',
  stage: 'identify',
  priority: 2599,
  version: 0.2,
  config: settings,
  validate(config) {
    const { bearer_only: bearerOnly, client_secret: secret, session } = config
    if (!bearerOnly && session === undefined) {
      return 'property "session.secret" is required when "bearer_only" is false'
    }
    const needsNoSecret = bearerOnly
      ? config.public_key !== undefined ||
        config.use_jwks ||
        config.introspection_endpoint_auth_method === 'private_key_jwt'
      : config.token_endpoint_auth_method === 'private_key_jwt' || config.use_pkce
    if (!needsNoSecret && secret === undefined) return 'property "client_secret" is required'
    for (const name of ['http_proxy', 'https_proxy'] as const) {
      const url = config.proxy_opts?.[name]
      const problem = url === undefined ? undefined : serviceUrlProblem(url)
      if (problem !== undefined) return `proxy_opts.${name} ${problem}`
    }
    if (config.claim_schema !== undefined) {
      const test = schemaTest(config.claim_schema)
      if ('problem' in test) return `check claim_schema failed: ${test.problem}`
    }
    return keyFinding(config)
  },
  create(config, host) {
    const milliseconds = config.timeout >= 1000 && config.timeout % 1000 === 0
    const calls = host.calls({
      timeout: milliseconds ? config.timeout : config.timeout * 1000,
      verify: config.ssl_verify,
      ...(config.proxy_opts && { proxies: proxiesOf(config.proxy_opts) }),
    })
    const provider = new Provider(config, calls, host.now)
    const bearer = new BearerCheck(config, provider, host.now)
    const flow = config.bearer_only ? undefined : new CodeFlow(config, provider, bearer, host)
    const takesTokens =
      config.bearer_only ||
      config.introspection_endpoint !== undefined ||
      config.public_key !== undefined ||
      config.use_jwks
    const claimTest = config.claim_schema === undefined ? undefined : schemaTest(config.claim_schema)
    const required = config.required_scopes
    const missingScopes: Verdict = {
      status: 403,
      body: JSON.stringify({ error: `required scopes ${required?.join(', ')} not present` }),
    }

    return { request: run }

    async function run(exchange: Exchange): Promise<Verdict | undefined> {
      const { headers } = exchange.request
      const shown = takesTokens ? presentedToken(exchange) : undefined
      for (const name of ownFields) headers.remove(name)
      if (shown === null) return { status: 400 }
      if (shown !== undefined) return checkBearer(exchange, shown)
      if (flow === undefined) return { status: 401, headers: challenge() }
      const result = await flow.run(exchange)
      if (result === null) return undefined
      return 'verdict' in result ? result.verdict : accept(exchange, result.login)
    }

    async function checkBearer(exchange: Exchange, token: string): Promise<Verdict | undefined> {
      let claims: Claims
      try {
        claims = await bearer.check(token, exchange)
      } catch (error) {
        if (!(error instanceof TokenError)) throw error
        host.log.warn({ reason: error.message }, 'a bearer token of openid-connect is refused')
        return { status: 401, headers: challenge(error.message) }
      }
      if (required && !hasScopes(claims.scope)) return missingScopes
      const audience = audienceProblem(claims, config)
      if (audience !== undefined) return { status: 403, body: JSON.stringify({ error: audience }) }
      const unfit = claimTest && 'problem' in claimTest ? claimTest.problem : claimTest?.(claims)
      if (unfit !== undefined) return { status: 401, headers: challenge(unfit) }
      tellAccessToken(exchange, token)
      if (config.set_userinfo_header) exchange.request.headers.set('X-Userinfo', base64(claims))
      exchange.externalUser = claims
      return undefined
    }

    function accept(exchange: Exchange, login: Login): Verdict | undefined {
      const { headers } = exchange.request
      const told = { user: login.user, access_token: login.access_token, id_token: login.claims }
      const unfit = claimTest && 'problem' in claimTest ? claimTest.problem : claimTest?.(withoutAbsent(told))
      if (unfit !== undefined) return { status: 401, headers: challenge(unfit) }
      if (required && !hasScopes(login.scope ?? login.claims.scope)) return missingScopes
      tellAccessToken(exchange, login.access_token)
      if (config.set_id_token_header) headers.set('X-ID-Token', base64(login.claims))
      if (config.set_raw_id_token_header) headers.set('X-Raw-ID-Token', login.id_token)
      if (config.set_userinfo_header && login.user) headers.set('X-Userinfo', base64(login.user))
      if (config.set_refresh_token_header && login.refresh_token !== undefined) {
        headers.set('X-Refresh-Token', login.refresh_token)
      }
      exchange.externalUser = { ...login.claims, ...login.user }
      return undefined
    }

    function tellAccessToken({ request: { headers } }: Exchange, token: string): void {
      if (!config.set_access_token_header) return
      if (config.access_token_in_authorization_header) headers.set('Authorization', `Bearer ${token}`)
      else headers.set('X-Access-Token', token)
    }

    function hasScopes(scope: unknown): boolean {
      const granted = typeof scope === 'string' ? scope.split(/\s+/) : []
      return required!.every((name) => granted.includes(name))
    }

    function challenge(why?: string) {
      const error = why === undefined ? '' : `, error="invalid_token", error_description="${quotable(why)}"`
      return headerBlock([['WWW-Authenticate', `Bearer realm="${config.realm}"${error}`]])
    }
  },
})

function proxiesOf(options: NonNullable<Settings['proxy_opts']>): CallProxies {
  const proxy = (url?: string, authorization?: string) =>
    url === undefined ? undefined : { url, ...(authorization !== undefined && { authorization }) }
  const http = proxy(options.http_proxy, options.http_proxy_authorization)
  const https = proxy(options.https_proxy, options.https_proxy_authorization)
  const { no_proxy: except } = options
  return { ...(http && { http }), ...(https && { https }), ...(except !== undefined && { except }) }
}

/** The token of a request; undefined: none, null: a field that cannot be read. */
function presentedToken({ request: { headers } }: Exchange): string | undefined | null {
  const field = headers.get('authorization')
  if (field === undefined) return headers.get('x-access-token')
  const space = field.indexOf(' ')
  if (space === -1) return null
  return field.slice(0, space).toLowerCase() === 'bearer' ? field.slice(space + 1).trim() : undefined
}

function audienceProblem(
  claims: Claims,
  { claim_validator: validator, client_id: id }: Settings,
): string | undefined {
  const { claim = 'aud', required = false, match_with_client_id: matches = false } = validator?.audience ?? {}
  const value = claims[claim]
  if (value === undefined || value === null) {
    return required || matches ? 'required audience claim not present' : undefined
  }
  if (!matches) return undefined
  return (Array.isArray(value) ? value.includes(id) : value === id) ? undefined : 'mismatched audience'
}

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')
/** What may stand between quotes in a field. */
const quotable = (text: string) => text.replace(/[^ !#-[\]-~]/g, "'")
const withoutAbsent = (value: object) => JSON.parse(JSON.stringify(value)) as object
