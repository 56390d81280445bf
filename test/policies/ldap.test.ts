/** ldap-auth and ldap-auth-advanced with a real LDAP server, through the wire. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Authority } from '../harness/certificates.ts'
import { freePort } from '../harness/gateway.ts'
import { LdapServer, withoutLdap } from '../harness/ldap-server.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

let directory: LdapServer
const authority = new Authority()
let nobody: number
before(async () => {
  if (withoutLdap !== false) return
  nobody = await freePort()
  directory = await LdapServer.start(
    { user01: 'password1', 'comma\\,user': 'p:w ü', stranger: 'password2', 'star*': 'password3' },
    authority.issue({ names: ['127.0.0.1'] }),
  )
})
after(async () => {
  await directory?.stop()
  authority.remove()
})

suite('ldap-auth', { skip: withoutLdap }, () => {
  const gateway = policyGateway(
    () => `
consumers:
  - { username: one, plugins: { ldap-auth: { user_dn: "cn=user01,ou=users,dc=example,dc=org" } } }
  - { username: two, plugins: { ldap-auth: { user_dn: "cn=comma\\\\,user,ou=users,dc=example,dc=org" } } }
routes:
  - { id: r, uri: /r, upstream_id: u, plugins: { ldap-auth: { base_dn: "ou=users,dc=example,dc=org", ldap_uri: "127.0.0.1:${directory.port}" } } }
  - { id: hides, uri: /hides, upstream_id: u, plugins: { ldap-auth: { base_dn: "ou=users,dc=example,dc=org", ldap_uri: "ldap://127.0.0.1:${directory.port}", hide_credentials: true } } }
  - { id: dead, uri: /dead, upstream_id: u, plugins: { ldap-auth: { base_dn: "ou=users,dc=example,dc=org", ldap_uri: "127.0.0.1:${nobody}" } } }
  - { id: tls, uri: /tls, upstream_id: u, plugins: { ldap-auth: { base_dn: "ou=users,dc=example,dc=org", ldap_uri: "127.0.0.1:${directory.tlsPort}", use_tls: true, tls_verify: true } } }
  - { id: other, uri: /other, upstream_id: u, plugins: { ldap-auth: { base_dn: "ou=users,dc=example,dc=org", ldap_uri: "localhost:${directory.tlsPort}", use_tls: true, tls_verify: true } } }
  - { id: any, uri: /any, upstream_id: u, plugins: { ldap-auth: { base_dn: "ou=users,dc=example,dc=org", ldap_uri: "ldaps://localhost:${directory.tlsPort}" } } }
  - { id: plain, uri: /plain, upstream_id: u, plugins: { ldap-auth: { base_dn: "ou=users,dc=example,dc=org", ldap_uri: "127.0.0.1:${directory.port}", use_tls: true } } }
`,
    undefined,
    { NODE_EXTRA_CA_CERTS: authority.certFile },
  )
  const send = (path: string, user: string, password: string) =>
    gateway.send(path, {
      headers: {
        authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
        'x-consumer-username': 'root',
      },
    })

  test('a user whom the directory knows is the consumer of that name', async () => {
    const { status, seen } = await send('/r', 'user01', 'password1')
    assert.deepEqual([status, seen?.headers['x-consumer-username']], [200, 'one'])
    assert.match(seen!.headers.authorization!, /^Basic /)
    const odd = await send('/hides', 'comma,user', 'p:w ü')
    assert.deepEqual([odd.status, odd.seen?.headers['x-consumer-username']], [200, 'two'])
    assert.equal(odd.seen?.headers.authorization, undefined)
  })

  test('the directory speaks TLS, with its own certificate where that is checked', async () => {
    for (const path of ['/tls', '/any']) {
      const { status, seen } = await send(path, 'user01', 'password1')
      assert.deepEqual([path, status, seen?.headers['x-consumer-username']], [path, 200, 'one'])
      assert.equal((await send(path, 'user01', 'password2')).status, 401)
    }
  })

  for (const [title, path, user, password] of [
    ['a wrong password', '/r', 'user01', 'password2'],
    ['an empty password', '/r', 'user01', ''],
    ['an unknown user', '/r', 'user02', 'password1'],
    ['no name', '/r', '', 'password1'],
    ['a user who is no consumer', '/r', 'stranger', 'password2'],
    ['a name that reaches for another', '/r', 'x,cn=user01', 'password1'],
    ['a name with a second value', '/r', 'user01+sn=x', 'password1'],
    ['a name with a space at its end', '/r', 'user01 ', 'password1'],
    ['a name with NUL', '/r', 'user01\0', 'password1'],
    ['a directory that is not there', '/dead', 'user01', 'password1'],
    ['a directory with the certificate of another', '/other', 'user01', 'password1'],
    ['a directory that does not speak TLS', '/plain', 'user01', 'password1'],
  ] as const) {
    test(`${title} reaches nobody`, async () => {
      const { status, text, headers, seen } = await send(path, user, password)
      assert.deepEqual([status, text, seen], [401, '{"message":"Invalid user authorization"}\n', undefined])
      assert.equal(headers.get('www-authenticate'), 'Basic realm="ldap"')
    })
  }

  test('passwords are not in the log', () => {
    assert.match(gateway.output(), /did not let a user/)
    assert.doesNotMatch(gateway.output(), /password[12]/)
  })
})

suite('ldap-auth-advanced', { skip: withoutLdap }, () => {
  const base = 'dc=example,dc=org'
  const admin = `bind_dn: "cn=user01,ou=users,${base}"`
  const gateway = policyGateway(
    () => {
      const route = (name: string, more: string, port = directory.port) =>
        `  - { id: ${name}, uri: /${name}, upstream_id: u, plugins: { ldap-auth-advanced: { base_dn: "${base}", ldap_uri: "127.0.0.1:${port}", ${more} } } }\n`
      return `
consumers:
  - { username: one, plugins: { ldap-auth-advanced: { user_dn: "cn=user01,ou=users,${base}" } } }
routes:
${route('r', '')}${route('any', 'consumer_required: false')}${route('basic', 'header_type: basic')}${route('dead', '', nobody)}
${route('admin', `${admin}, ldap_password: password1`)}${route('wrong', `${admin}, ldap_password: password2`)}
${route('base', 'size_limit: 3').replace(base, 'ou=nowhere,dc=example,dc=org')}
${route('many', 'attribute: objectClass, size_limit: 50')}${route('few', 'attribute: objectClass')}
${route('tls', 'use_ldaps: true', directory.tlsPort)}${route('start', 'use_starttls: true')}
${route('other', 'use_starttls: true').replace('127.0.0.1', 'localhost')}
`
    },
    undefined,
    { NODE_EXTRA_CA_CERTS: authority.certFile },
  )
  const field = (user: string, password: string, scheme = 'ldap') =>
    `${scheme} ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const send = (path: string, user: string, password: string, more: Record<string, string> = {}) =>
    gateway.send(path, {
      headers: {
        authorization: field(user, password),
        'x-consumer-username': 'root',
        'x-authenticated-groups': 'admins',
        ...more,
      },
    })

  test('the entry that is found is the consumer, and what clients say of themselves does not go on', async () => {
    for (const path of ['/r', '/admin', '/tls', '/start']) {
      const { status, seen } = await send(path, 'user01', 'password1')
      assert.deepEqual([path, status, seen?.headers['x-consumer-username']], [path, 200, 'one'])
      assert.equal(seen?.headers['x-authenticated-groups'], undefined)
      assert.equal((await send(path, 'user01', 'password2')).status, 401)
    }
  })

  test('users need not be consumers where the route says so', async () => {
    for (const [user, password] of [
      ['stranger', 'password2'],
      ['comma,user', 'p:w ü'],
      ['star*', 'password3'],
    ] as const) {
      assert.equal((await send('/r', user, password)).status, 401)
      const { status, seen } = await send('/any', user, password)
      assert.deepEqual([status, seen?.headers['x-consumer-username']], [200, undefined])
    }
  })

  test('Proxy-Authorization counts first, unless it is of another scheme', async () => {
    const wrong = field('user01', 'password2')
    const proxied = { 'proxy-authorization': field('user01', 'password1'), authorization: wrong }
    assert.equal((await send('/r', '', '', proxied)).status, 200)
    const foreign = { 'proxy-authorization': field('proxy', 'own', 'Basic') }
    assert.equal((await send('/r', 'user01', 'password1', foreign)).status, 200)
    const basic = { authorization: field('user01', 'password1', 'Basic') }
    assert.equal((await send('/basic', '', '', basic)).status, 200)
    assert.equal((await send('/r', '', '', basic)).status, 401)
  })

  for (const [title, path, user, password] of [
    ['a wrong password', '/any', 'user01', 'password2'],
    ['an unknown user', '/any', 'user02', 'password1'],
    ['a pattern in place of a name', '/any', 'user0*', 'password1'],
    ['a name with a filter in it', '/any', 'x)(|(cn=user01', 'password1'],
    ['a name with NUL', '/any', 'user01\0', 'password1'],
    ['a name that fits more than one entry', '/many', 'person', 'password1'],
    ['a name that fits more entries than may be found', '/few', 'person', 'password1'],
  ] as const) {
    test(`${title} is 401, and reaches nobody`, async () => {
      const { status, text, headers, seen } = await send(path, user, password)
      assert.deepEqual([status, text, seen], [401, '{"message":"Authorization required"}\n', undefined])
      assert.equal(headers.get('www-authenticate'), 'ldap realm="ldap"')
    })
  }

  for (const [title, path] of [
    ['a directory that is not there', '/dead'],
    ['a directory that does not know who looks for users', '/wrong'],
    ['a place that does not exist in the directory', '/base'],
    ['a directory with the certificate of another', '/other'],
  ] as const) {
    test(`${title} is 500, and the request reaches nobody`, async () => {
      const { status, seen } = await send(path, 'user01', 'password1')
      assert.deepEqual([status, seen], [500, undefined])
    })
  }

  test('passwords are not in the log', () => {
    assert.match(gateway.output(), /cannot be asked/)
    assert.doesNotMatch(gateway.output(), /password[123]/)
  })
})

suite('ldap-authentication-flex', { skip: withoutLdap }, () => {
  const base = 'ou=users,dc=example,dc=org'
  const gateway = policyGateway(() => {
    const route = (name: string, more: string, port = directory.port) =>
      `  - { id: ${name}, uri: /${name}, upstream_id: u, plugins: { ldap-authentication-flex: { ldapServerURL: "ldap://127.0.0.1:${port}", ldapServerUserDn: "cn=user01,${base}", ldapServerUserPassword: password1, ${more} } } }\n`
    return `
routes:
${route('r', `ldapSearchBase: "${base}", ldapSearchFilter: "(cn={0})"`)}
${route('uid', `ldapSearchBase: "${base}"`)}
${route('above', 'ldapSearchBase: "dc=example,dc=org", ldapSearchFilter: "(cn={0})"')}
${route('below', 'ldapSearchBase: "dc=example,dc=org", ldapSearchFilter: "(cn={0})", ldapSearchInSubtree: true')}
${route('dead', `ldapSearchBase: "${base}"`, nobody)}
`
  })
  const send = (path: string, user: string, password: string) =>
    gateway.send(path, {
      headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
    })

  test('a user whom the directory finds where it may look is let in, with the right password', async () => {
    for (const [path, user, password, status] of [
      ['/r', 'stranger', 'password2', 200],
      ['/r', 'stranger', 'password1', 401],
      ['/r', 'nobody', 'password1', 401],
      ['/r', '*', 'password1', 401],
      ['/r', 'stranger)(cn=*', 'password2', 401],
      ['/above', 'stranger', 'password2', 401],
      ['/below', 'stranger', 'password2', 200],
      ['/dead', 'stranger', 'password2', 500],
    ] as const) {
      const answer = await send(path, user, password)
      assert.equal(answer.status, status, `${path} ${user}`)
      assert.equal(answer.seen !== undefined, status === 200)
      if (status === 401) assert.equal(answer.headers.get('www-authenticate'), 'Basic realm="mule-realm"')
    }
  })
})
