import {
  anonymousConsumer,
  anonymousStandIn,
  definePolicy,
  headerBlock,
  headerName,
  readBasicCredentials,
  realm,
  Type,
} from '../kit/index.ts'

/** Both halves make the key, so that an unknown user and a wrong password take one lookup and look alike. */
const keyOf = (credential: { username: string; password: string }) =>
  keyFor(credential.username, credential.password)
const keyFor = (username: string, password: string) => `${username}\0${password}`

const authorization = headerName('Authorization')
const whitespace = /\s+/g

/** HTTP Basic credentials of consumers; configuration and answers of APISIX's `basic-auth`. */
export default definePolicy({
  name: 'basic-auth',
  summary: 'Identifies a consumer by a user name and a password (HTTP Basic).',
  details:
    'A rejection is 401 with `WWW-Authenticate: Basic realm="..."` and one of `{"message":"Missing ' +
    'authorization in request"}`, `{"message":"Invalid authorization in request"}` and ' +
    '`{"message":"Invalid user authorization"}`. An unknown user and a wrong password get the same ' +
    'answer in the same time.\n\nUnlike in APISIX a password may hold colons (RFC 7617): everything ' +
    'after the first one counts. White space that a client sends around a pair is ignored where the ' +
    'pair with it is not known.',
  stage: 'identify',
  priority: 2520,
  config: Type.Object(
    {
      hide_credentials: Type.Boolean({
        default: false,
        description: 'Keep `Authorization` from the upstream.',
      }),
      realm: realm('basic'),
      anonymous_consumer: anonymousConsumer,
    },
    { 'x-apisix': { additionalProperties: undefined, title: 'work with route or service object' } },
  ),
  credential: Type.Object(
    {
      username: Type.String({ description: 'User name, unique among all consumers.' }),
      password: Type.String({ description: 'Password.', 'x-secret': true }),
    },
    { 'x-apisix': { additionalProperties: undefined, title: 'work with consumer object' } },
  ),
  credentialKey: 'username',
  create(config, host) {
    const credentials = host.credentials(keyOf)
    const headers = headerBlock([['WWW-Authenticate', `Basic realm="${config.realm}"`]])
    const missing = { status: 401, body: { message: 'Missing authorization in request' }, headers }
    const malformed = { status: 401, body: { message: 'Invalid authorization in request' }, headers }
    const unknown = { status: 401, body: { message: 'Invalid user authorization' }, headers }
    const standIn = anonymousStandIn(config.anonymous_consumer, host, unknown)

    return {
      request(exchange) {
        const field = exchange.request.headers.get('authorization')
        const presented = field === undefined ? undefined : readBasicCredentials(field)
        const found = presented && find(presented.user, presented.password)
        if (found) {
          exchange.identify(found.consumer, found.credentialId)
        } else {
          const refusal = field === undefined ? missing : presented ? unknown : malformed
          const refused = standIn(exchange, refusal)
          if (refused !== undefined) return refused
        }
        if (config.hide_credentials) exchange.request.headers.remove(authorization)
        return undefined
      },
    }

    /** APISIX drops white space, which clients send that encode the output of `echo`; exact pairs come first. */
    function find(user: string, password: string) {
      const exact = credentials.find(keyFor(user, password))
      if (exact || !(/\s/.test(user) || /\s/.test(password))) return exact
      return credentials.find(keyFor(user.replace(whitespace, ''), password.replace(whitespace, '')))
    }
  },
})
