import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

/** A port of nobody: a request that gets there is answered with 500. */
const good = { base_dn: 'ou=users,dc=example,dc=org', ldap_uri: '127.0.0.1:1' }
const pair = (text: string | Buffer) => Buffer.from(text).toString('base64')

suite('requests without credentials that can be used are refused without a question', () => {
  const headers: readonly Record<string, string>[] = [
    {},
    { authorization: `Basic ${pair('a:b')}` },
    { authorization: 'ldap' },
    { authorization: 'ldap %%%' },
    { authorization: `ldap ${pair('nobody')}` },
    { authorization: `ldap ${pair(':b')}` },
    { authorization: `ldap ${pair('a:')}` },
    { authorization: `ldap ${pair(Buffer.from([0xff, 0x3a, 0x61]))}` },
    { 'proxy-authorization': `ldap ${pair('a:')}` },
  ]
  for (const sent of headers) {
    test(JSON.stringify(sent), async () => {
      const { answer, upstream } = await bindPolicy(policy, { config: { ...good, realm: 'staff' } }).run({
        headers: sent,
      })
      assert.deepEqual(
        [answer.status, answer.body, upstream],
        [401, '{"message":"Authorization required"}\n', undefined],
      )
      assert.equal(answer.headers['www-authenticate'], 'ldap realm="staff"')
    })
  }

  test('the challenge names the scheme', async () => {
    const { answer } = await bindPolicy(policy, { config: { ...good, header_type: 'basic' } }).run()
    assert.equal(answer.headers['www-authenticate'], 'Basic realm="ldap"')
  })
})

test('a directory that cannot be asked says nothing of the caller: 500', async () => {
  const { run, logged } = bindPolicy(policy, { config: good })
  const { answer } = await run({ headers: { authorization: `LDAP ${pair('a:b')}` } })
  assert.equal(answer.status, 500)
  assert.deepEqual(logged, ['the directory of ldap-auth-advanced cannot be asked'])
  const explained = bindPolicy(policy, { config: good, mayAsk: false })
  assert.equal(
    (await explained.run({ headers: { authorization: `ldap ${pair('a:b')}` } })).answer.status,
    401,
  )
})

test('wrong settings are findings', () => {
  for (const [config, finding] of [
    [{ ...good, base_dn: '' }, /base_dn: must/],
    [{ ...good, ldap_uri: 'http://a' }, /ldap_uri: write HOST or HOST:PORT/],
    [{ ...good, ldap_uri: '' }, /ldap_uri: must/],
    [{ ...good, use_ldaps: 'no' }, /use_ldaps: must be/],
    [{ ...good, use_starttls: 1 }, /use_starttls: must be/],
    [{ ...good, use_ldaps: true, use_starttls: true }, /mutually exclusive/],
    [{ ...good, ssl_verify: 1 }, /ssl_verify: must be/],
    [{ ...good, timeout: 0 }, /timeout: must be/],
    [{ ...good, timeout: 60_001 }, /timeout: must be/],
    [{ ...good, keepalive: 1 }, /keepalive: must be/],
    [{ ...good, keepalive_timeout: 999 }, /keepalive_timeout: must be/],
    [{ ...good, keepalive_pool_size: 0 }, /keepalive_pool_size: must be/],
    [{ ...good, keepalive_pool_name: '' }, /keepalive_pool_name: must/],
    [{ ...good, attribute: 'cn=x)(' }, /attribute: must match/],
    [{ ...good, bind_dn: 'cn=admin' }, /ldap_password is required when bind_dn is set/],
    [{ ...good, bind_dn: '' }, /bind_dn: must/],
    [{ ...good, ldap_password: '' }, /ldap_password: must/],
    [{ ...good, size_limit: 1 }, /size_limit: must be/],
    [{ ...good, time_limit: -1 }, /time_limit: must be/],
    [{ ...good, consumer_required: 1 }, /consumer_required: must be/],
    [{ ...good, header_type: 'digest' }, /header_type: must be/],
    [{ ...good, realm: 'a"b' }, /realm: must match/],
    [{ base_dn: 'a' }, /ldap_uri/],
    [{ ldap_uri: 'a' }, /base_dn/],
  ] as const)
    assert.throws(() => bindPolicy(policy, { config: config as never }), finding, JSON.stringify(config))
  assert.ok(bindPolicy(policy, { config: { ...good, attribute: '0.9.2342.19200300.100.1.1;binary' } }))
})
