import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

async function sent(config: object, request: object) {
  const { answer, upstream } = await runPolicy(policy, { config, request })
  return { status: answer.status, location: answer.headers.location, upstream }
}

test('a fixed URI with variables', async () => {
  const answer = await sent({ uri: '$uri/new', ret_code: 301 }, { target: '/a?x=1' })
  assert.deepEqual(answer, { status: 301, location: '/a/new', upstream: undefined })
})

test('the query follows when it is asked for', async () => {
  const config = { append_query_string: true }
  assert.equal((await sent({ ...config, uri: '/b' }, { target: '/a?x=1' })).location, '/b?x=1')
  assert.equal((await sent({ ...config, uri: '/b?y=2' }, { target: '/a?x=1' })).location, '/b?y=2&x=1')
  assert.equal((await sent({ ...config, uri: '/b' }, { target: '/a' })).location, '/b')
})

test('an expression that does not match lets the request go on', async () => {
  const config = { regex_uri: ['^/test/(.*)', 'http://test.com/$1'] }
  assert.equal((await sent(config, { target: '/test/1' })).location, 'http://test.com/1')
  assert.ok((await sent(config, { target: '/hello' })).upstream)
})

test('what http_to_https leaves alone, and how it answers', async () => {
  const config = { http_to_https: true }
  const plain = await sent(config, { host: 'foo.com', target: '/a' })
  assert.deepEqual([plain.status, plain.location], [301, 'https://foo.com:9443/a'])
  assert.equal((await sent(config, { method: 'POST' })).status, 308)
  assert.ok((await sent(config, { headers: { 'x-forwarded-proto': 'https' } })).upstream)
  assert.ok((await sent({ http_to_https: false }, {})).upstream)
})

test('what the client encoded cannot end the field, and is encoded when that is asked for', async () => {
  assert.equal((await sent({ uri: '/x$arg_a' }, { target: '/' })).location, '/x')
  const config = { regex_uri: ['^/(.*)', '/t/$1'] }
  assert.equal((await sent(config, { target: '/a\r\nX: y' })).location, '/t/a%0D%0AX: y')
  assert.equal((await sent({ ...config, encode_uri: true }, { target: '/a b' })).location, '/t/a%20b')
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{}, /.+/],
    [{ uri: '/' }, /uri/],
    [{ uri: '/a', http_to_https: true }, /.+/],
    [{ regex_uri: ['('] }, /regex_uri/],
    [{ regex_uri: ['(', ''] }, /invalid regex_uri/],
    [{ http_to_https: true, append_query_string: true }, /only one of/],
    [{ uri: '/a', ret_code: 100 }, /ret_code/],
    [{ uri: '/a', encode_uri: 1 }, /encode_uri/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () => assert.throws(() => bindPolicy(policy, { config }), finding))
  }
})
