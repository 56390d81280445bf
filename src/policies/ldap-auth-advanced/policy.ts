import {
  credentialReader,
  definePolicy,
  type Exchange,
  headerBlock,
  headerName,
  openInApisix,
  realm,
  Type,
} from '../kit/index.ts'
import { Directory, type FoundUser } from '../kit/ldap/directory.ts'
import { inUtf8, parseDirectoryAddress } from '../kit/ldap/name.ts'

const nameOf = (credential: { user_dn: string }) => credential.user_dn
const groups = headerName('X-Authenticated-Groups')
/** The answers with more are no less ambiguous. */
const mostEntries = 100

/** Users whom an LDAP server finds and whose passwords it checks; configuration and answers of APISIX's plugin. */
export default definePolicy({
  name: 'ldap-auth-advanced',
  summary:
    'Identifies a consumer by a user name that is looked for in an LDAP server, and a password that it checks.',
  details:
    'The credentials are `SCHEME base64(USER:PASSWORD)` in `Proxy-Authorization`, or, where that holds none of that scheme, in ' +
    '`Authorization`. The gateway binds as `bind_dn` (or anonymously), looks for the one entry below `base_dn` whose ' +
    '`attribute` is the user name, and binds as that entry with the password, all of it over one connection. The consumer is ' +
    'the one whose `user_dn` is the name of the entry, as the directory writes it.\n\nA rejection is 401 with ' +
    '`WWW-Authenticate: SCHEME realm="..."` and `{"message":"Authorization required"}`: no credentials, nobody or more than one ' +
    'of that name, a wrong password, no consumer. A directory that cannot be asked, or that does not let `bind_dn` in, is 500: ' +
    'that says nothing of the caller. Why is in the log.\n\n`X-Authenticated-Groups` of clients does not reach the upstream. ' +
    'Unlike in APISIX every request has a connection of its own, so that none is left bound as somebody: the settings of the ' +
    'pool have no effect. `timeout` is for all of it together.',
  stage: 'identify',
  priority: 2541,
  config: Type.Object(
    {
      ldap_uri: Type.String({
        minLength: 1,
        maxLength: 256,
        description:
          'Address of the server: `ldap.example.org:389`. Default port: 389, with `use_ldaps` 636.',
      }),
      use_ldaps: Type.Boolean({ default: false, description: 'Speak TLS from the beginning.' }),
      use_starttls: Type.Boolean({ default: false, description: 'Change to TLS before anything is said.' }),
      ssl_verify: Type.Boolean({ default: true, description: 'Check the certificate of the server.' }),
      timeout: Type.Integer({ minimum: 1, maximum: 60_000, default: 10_000, description: 'Milliseconds.' }),
      keepalive: Type.Boolean({ default: true, description: 'Has no effect.' }),
      keepalive_timeout: Type.Integer({ minimum: 1000, default: 60_000, description: 'Has no effect.' }),
      keepalive_pool_size: Type.Integer({ minimum: 1, default: 5, description: 'Has no effect.' }),
      keepalive_pool_name: Type.Optional(
        Type.String({ minLength: 1, maxLength: 256, description: 'Has no effect.' }),
      ),
      base_dn: Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'Name below which users are: `ou=users,dc=example,dc=org`.',
      }),
      attribute: Type.String({
        default: 'cn',
        maxLength: 256,
        pattern: '^(?:[A-Za-z][A-Za-z0-9-]*|(?:0|[1-9][0-9]*)(?:\\.(?:0|[1-9][0-9]*))+)(?:;[A-Za-z0-9-]+)*$',
        description: 'Attribute that the user name is in.',
      }),
      bind_dn: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 4096,
          description: 'Who looks for users; absent: anybody may.',
        }),
      ),
      ldap_password: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 4096,
          description: 'Password of `bind_dn`.',
          'x-secret': true,
        }),
      ),
      size_limit: Type.Integer({
        minimum: 2,
        default: 2,
        description: 'Entries that the server may find. More than one is refused in any case.',
      }),
      time_limit: Type.Integer({
        minimum: 0,
        default: 5,
        description: 'Seconds that the server may look; 0: what it takes.',
      }),
      consumer_required: Type.Boolean({
        default: true,
        description: 'Whether users have to be consumers, rather than only in the directory.',
      }),
      header_type: Type.Enum(['ldap', 'basic'], {
        default: 'ldap',
        description: 'Scheme of the credentials.',
      }),
      realm: realm('ldap'),
    },
    { 'x-apisix': { ...openInApisix['x-apisix'], title: 'work with route or service object' } },
  ),
  credential: Type.Object(
    {
      user_dn: Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'Name of the user in the directory, unique among all consumers.',
      }),
    },
    { 'x-apisix': { ...openInApisix['x-apisix'], title: 'work with consumer object' } },
  ),
  credentialKey: 'user_dn',
  validate({
    ldap_uri: address,
    use_ldaps: tls,
    use_starttls: startTls,
    bind_dn: name,
    ldap_password: password,
  }) {
    if (tls && startTls) return 'use_ldaps and use_starttls are mutually exclusive'
    if (name !== undefined && password === undefined) return 'ldap_password is required when bind_dn is set'
    return parseDirectoryAddress(address) === undefined ? 'ldap_uri: write HOST or HOST:PORT' : undefined
  },
  create(config, host) {
    const { host: name, port, tls } = parseDirectoryAddress(config.ldap_uri)!
    const secure = config.use_ldaps || tls
    const directory = new Directory({
      host: name,
      port: port ?? (secure ? 636 : 389),
      tls: secure,
      startTls: config.use_starttls,
      verify: config.ssl_verify,
      timeout: config.timeout,
    })
    const search = {
      base: config.base_dn,
      attribute: config.attribute,
      as:
        config.bind_dn === undefined
          ? undefined
          : { name: config.bind_dn, password: config.ldap_password ?? '' },
      mostEntries: Math.min(config.size_limit, mostEntries),
      seconds: config.time_limit,
    }
    const read = credentialReader(config.header_type)
    const credentials = host.credentials(nameOf)
    const scheme = config.header_type === 'basic' ? 'Basic' : 'ldap'
    const headers = headerBlock([['WWW-Authenticate', `${scheme} realm="${config.realm}"`]])
    const refusal = { status: 401, body: { message: 'Authorization required' }, headers }

    return {
      async request(exchange) {
        exchange.request.headers.remove(groups)
        const presented = credentialsOf(exchange)
        if (presented === undefined) return refusal
        const found = await find(presented)
        if ('name' in found) return accept(exchange, found.name)
        if ('refused' in found) {
          host.log.warn(
            { reason: found.refused },
            'the directory did not let a user of ldap-auth-advanced in',
          )
          return refusal
        }
        host.log.error({ reason: found.broken }, 'the directory of ldap-auth-advanced cannot be asked')
        return { status: 500 }
      },
    }

    function credentialsOf({ request }: Exchange): { user: string; password: string } | undefined {
      for (const field of ['proxy-authorization', 'authorization']) {
        // Proxy-Authorization is for this hop (RFC 9110 11.7.1), and no part of what goes on.
        const value = request.headers.sent(field)
        const pair = value === undefined ? undefined : read(value)
        if (pair === undefined) continue
        const [user = '', password = ''] = [inUtf8(pair.user), inUtf8(pair.password)]
        if (user !== '' && password !== '') return { user, password }
      }
      return undefined
    }

    async function find({ user, password }: { user: string; password: string }): Promise<FoundUser> {
      if (!host.mayAsk) return { refused: 'no directory is asked to explain a request' }
      return directory.user({ ...search, value: user }, password)
    }

    function accept(exchange: Exchange, entry: string) {
      if (!config.consumer_required) return undefined
      const found = credentials.find(Buffer.from(entry).toString('latin1'))
      if (found === undefined) {
        host.log.warn({}, 'a user of ldap-auth-advanced is no consumer')
        return refusal
      }
      exchange.identify(found.consumer, found.credentialId)
      return undefined
    }
  },
})
