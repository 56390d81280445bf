import { createHash } from 'node:crypto'
import {
  anonymousConsumer,
  anonymousStandIn,
  definePolicy,
  type Exchange,
  type FoundCredential,
  headerBlock,
  openInApisix,
  realm,
  Type,
} from '../kit/index.ts'
import { readHttpDate } from './http-date.ts'
import { type Algorithm, algorithms, readParameters, SigningKey, signingText } from './signature.ts'

/** The date that came last: most requests of a second say the same. */
let lastDate = ''
let lastTime: number | undefined

function timeOf(date: string): number | undefined {
  if (date !== lastDate) {
    lastTime = readHttpDate(date)
    lastDate = date
  }
  return lastTime
}

interface Key {
  key_id: string
  secret_key: string
}
const keyOf = (credential: Key) => credential.key_id

/** Signed requests; configuration and answers of APISIX's `hmac-auth`. */
export default definePolicy({
  name: 'hmac-auth',
  summary: 'Identifies a consumer by a request that is signed with a shared key (HMAC).',
  details:
    'A request carries `Authorization: Signature keyId="...",algorithm="hmac-sha256",headers="@request-target date",' +
    'signature="..."`. Signed is the text of the key’s id and one line for each name in `headers`: `name: value`, or ' +
    'method and target for `@request-target`; each line ends with a line feed. With `validate_request_body` the field ' +
    '`Digest: SHA-256=...` has to fit the body.\n\nA rejection is 401 with `WWW-Authenticate: hmac realm="..."` and ' +
    '`{"message":"client request can\'t be validated"}`, with the reason after a colon where there is no such ' +
    '`Authorization`; a body that is too large to be looked at is 413.\n\nUnlike in APISIX, all values of a signed ' +
    'field are signed, not only the first, and a parameter that stands in `Authorization` twice is refused.',
  stage: 'identify',
  priority: 2530,
  config: Type.Object(
    {
      allowed_algorithms: Type.Array(Type.Enum(algorithms), {
        minItems: 1,
        default: algorithms,
        description: 'Algorithms that a request may be signed with.',
      }),
      clock_skew: Type.Integer({
        minimum: 1,
        default: 300,
        description: 'Seconds by which `Date` may differ from the gateway’s clock.',
      }),
      signed_headers: Type.Array(Type.String({ minLength: 1, maxLength: 50 }), {
        default: ['date'],
        description: 'Fields that have to be among those that are signed.',
      }),
      validate_request_body: Type.Boolean({
        default: false,
        description: 'Compare the body with `Digest`. Sign `digest` for it to be of use.',
        'x-apisix': { description: 'A boolean value telling the plugin to enable body validation' },
      }),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Largest body, in bytes, that is read to be compared.',
      }),
      hide_credentials: Type.Boolean({
        default: false,
        description: 'Keep `Authorization` from the upstream.',
      }),
      realm: realm('hmac'),
      anonymous_consumer: anonymousConsumer,
    },
    { 'x-apisix': { additionalProperties: undefined, title: 'work with route or service object' } },
  ),
  credential: Type.Object(
    {
      key_id: Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'Names the key, unique among all consumers.',
      }),
      secret_key: Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'The shared key.',
        'x-secret': true,
      }),
    },
    { 'x-apisix': { ...openInApisix['x-apisix'], title: 'work with consumer object' } },
  ),
  credentialKey: 'key_id',
  create(config, host) {
    const credentials = host.credentials(keyOf)
    const keys = new WeakMap<Key, SigningKey>()
    const allowed = new Set<string>(config.allowed_algorithms)
    const headers = headerBlock([['WWW-Authenticate', `hmac realm="${config.realm}"`]])
    const refusal = (message: string) => ({ status: 401, body: { message }, headers })
    const refused = refusal("client request can't be validated")
    const missing = refusal("client request can't be validated: missing Authorization header")
    const otherScheme = refusal(
      "client request can't be validated: Authorization header does not start with 'Signature'",
    )
    const noStandIn = refusal('Invalid user authorization')
    const standIn = anonymousStandIn(config.anonymous_consumer, host, noStandIn)
    const tooLarge = {
      status: 413,
      body: { message: `the request body is larger than ${config.max_req_body_size} bytes` },
    }

    return {
      request(exchange) {
        const found = findCredential(exchange)
        if ('status' in found) return refuse(exchange, found)
        return config.validate_request_body ? compareBody(exchange, found) : accept(exchange, found)
      },
    }

    /** Who signed, or how the request is refused. */
    function findCredential({ request }: Exchange): FoundCredential<Key> | typeof refused {
      const authorization = request.headers.get('authorization')
      if (authorization === undefined) return missing
      if (!authorization.startsWith('Signature')) return otherScheme
      const given = readParameters(authorization)
      if (given?.keyId === undefined || given.signature === undefined || given.algorithm === undefined) {
        return refused
      }
      const found = credentials.find(given.keyId)
      if (!found || !allowed.has(given.algorithm) || !isTimely(request.headers.get('date'))) return refused
      if (!config.signed_headers.every((name) => given.headers.includes(name))) return refused
      const text = signingText(given.keyId, given.headers, request)
      const algorithm = given.algorithm as Algorithm
      return keyOfConfig(found.config).isSigned(algorithm, text, given.signature) ? found : refused
    }

    function keyOfConfig(credential: Key): SigningKey {
      let key = keys.get(credential)
      if (key === undefined) {
        key = new SigningKey(credential.secret_key)
        keys.set(credential, key)
      }
      return key
    }

    function isTimely(date: string | undefined): boolean {
      const time = date === undefined ? undefined : timeOf(date)
      return time !== undefined && Math.abs(Math.floor(host.now() / 1000) - time) <= config.clock_skew
    }

    async function compareBody(exchange: Exchange, found: FoundCredential<Key>) {
      const { request } = exchange
      const digest = request.headers.getAll('digest')
      if (digest === undefined) return refuse(exchange, refused)
      const body = await request.readBody(config.max_req_body_size)
      if (body === null) return tooLarge
      const expected = createHash('sha256').update(body, 'latin1').digest('base64')
      return digest === `SHA-256=${expected}` ? accept(exchange, found) : refuse(exchange, refused)
    }

    function accept(exchange: Exchange, { consumer, credentialId }: FoundCredential<Key>): undefined {
      if (config.hide_credentials) exchange.request.headers.remove('authorization')
      exchange.identify(consumer, credentialId)
    }

    function refuse(exchange: Exchange, refusal: typeof refused) {
      const answer = standIn(exchange, refusal)
      if (answer === undefined && config.hide_credentials) exchange.request.headers.remove('authorization')
      return answer
    }
  },
})
