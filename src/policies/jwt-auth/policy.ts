import {
  algorithms,
  anonymousConsumer,
  anonymousStandIn,
  definePolicy,
  digestOf,
  type Exchange,
  headerBlock,
  headerName,
  isSecret,
  isTimely,
  queryValues,
  readToken,
  realm,
  Type,
  type VerifiedToken,
  VerifiedTokens,
  type Verifier,
  verifierOf,
  withoutQueryParameter,
} from '../kit/index.ts'

/** In this thread, over all bindings: about 2 MiB at most, since no token is kept but what is known of it. */
const verified = new VerifiedTokens(4096)

const isSmall = (key: string) => key.length <= 256
const isTime = (claim: unknown) => claim === undefined || typeof claim === 'number'

const keyOf = (credential: { key: string }) => credential.key

/** JSON Web Tokens that consumers sign; configuration and answers of APISIX's `jwt-auth`. */
export default definePolicy({
  name: 'jwt-auth',
  summary: 'Identifies a consumer by a JSON Web Token in a header, the query or a cookie.',
  details:
    'The claim `key` of the token says which consumer it is, whose key and algorithm the signature is checked ' +
    'with: what the token says of its algorithm has to be the same and decides nothing. `exp` and `nbf` count where ' +
    'they are there, and have to be there where `claims_to_verify` names them. That a signature is good is remembered for ' +
    'some thousand tokens of late, by their digests, until the key of the consumer changes; the times and the consumer are ' +
    'looked at with every request.\n\nA rejection is 401 with ' +
    '`WWW-Authenticate: Bearer realm="..."` and one of `Missing JWT token in request`, `JWT token invalid`, `missing ' +
    'user key in JWT token`, `Invalid user key in JWT token` and `failed to verify jwt` as its `message`.',
  stage: 'identify',
  priority: 2510,
  config: Type.Object(
    {
      header: Type.String({
        default: 'authorization',
        description: 'Header that carries the token; asked first.',
      }),
      query: Type.String({ default: 'jwt', description: 'Query parameter that carries it; asked next.' }),
      cookie: Type.String({ default: 'jwt', description: 'Cookie that carries it; asked last.' }),
      hide_credentials: Type.Boolean({ default: false, description: 'Keep the token from the upstream.' }),
      key_claim_name: Type.String({
        default: 'key',
        minLength: 1,
        description: 'Claim that names the consumer, by its `key`.',
      }),
      store_in_ctx: Type.Boolean({ default: false, description: 'Has no effect.' }),
      realm: realm('jwt'),
      anonymous_consumer: anonymousConsumer,
      claims_to_verify: Type.Optional(
        Type.Array(Type.Enum(['exp', 'nbf']), {
          uniqueItems: true,
          description: 'Claims that a token must have, and fulfil.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  credential: Type.Object(
    {
      key: Type.String({
        minLength: 1,
        description: 'What the claim of a token says, unique among all consumers.',
      }),
      secret: Type.Optional(
        Type.String({ minLength: 1, description: 'Key of the algorithms `HS...`.', 'x-secret': true }),
      ),
      public_key: Type.Optional(
        Type.String({ minLength: 1, description: 'Key of all other algorithms, in PEM.' }),
      ),
      algorithm: Type.Enum(algorithms, { default: 'HS256', description: 'Algorithm of the signature.' }),
      exp: Type.Integer({
        minimum: 1,
        default: 86_400,
        description: 'Has no effect: tokens are not made here.',
      }),
      base64_secret: Type.Boolean({ default: false, description: '`secret` is written in base64.' }),
      lifetime_grace_period: Type.Integer({
        minimum: 0,
        default: 0,
        description: 'Seconds by which clocks may differ.',
      }),
    },
    {
      additionalProperties: false,
      dependencies: {
        algorithm: {
          oneOf: [
            { properties: { algorithm: { enum: ['HS256', 'HS384', 'HS512'], default: 'HS256' } } },
            {
              properties: {
                public_key: { type: 'string', minLength: 1 },
                algorithm: { enum: algorithms.filter((name) => !isSecret(name)) },
              },
              required: ['public_key'],
            },
          ],
        },
      },
    },
  ),
  credentialKey: 'key',
  validateCredential({ algorithm, secret, base64_secret: encoded }) {
    if (!isSecret(algorithm)) return undefined
    if (secret === undefined) return 'property "secret" is required when using HS based algorithms'
    if (encoded && !/^[A-Za-z0-9+/]+={0,2}$/.test(secret)) {
      return 'base64_secret required but the secret is not in base64 format'
    }
    return undefined
  },
  create(config, host) {
    const header = headerName(config.header)
    const credentials = host.credentials(keyOf)
    const headers = headerBlock([['WWW-Authenticate', `Bearer realm="${config.realm}"`]])
    const refusal = (message: string) => ({ status: 401, body: { message }, headers })
    const missing = refusal('Missing JWT token in request')
    const invalid = refusal('JWT token invalid')
    const nobody = refusal('missing user key in JWT token')
    const stranger = refusal('Invalid user key in JWT token')
    const failed = refusal('failed to verify jwt')
    const standIn = anonymousStandIn(config.anonymous_consumer, host, refusal('Invalid user authorization'))
    const cookie = host.variable(`cookie_${config.cookie}`)
    const required = config.claims_to_verify ?? []
    /** Keys are read once for each credential; one that cannot be used verifies nothing. */
    const verifiers = new WeakMap<object, Verifier>()

    return {
      request(exchange) {
        const refused = identify(exchange)
        return refused && standIn(exchange, refused)
      },
    }

    function identify(exchange: Exchange) {
      const text = takeToken(exchange)
      if (text === undefined) return missing
      const digest = digestOf(text)
      const known = verified.find(digest)
      if (known !== undefined && known.claim === config.key_claim_name) {
        const found = credentials.find(known.key)
        if (found?.config === known.credential) return accept(exchange, known.times, found)
      }
      const token = readToken(text)
      if (token === undefined) return invalid
      const key = token.payload[config.key_claim_name]
      if (typeof key !== 'string' || key === '') return nobody
      const presented = Buffer.from(key).toString('latin1')
      const found = credentials.find(presented)
      if (!found) return stranger
      if (!verifierFor(found.config)(token)) return failed
      const { exp, nbf } = token.payload
      const good = {
        credential: found.config,
        claim: config.key_claim_name,
        key: presented,
        times: { exp, nbf },
      }
      if (isSmall(presented) && isTime(exp) && isTime(nbf)) verified.keep(digest, good)
      return accept(exchange, good.times, found)
    }

    function accept(
      exchange: Exchange,
      times: VerifiedToken['times'],
      found: NonNullable<ReturnType<typeof credentials.find>>,
    ) {
      const grace = found.config.lifetime_grace_period
      if (!isTimely(times, required, grace, Math.floor(host.now() / 1000))) return failed
      exchange.identify(found.consumer, found.credentialId)
      return undefined
    }

    function verifierFor(credential: Parameters<typeof verifierOf>[0]): Verifier {
      let verifier = verifiers.get(credential)
      if (!verifier) {
        try {
          verifier = verifierOf(credential)
        } catch (error) {
          host.log.error({ reason: (error as Error).message }, 'a key of jwt-auth cannot be used')
          verifier = () => false
        }
        verifiers.set(credential, verifier)
      }
      return verifier
    }

    function takeToken(exchange: Exchange): string | undefined {
      const { request } = exchange
      const field = request.headers.get(header.lower)
      if (field !== undefined) {
        if (config.hide_credentials) request.headers.remove(header)
        return /^[Bb]earer /.test(field) ? field.slice('Bearer '.length) : field
      }
      const [inQuery, ...more] = queryValues(request.query, config.query)
      if (inQuery !== undefined) {
        if (config.hide_credentials) request.setQuery(withoutQueryParameter(request.query, config.query))
        // Which of several counts would be up to the reader.
        return more.length > 0 ? '' : inQuery
      }
      const inCookie = cookie(exchange)
      if (inCookie !== undefined && config.hide_credentials) hideCookie(exchange)
      return inCookie
    }

    function hideCookie({ request }: Exchange): void {
      const kept = (request.headers.getAll('cookie') ?? '')
        .split(/[;,]/)
        .map((pair) => pair.trim())
        .filter((pair) => pair !== '' && pair.split('=', 1)[0] !== config.cookie)
      if (kept.length === 0) request.headers.remove('cookie')
      else request.headers.set('Cookie', kept.join('; '))
    }
  },
})
