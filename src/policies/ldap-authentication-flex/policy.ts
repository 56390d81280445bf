import { rejection } from '../kit/flex/rejection.ts'
import { definePolicy, readBasicCredentials, Type } from '../kit/index.ts'
import { Directory } from '../kit/ldap/directory.ts'
import { inUtf8, parseDirectoryAddress } from '../kit/ldap/name.ts'

/** `(uid={0})`: one attribute that has to be the user name. */
const filterForm = /^\(\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*\{0\}\s*\)$/

/** Users whose passwords an LDAP server checks; configuration and answers of the Flex policy of that name. */
export default definePolicy({
  name: 'ldap-authentication-flex',
  summary: 'Admits users (HTTP Basic) whom an LDAP server finds and whose passwords it checks.',
  details:
    'The gateway binds as `ldapServerUserDn`, looks for the one entry that the filter means, and binds as that entry with the ' +
    'password, all of it over one connection. A rejection is 401 with `WWW-Authenticate: Basic realm="mule-realm"` and an ' +
    '`{"error":"..."}`: no credentials, nobody or more than one of that name, a wrong password. A server that cannot be ' +
    'asked is 500. The user name goes into the filter as it is, and cannot end it. Filters have the form `(NAME={0})`.',
  stage: 'identify',
  priority: 2518,
  config: Type.Object(
    {
      ldapServerURL: Type.String({
        minLength: 1,
        maxLength: 256,
        default: 'ldap://127.0.0.1:389',
        description: 'The server: `ldap://HOST:PORT` or `ldaps://HOST:PORT`.',
      }),
      ldapServerUserDn: Type.String({ minLength: 1, maxLength: 4096, description: 'Who looks for users.' }),
      ldapServerUserPassword: Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'The password of that one.',
        'x-secret': true,
      }),
      ldapSearchBase: Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'Name below which users are.',
      }),
      ldapSearchFilter: Type.String({
        default: '(uid={0})',
        description: 'What a user is found by; `{0}` stands for the name.',
      }),
      ldapSearchInSubtree: Type.Boolean({
        default: false,
        description: 'Whether users stand deeper than right below the base.',
      }),
      ssl_verify: Type.Boolean({ default: true, description: 'Check the certificate of the server.' }),
      timeout: Type.Integer({ minimum: 1, maximum: 60_000, default: 10_000, description: 'Milliseconds.' }),
    },
    { additionalProperties: false },
  ),
  validate({ ldapServerURL: url, ldapSearchFilter: filter }) {
    if (parseDirectoryAddress(url) === undefined) return 'ldapServerURL: write ldap://HOST:PORT'
    return filterForm.test(filter)
      ? undefined
      : 'ldapSearchFilter: write (NAME={0}); other filters are not known here'
  },
  create(config, host) {
    const { host: name, port, tls } = parseDirectoryAddress(config.ldapServerURL)!
    const directory = new Directory({
      host: name,
      port: port ?? (tls ? 636 : 389),
      tls,
      verify: config.ssl_verify,
      timeout: config.timeout,
    })
    const search = {
      base: config.ldapSearchBase,
      scope: config.ldapSearchInSubtree ? ('sub' as const) : ('one' as const),
      attribute: filterForm.exec(config.ldapSearchFilter)![1]!,
      as: { name: config.ldapServerUserDn, password: config.ldapServerUserPassword },
      mostEntries: 2,
      seconds: 5,
    }
    const refused = rejection(401, 'Authentication Attempt Failed', 'Basic realm="mule-realm"')
    const broken = rejection(500, 'The directory cannot be asked')
    return {
      async request({ request }) {
        const field = request.headers.get('authorization')
        const pair = field === undefined ? undefined : readBasicCredentials(field)
        const [user = '', password = ''] =
          pair === undefined ? [] : [inUtf8(pair.user), inUtf8(pair.password)]
        if (user === '' || password === '' || !host.mayAsk) return refused
        const found = await directory.user({ ...search, value: user }, password)
        if ('name' in found) return undefined
        if ('refused' in found) return refused
        host.log.error({ reason: found.broken }, 'the directory of ldap-authentication-flex cannot be asked')
        return broken
      },
    }
  },
})
