import {
  type CallAnswer,
  CallError,
  callOptions,
  definePolicy,
  type Exchange,
  headerBlock,
  InvalidHeaderError,
  jsonOf,
  serviceUrlProblem,
  type Verdict,
} from '../kit/index.ts'
import { Keycloak, KeycloakError, readGrant } from './keycloak.ts'
import { ServiceAccount } from './service-account.ts'
import { settings } from './settings.ts'

/** As Keycloak itself says it. */
const notAuthorized = '{"error":"access_denied","error_description":"not_authorized"}'
const form = /^application\/x-www-form-urlencoded *(;|$)/i

/** Keycloak decides; configuration and answers of APISIX's `authz-keycloak`. */
export default definePolicy({
  name: 'authz-keycloak',
  summary: 'Asks Keycloak, or another server that speaks UMA, whether the owner of a token may pass.',
  details:
    'The token of `Authorization` is shown to the token endpoint with the permissions that the request needs: those of ' +
    '`permissions`, or with `lazy_load_paths` the resources that the path belongs to, which the gateway asks for with a ' +
    'token of its own (the client needs a service account with `uma_protection`). A request that needs no permission ' +
    'is refused, unless `policy_enforcement_mode` is `PERMISSIVE`: then Keycloak decides on all that the token ' +
    'permits.\n\nWithout a token: 401 with `{"message":"Missing JWT token in request"}`. What Keycloak refuses has its ' +
    'status and body; a 403 is 307 to `access_denied_redirect_uri` where there is one. A Keycloak that does not answer, ' +
    'or not as it should, is 503.\n\nA POST of a form with `username` and `password` to ' +
    '`password_grant_token_generation_incoming_uri` is answered with a token (422 without one of them, 401 when ' +
    'Keycloak gives none); it never reaches the upstream.\n\nUnlike in APISIX, a redirect of Keycloak lets nobody pass, ' +
    'nor does an answer with `"result": false`; a token of the gateway that cannot be renewed is fetched anew; bodies ' +
    'that are too large are 413. Endpoints of a discovery document that came over TLS must be `https`. Answers are ' +
    'read up to 1 MiB.',
  stage: 'authorize',
  priority: 2000,
  config: settings,
  validate(config) {
    for (const field of ['discovery', 'token_endpoint', 'resource_registration_endpoint'] as const) {
      const url = config[field]
      const problem = url === undefined ? undefined : serviceUrlProblem(url)
      if (problem !== undefined) return `${field} ${problem}`
    }
    return redirectProblem(config.access_denied_redirect_uri)
  },
  create(config, host) {
    const keycloak = new Keycloak(config, host.calls(callOptions(config)), host.now)
    const account = new ServiceAccount(config, keycloak, host.now)
    const path = host.variable('uri')
    const requestUri = host.variable('request_uri')
    const { http_method_as_scope: addsMethod, password_grant_token_generation_incoming_uri: grantUri } =
      config
    const redirect = config.access_denied_redirect_uri
    const denial: Verdict | undefined =
      redirect === undefined ? undefined : { status: 307, headers: headerBlock([['Location', redirect]]) }
    const missing: Verdict = { status: 401, body: { message: 'Missing JWT token in request' } }
    const noAnswer = { status: 401, body: { message: 'Accessing token endpoint URL failed.' } }
    const noGrant = { status: 401, body: { message: 'Could not decode JSON from response.' } }
    const unavailable: Verdict = { status: 503 }
    const isEnforcing = config.policy_enforcement_mode === 'ENFORCING'

    return { request: run }

    async function run(exchange: Exchange): Promise<Verdict | undefined> {
      if (grantUri !== undefined && asksForToken(exchange)) return grantToken(exchange)
      const field = exchange.request.headers.get('authorization')
      if (field === undefined || field === '') return missing
      const authorization = /^[Bb]earer /.test(field) ? field : `Bearer ${field}`
      try {
        const permissions = await permissionsFor(exchange)
        if (permissions.length === 0 && isEnforcing) return denial ?? { status: 403, body: notAuthorized }
        return verdictOf(await keycloak.decision(authorization, permissions))
      } catch (error) {
        return failed(error, unavailable)
      }
    }

    async function permissionsFor(exchange: Exchange): Promise<readonly string[]> {
      const needed = config.lazy_load_paths
        ? await keycloak.resources(path(exchange) ?? '/', await account.accessToken())
        : config.permissions
      if (!addsMethod) return needed
      const { method } = exchange.request
      return needed.map((one) => (one.includes('#') ? `${one}, ${method}` : `${one}#${method}`))
    }

    function verdictOf(answer: CallAnswer): Verdict | undefined {
      const { status } = answer
      if (status === 403) return denial ?? relayed(answer)
      if (status >= 400) {
        if (status !== 401) host.log.error({ status }, 'Keycloak could not decide')
        return relayed(answer)
      }
      if (status >= 300) throw new KeycloakError(`it answers ${status}`)
      const decision = jsonOf(answer) as { result?: unknown } | null | undefined
      return decision?.result === false ? (denial ?? { status: 403, body: notAuthorized }) : undefined
    }

    function asksForToken(exchange: Exchange): boolean {
      const { method, headers } = exchange.request
      return (
        method === 'POST' && requestUri(exchange) === grantUri && form.test(headers.get('content-type') ?? '')
      )
    }

    /** With the name and the password in the body (RFC 6749 4.3). */
    async function grantToken({ request }: Exchange): Promise<Verdict> {
      const text = await request.readBody(config.max_req_body_size)
      if (text === null) return { status: 413 }
      const fields = new URLSearchParams(Buffer.from(text, 'latin1').toString())
      for (const name of ['username', 'password']) {
        if (fields.getAll(name).length !== 1) return { status: 422, body: { message: `${name} is missing.` } }
      }
      try {
        const answer = await keycloak.grant([
          ['grant_type', 'password'],
          ['username', fields.get('username')!],
          ['password', fields.get('password')!],
        ])
        readGrant(answer)
        return relayed(answer)
      } catch (error) {
        return failed(error, error instanceof CallError ? noAnswer : noGrant)
      }
    }

    function failed(error: unknown, verdict: Verdict): Verdict {
      if (!(error instanceof CallError) && !(error instanceof KeycloakError)) throw error
      host.log.error({ reason: error.message }, 'Keycloak gave no answer that can be used')
      return verdict
    }
  },
})

/** An answer of Keycloak for the client. */
function relayed(answer: CallAnswer): Verdict {
  const { status, body } = answer
  const isJson = jsonOf(answer) !== undefined
  return { status, body: body.toString(), ...(isJson && { contentType: 'application/json' }) }
}

function redirectProblem(uri: string | undefined): string | undefined {
  try {
    if (uri !== undefined) headerBlock([['Location', uri]])
    return undefined
  } catch (error) {
    if (!(error instanceof InvalidHeaderError)) throw error
    return 'access_denied_redirect_uri cannot stand in a field'
  }
}
