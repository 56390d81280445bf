import {
  definePolicy,
  headerBlock,
  headerName,
  openInApisix,
  readBasicCredentials,
  realm,
  Type,
} from '../kit/index.ts'
import { Directory } from '../kit/ldap/directory.ts'
import { escapedValue, inUtf8, parseDirectoryAddress } from '../kit/ldap/name.ts'

const nameOf = (credential: { user_dn: string }) => credential.user_dn
const authorization = headerName('Authorization')
/** Milliseconds, as in APISIX. */
const timeout = 10_000

/** Passwords that an LDAP server checks; configuration and answers of APISIX's `ldap-auth`. */
export default definePolicy({
  name: 'ldap-auth',
  summary: 'Identifies a consumer by a user name and a password (HTTP Basic) that an LDAP server knows.',
  details:
    'The gateway binds to the server as `UID=USER,BASE_DN` with the password of the request, within ten seconds. The ' +
    'consumer is the one whose `user_dn` is that name. Characters of a user name that mean something in a name (`,`, ' +
    '`+`, `=`, `<`, `>`, `;`, `"`, `\\`, a space or `#` at its beginning, a space at its end) have a backslash before ' +
    'them, in `user_dn` too.\n\nA rejection is 401 with `WWW-Authenticate: Basic realm="..."` and one of ' +
    '`{"message":"Missing authorization in request"}`, `{"message":"Invalid authorization in request"}` and ' +
    '`{"message":"Invalid user authorization"}`, the last one also where the server does not answer.\n\nUnlike in ' +
    'APISIX, a password may hold colons and white space (RFC 7617), one that is empty is refused without asking, the ' +
    'port with TLS is 636 where none is given, and a request is rejected in the same words where no consumer has a ' +
    '`user_dn` at all. Without `use_tls`, passwords are readable on their way to the server.',
  stage: 'identify',
  priority: 2540,
  config: Type.Object(
    {
      base_dn: Type.String({ description: 'Name below which users are: `ou=users,dc=example,dc=org`.' }),
      ldap_uri: Type.String({ description: 'Address of the server: `ldap.example.org:389`.' }),
      use_tls: Type.Boolean({ default: false, description: 'Speak TLS from the beginning.' }),
      tls_verify: Type.Boolean({ default: false, description: 'Check the certificate of the server.' }),
      uid: Type.String({
        default: 'cn',
        pattern: '^([A-Za-z][A-Za-z0-9-]*|[0-9]+([.][0-9]+)*)$',
        'x-apisix': { pattern: undefined },
        description: 'Attribute that the user name is in.',
      }),
      hide_credentials: Type.Boolean({
        default: false,
        description: 'Keep `Authorization` from the upstream.',
      }),
      realm: realm('ldap'),
    },
    { 'x-apisix': { ...openInApisix['x-apisix'], title: 'work with route or service object' } },
  ),
  credential: Type.Object(
    {
      user_dn: Type.String({ description: 'Name of the user in the directory, unique among all consumers.' }),
    },
    { 'x-apisix': { ...openInApisix['x-apisix'], title: 'work with consumer object' } },
  ),
  credentialKey: 'user_dn',
  validate({ ldap_uri: address }) {
    return parseDirectoryAddress(address) === undefined ? 'ldap_uri: write HOST or HOST:PORT' : undefined
  },
  create(config, host) {
    const { host: name, port, tls } = parseDirectoryAddress(config.ldap_uri)!
    const secure = config.use_tls || tls
    const directory = new Directory({
      host: name,
      port: port ?? (secure ? 636 : 389),
      tls: secure,
      verify: config.tls_verify,
      timeout,
    })
    const credentials = host.credentials(nameOf)
    const headers = headerBlock([['WWW-Authenticate', `Basic realm="${config.realm}"`]])
    const missing = { status: 401, body: { message: 'Missing authorization in request' }, headers }
    const malformed = { status: 401, body: { message: 'Invalid authorization in request' }, headers }
    const unknown = { status: 401, body: { message: 'Invalid user authorization' }, headers }

    return {
      async request(exchange) {
        const field = exchange.request.headers.get('authorization')
        if (field === undefined) return missing
        const presented = readBasicCredentials(field)
        if (presented === undefined) return malformed
        const user = inUtf8(presented.user)
        const password = inUtf8(presented.password)
        if (user === undefined || user === '' || password === undefined) return unknown
        const dn = `${config.uid}=${escapedValue(user)},${config.base_dn}`
        const refusal = host.mayAsk
          ? await directory.refusal(dn, password)
          : 'no directory is asked to explain a request'
        if (refusal !== undefined) {
          host.log.warn({ reason: refusal }, 'the directory did not let a user of ldap-auth in')
          return unknown
        }
        const found = credentials.find(Buffer.from(dn).toString('latin1'))
        if (found === undefined) return unknown
        exchange.identify(found.consumer, found.credentialId)
        if (config.hide_credentials) exchange.request.headers.remove(authorization)
        return undefined
      },
    }
  },
})
