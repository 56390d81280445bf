import assert from 'node:assert/strict'
import net, { type AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { Directory } from '../kit/ldap/directory.ts'
import { escapedValue, parseDirectoryAddress } from '../kit/ldap/name.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const base = 'ou=users,dc=example,dc=org'

test('nothing in a user name ends its part of a distinguished name', () => {
  for (const [text, escaped] of [
    ['user01', 'user01'],
    ['comma,user', 'comma\\,user'],
    ['a+b=c', 'a\\+b\\=c'],
    ['<a>;"\\', '\\<a\\>\\;\\"\\\\'],
    ['#a#', '\\#a#'],
    [' a b ', '\\ a b\\ '],
    ['  ', '\\ \\ '],
    [' ', '\\ '],
    ['a\\ ', 'a\\\\\\ '],
    ['a\0\n', 'a\\00\\0a'],
    ['jürgen', 'jürgen'],
    ['', ''],
  ])
    assert.equal(escapedValue(text!), escaped, JSON.stringify(text))
})

test('addresses of directories', () => {
  assert.deepEqual(parseDirectoryAddress('127.0.0.1:1389'), { host: '127.0.0.1', port: 1389, tls: false })
  assert.deepEqual(parseDirectoryAddress('ldap.example'), {
    host: 'ldap.example',
    port: undefined,
    tls: false,
  })
  assert.deepEqual(parseDirectoryAddress('ldaps://[::1]:636/'), { host: '::1', port: 636, tls: true })
  for (const text of ['', 'http://a', 'a:0', 'a:70000', 'a:b', 'u@a', 'a/dc=x', '::1', 'ldap://'])
    assert.equal(parseDirectoryAddress(text), undefined, text)
})

suite('a directory', () => {
  const seen: Buffer[] = []
  let reply: (socket: net.Socket, id: number) => void
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data: Buffer) => {
      seen.push(data)
      // After the tags and lengths of a message that is shorter than 128 bytes.
      reply(socket, data[4]!)
    })
  })
  before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  after(() => server.close())
  const port = () => (server.address() as AddressInfo).port
  /** RFC 4511 4.2.2. */
  const bindResponse = (id: number, code: number) =>
    Buffer.from([0x30, 0x0c, 2, 1, id, 0x61, 7, 0x0a, 1, code, 4, 0, 4, 0])
  const directory = (timeout = 60_000) =>
    new Directory({ host: '127.0.0.1', port: port(), tls: false, verify: true, timeout })

  test('says yes with a success alone', async () => {
    reply = (socket, id) => socket.write(bindResponse(id, 0))
    assert.equal(await directory().refusal('cn=a', 'b'), undefined)
    assert.ok(seen.at(-1)!.includes('cn=a'))
    for (const code of [1, 14, 49, 53]) {
      reply = (socket, id) => socket.write(bindResponse(id, code))
      assert.match((await directory().refusal('cn=a', 'b'))!, new RegExp(`Error \\(${code}\\)$`))
    }
  })

  test('is not asked for a bind without a password, which would succeed for any name', async () => {
    reply = (socket, id) => socket.write(bindResponse(id, 0))
    const before = seen.length
    assert.equal(await directory().refusal('cn=a', ''), 'there is no password')
    assert.equal(seen.length, before)
  })

  test('that hangs up, talks nonsense or without end says no', async () => {
    reply = (socket) => socket.destroy()
    assert.ok(await directory().refusal('cn=a', 'b'))
    reply = (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    assert.ok(await directory().refusal('cn=a', 'b'))
    // The beginning of an answer of a gigabyte.
    reply = (socket) =>
      socket.write(Buffer.concat([Buffer.from('30843fffffff', 'hex'), Buffer.alloc(100_000)]))
    assert.ok(await directory().refusal('cn=a', 'b'))
  })

  test('that is silent says no when the time is over', async () => {
    reply = () => {}
    assert.ok(await directory(1).refusal('cn=a', 'b'))
  })

  test('names the user as the bind does, and drops the credentials where it should', async () => {
    reply = (socket, id) => socket.write(bindResponse(id, 0))
    const bound = bindPolicy(policy, {
      config: { base_dn: base, ldap_uri: `127.0.0.1:${port()}`, hide_credentials: true },
      consumers: [{ username: 'one', plugins: { 'ldap-auth': { user_dn: `cn=jü\\,x,${base}` } } }],
    })
    const headers = { authorization: `basic ${Buffer.from('jü,x:pass:word').toString('base64')}` }
    const { consumer, upstream } = await bound.run({ headers })
    assert.equal(consumer, 'one')
    assert.equal(upstream?.headers.authorization, undefined)
    assert.ok(seen.at(-1)!.includes(`cn=jü\\,x,${base}`))
    assert.ok(seen.at(-1)!.includes('pass:word'))

    const { length } = seen
    const explained = bindPolicy(policy, {
      config: { base_dn: base, ldap_uri: `127.0.0.1:${port()}` },
      mayAsk: false,
    })
    assert.equal((await explained.run({ headers })).answer.status, 401)
    assert.equal(seen.length, length)
  })
})

test('requests without credentials that can be read are refused without a question', async () => {
  const bound = bindPolicy(policy, { config: { base_dn: base, ldap_uri: '127.0.0.1:1', realm: 'staff' } })
  const basic = (text: string | Buffer) => `Basic ${Buffer.from(text).toString('base64')}`
  for (const [authorization, message] of [
    [undefined, 'Missing authorization in request'],
    ['Bad_header Zm9vOmZvbwo=', 'Invalid authorization in request'],
    ['Basic aca_a', 'Invalid authorization in request'],
    ['Basic Zm9v', 'Invalid authorization in request'],
    [basic(':secret'), 'Invalid user authorization'],
    [basic('user:'), 'Invalid user authorization'],
    [basic(Buffer.from([0xff, 0x3a, 0x61])), 'Invalid user authorization'],
  ] as const) {
    const { answer, upstream } = await bound.run({ headers: authorization ? { authorization } : {} })
    assert.deepEqual([answer.status, answer.body, upstream], [401, `{"message":"${message}"}\n`, undefined])
    assert.equal(answer.headers['www-authenticate'], 'Basic realm="staff"')
  }
})

test('wrong settings are findings', () => {
  const good = { base_dn: base, ldap_uri: 'a' }
  for (const [config, finding] of [
    [{ ...good, base_dn: 123 }, /base_dn: must be/],
    [{ ...good, ldap_uri: 'http://a' }, /ldap_uri: write HOST or HOST:PORT/],
    [{ ...good, use_tls: 'no' }, /use_tls: must be/],
    [{ ...good, tls_verify: 1 }, /tls_verify: must be/],
    [{ ...good, uid: 'cn=x,' }, /uid: must match/],
    [{ ...good, hide_credentials: 1 }, /hide_credentials: must be/],
    [{ ...good, realm: 'a"b' }, /realm: must match/],
    [{ base_dn: base }, /ldap_uri/],
  ] as const)
    assert.throws(() => bindPolicy(policy, { config: config as never }), finding, JSON.stringify(config))
})
