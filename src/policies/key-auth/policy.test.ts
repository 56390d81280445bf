import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const jack = { username: 'jack', plugins: { 'key-auth': { key: 'auth-one' } } }
const jill = {
  username: 'jill',
  labels: { custom_id: 'j-2' },
  credentials: [{ id: 'phone', plugins: { 'key-auth': { key: 'ключ' } } }],
}
const consumers = [jack, jill]

test('a valid key in the header identifies its consumer', async () => {
  const run = await bindPolicy(policy, { consumers }).run({ headers: { apikey: 'auth-one' } })
  assert.equal(run.verdict, undefined)
  assert.equal(run.consumer, 'jack')
  assert.deepEqual(run.upstream?.headers, { apikey: 'auth-one', 'x-consumer-username': 'jack' })
})

test('a key of a credential resource names the credential', async () => {
  const key = Buffer.from('ключ').toString('latin1')
  const run = await bindPolicy(policy, { consumers }).run({
    target: `/?apikey=${encodeURIComponent('ключ')}`,
  })
  assert.equal(run.consumer, 'jill')
  assert.equal(run.upstream?.headers['x-credential-identifier'], 'phone')
  assert.equal(run.upstream?.headers['x-consumer-custom-id'], 'j-2')
  const viaHeader = await bindPolicy(policy, { consumers, config: { query: 'k' } }).run({
    headers: { apikey: key },
  })
  assert.equal(viaHeader.consumer, 'jill')
})

test('a missing key and an unknown one are told apart, both with a challenge', async () => {
  const bound = bindPolicy(policy, { consumers })
  const missing = await bound.run()
  assert.equal(missing.answer.status, 401)
  assert.equal(missing.answer.body, '{"message":"Missing API key in request"}\n')
  assert.equal(missing.answer.headers['www-authenticate'], 'apikey realm="key"')
  const unknown = await bound.run({ headers: { apikey: '123' } })
  assert.equal(unknown.answer.status, 401)
  assert.equal(unknown.answer.body, '{"message":"Invalid API key in request"}\n')
})

test('the realm of the challenge is configurable', async () => {
  const run = await bindPolicy(policy, { config: { realm: 'api keys' } }).run()
  assert.equal(run.answer.headers['www-authenticate'], 'apikey realm="api keys"')
  assert.throws(() => bindPolicy(policy, { config: { realm: 'a"b' } }), /realm: must match the pattern/)
})

test('an empty, repeated or valueless key is invalid, not missing', async () => {
  const bound = bindPolicy(policy, { consumers })
  for (const request of [
    { headers: { apikey: '' } },
    { target: '/?apikey=auth-one&apikey=auth-one' },
    { target: '/?apikey' },
  ]) {
    const run = await bound.run(request)
    assert.equal(run.answer.body, '{"message":"Invalid API key in request"}\n')
  }
})

test('the header wins over the query, and hide_credentials removes only what was used', async () => {
  const bound = bindPolicy(policy, { consumers, config: { hide_credentials: true } })
  const both = await bound.run({
    target: '/echo?apikey=auth-one',
    headers: { apikey: 'auth-one', test: 'auth-two' },
  })
  assert.equal(both.upstream?.target, '/echo?apikey=auth-one')
  assert.deepEqual(both.upstream?.headers, { test: 'auth-two', 'x-consumer-username': 'jack' })
  const query = await bound.run({ target: '/echo?a=%2f&apikey=auth-one&b' })
  assert.equal(query.upstream?.target, '/echo?a=%2f&b')
})

test('names of header and query parameter are configurable', async () => {
  const bound = bindPolicy(policy, { consumers, config: { header: 'Authorization', query: 'auth' } })
  assert.equal((await bound.run({ headers: { authorization: 'auth-one' } })).consumer, 'jack')
  assert.equal((await bound.run({ target: '/?auth=auth-one' })).consumer, 'jack')
  assert.equal((await bound.run({ target: '/?%61uth=auth%2Done' })).consumer, 'jack')
  assert.equal((await bound.run({ headers: { apikey: 'auth-one' } })).verdict?.status, 401)
})

test('an anonymous consumer stands in, and no credential slips through to the upstream', async () => {
  const bound = bindPolicy(policy, {
    consumers: [...consumers, { username: 'anonymous' }],
    config: { anonymous_consumer: 'anonymous', hide_credentials: true },
  })
  const run = await bound.run({ target: '/?apikey=wrong&page=2', headers: { apikey: 'wrong' } })
  assert.equal(run.consumer, 'anonymous')
  assert.equal(run.upstream?.target, '/?page=2')
  assert.deepEqual(run.upstream?.headers, { 'x-consumer-username': 'anonymous' })
})

test('an anonymous consumer that does not exist rejects', async () => {
  const bound = bindPolicy(policy, { config: { anonymous_consumer: 'nobody' } })
  const run = await bound.run()
  assert.equal(run.answer.status, 401)
  assert.equal(run.answer.body, '{"message":"Invalid user authorization"}\n')
  assert.deepEqual(bound.logged, ['anonymous consumer of key-auth not found'])
})

test('a reload takes effect on the next request', async () => {
  const bound = bindPolicy(policy, { consumers })
  assert.equal((await bound.run({ headers: { apikey: 'auth-one' } })).consumer, 'jack')
  bound.setConsumers([jill, { username: 'jack', plugins: { 'key-auth': { key: 'auth-two' } } }])
  assert.equal((await bound.run({ headers: { apikey: 'auth-one' } })).verdict?.status, 401)
  assert.equal((await bound.run({ headers: { apikey: 'auth-two' } })).consumer, 'jack')
})
