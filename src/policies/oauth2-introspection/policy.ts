import {
  CallError,
  definePolicy,
  type Exchange,
  headerBlock,
  headerNameProblem,
  serviceUrlProblem,
  Type,
  type Verdict,
} from '../kit/index.ts'
import { AnswerError, type Claims, Introspection } from './introspection.ts'

const idOf = (credential: { client_id: string }) => credential.client_id
const realm = 'OAuth2 Introspection Client Realm'
/** RFC 6750 2.1; what it is made of needs no escapes anywhere. */
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i
const largestAnswer = 32 * 1024
const fieldPrefix = 'x-agw-'
const notExposed = new Set(['scope', 'exp'])
/** What may stand in a field as it is. */
const plain = /^[\x20-\x7e]*$/

const refusal = (status: number, error: string, reason?: string): Verdict => {
  const told = reason === undefined ? '' : `, error="${reason}"`
  return {
    status,
    body: JSON.stringify({ error }),
    contentType: 'application/json',
    headers: headerBlock([['WWW-Authenticate', `Bearer realm="${realm}"${told}`]]),
  }
}
const missing = refusal(401, 'No access token')
const malformed = refusal(400, 'Invalid request', 'invalid_request')
const inactive = refusal(401, 'Invalid token', 'invalid_token')
const outOfScope = refusal(403, 'Insufficient scope', 'insufficient_scope')
const unknownClient = refusal(403, 'Invalid client application', 'invalid_token')
const failure = (status: number, error: string): Verdict => ({
  status,
  body: JSON.stringify({ error }),
  contentType: 'application/json',
})
const unreachable = failure(503, 'The authorization server does not answer')
const unreadable = failure(500, 'Bad response from the authorization server')

/** Opaque tokens (RFC 7662); configuration of the Flex policy `oauth2-token-introspection-flex`. */
export default definePolicy({
  name: 'oauth2-introspection',
  summary: 'Lets in who has a bearer token that an authorization server vouches for (RFC 7662).',
  details:
    'The token of `Authorization: Bearer` is shown to `introspectionURL`. What it says of the token stays known for ' +
    '`validatedTokenTTL`, and never beyond the `exp` of the token; that a token is not active stays known for five ' +
    'seconds; failures are not kept. Kept is a hash of the token, not the token. Scopes and clients are checked with ' +
    'every request.\n\nThe client that a token was given to has to be a consumer, and where contracts name the API, ' +
    'one with a contract, unless `skipClientIdValidation` is on. With it, any token that is active passes, and a ' +
    'consumer is attached where one is known.\n\nRejections have a body `{"error":"..."}` and a challenge as in RFC ' +
    '6750: 401 without a token and for one that is not active, 400 for an `Authorization: Bearer` that cannot be read ' +
    'or is there twice, 403 for missing scopes and unknown clients. A server that does not answer is 503, an answer ' +
    'that cannot be used is 500; nobody passes.\n\nWith `exposeHeaders` the upstream gets `X-AGW-NAME` for each ' +
    'claim that is a text, a number or a boolean, `scope` and `exp` apart. Those fields never come from a client.',
  stage: 'identify',
  // Between APISIX's openid-connect (2599) and cas-auth (2597).
  priority: 2598,
  config: Type.Object(
    {
      introspectionURL: Type.String({ description: 'URL that tokens are shown to.' }),
      authorizationValue: Type.String({
        minLength: 1,
        'x-secret': true,
        description: 'Value of `Authorization` for it, such as `Basic Y2xpZW50OnNlY3JldA==`.',
      }),
      validatedTokenTTL: Type.Integer({
        minimum: 0,
        default: 600,
        description: 'Seconds that an answer is kept at most; 0: none is kept.',
      }),
      authenticationTimeout: Type.Integer({
        minimum: 1,
        maximum: 60_000,
        default: 10_000,
        description: 'Milliseconds for an answer.',
      }),
      maxCacheEntries: Type.Integer({
        minimum: 0,
        maximum: 100_000,
        default: 1000,
        description: 'Tokens that stay known, on each thread; 0: none.',
      }),
      scopes: Type.String({ default: '', description: 'Scopes, separated by spaces. Empty: any will do.' }),
      scopeValidationCriteria: Type.Enum(['AND', 'OR'], {
        default: 'AND',
        description: 'A token needs all of the scopes, or one of them.',
      }),
      consumerBy: Type.Enum(['client_id', 'username'], {
        default: 'client_id',
        description:
          'Claim that names the consumer: its client id (`client_id` of its credential), or its user name.',
      }),
      skipClientIdValidation: Type.Boolean({
        default: false,
        description: 'Let tokens of clients pass that are no consumers.',
      }),
      exposeHeaders: Type.Boolean({ default: false, description: 'Tell the upstream the claims.' }),
    },
    { additionalProperties: false },
  ),
  credential: Type.Object(
    { client_id: Type.String({ minLength: 1, description: 'Client id, unique among all consumers.' }) },
    { additionalProperties: false },
  ),
  credentialKey: 'client_id',
  validate({ introspectionURL: url, authorizationValue: authorization }) {
    const problem = serviceUrlProblem(url)
    if (problem !== undefined) return `introspectionURL: ${problem}`
    if (!plain.test(authorization)) return 'authorizationValue: cannot stand in a field'
    return undefined
  },
  create(config, host) {
    const calls = host.calls({ timeout: config.authenticationTimeout, largestAnswer })
    const introspection = new Introspection(
      {
        url: config.introspectionURL,
        authorization: config.authorizationValue,
        goodFor: config.validatedTokenTTL * 1000,
        kept: config.maxCacheEntries,
      },
      calls,
      host.now,
    )
    const credentials = host.credentials(idOf)
    const wanted = config.scopes.split(/\s+/).filter((scope) => scope !== '')
    const { consumerBy, skipClientIdValidation: skips, exposeHeaders: exposes } = config
    const needsAll = config.scopeValidationCriteria === 'AND'

    return { request: run }

    async function run(exchange: Exchange): Promise<Verdict | undefined> {
      if (exposes) dropExposed(exchange)
      const field = exchange.request.headers.getAll('authorization')
      if (field === undefined || !/^bearer(?![^ ,])/i.test(field)) return missing
      const token = bearer.exec(field)?.[1]
      if (token === undefined) return malformed
      let claims: Claims | undefined
      try {
        claims = await introspection.claims(token)
      } catch (error) {
        if (!(error instanceof CallError) && !(error instanceof AnswerError)) throw error
        host.log.warn({ reason: error.message }, 'a token could not be introspected')
        return error instanceof CallError ? unreachable : unreadable
      }
      if (claims === undefined) return inactive
      if (!hasScopes(claims.scope)) return outOfScope
      if (!attach(exchange, claims) && !skips) return unknownClient
      if (exposes) expose(exchange, claims)
      exchange.externalUser = claims
      return undefined
    }

    function hasScopes(scope: unknown): boolean {
      if (wanted.length === 0) return true
      const granted = scopesOf(scope)
      const has = (name: string) => granted.includes(name)
      return needsAll ? wanted.every(has) : wanted.some(has)
    }

    /** False: nobody is known who may use this API with such a token. */
    function attach(exchange: Exchange, claims: Claims): boolean {
      const name = claims[consumerBy]
      if (typeof name !== 'string' || name === '') return false
      const found =
        consumerBy === 'client_id'
          ? credentials.find(Buffer.from(name).toString('latin1'))
          : { consumer: host.consumers.find(name), credentialId: '' }
      if (found?.consumer === undefined) return false
      const { binding } = exchange
      if (
        !skips &&
        binding &&
        host.contracts.governs(binding) &&
        !host.contracts.find(found.consumer.username, binding)
      ) {
        return false
      }
      exchange.identify(found.consumer, found.credentialId)
      return true
    }
  },
})

/** A text with spaces (RFC 7662 2.2), or a list, as some servers have it. */
function scopesOf(scope: unknown): readonly unknown[] {
  if (Array.isArray(scope)) return scope
  return typeof scope === 'string' ? scope.split(/\s+/) : []
}

function dropExposed({ request: { headers } }: Exchange): void {
  const names: string[] = []
  headers.forEach((name) => {
    if (name.toLowerCase().startsWith(fieldPrefix)) names.push(name)
  })
  for (const name of names) headers.remove(name)
}

function expose({ request: { headers } }: Exchange, claims: Claims): void {
  for (const [name, value] of Object.entries(claims)) {
    if (notExposed.has(name) || !['string', 'number', 'boolean'].includes(typeof value)) continue
    const field = `X-AGW-${name}`
    if (headerNameProblem(field) !== undefined) continue
    const text = String(value)
    headers.set(field, plain.test(text) ? text : encodeURIComponent(text.toWellFormed()))
  }
}
