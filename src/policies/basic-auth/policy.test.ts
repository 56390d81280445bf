import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const consumers = [
  { username: 'jack', plugins: { 'basic-auth': { username: 'foo', password: 'bar' } } },
  {
    username: 'jill',
    credentials: [{ id: 'phone', plugins: { 'basic-auth': { username: 'jill', password: 'a:b pass' } } }],
  },
]
const basic = (pair: string) => ({
  headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
})

test('a good pair identifies its consumer', async () => {
  const bound = bindPolicy(policy, { consumers })
  const run = await bound.run(basic('foo:bar'))
  assert.equal(run.consumer, 'jack')
  assert.equal(run.upstream?.headers.authorization, 'Basic Zm9vOmJhcg==')
  assert.equal((await bound.run({ headers: { authorization: 'bAsIc Zm9vOmJhcg' } })).consumer, 'jack')
})

test('a password may hold colons and spaces', async () => {
  const run = await bindPolicy(policy, { consumers }).run(basic('jill:a:b pass'))
  assert.equal(run.consumer, 'jill')
  assert.equal(run.upstream?.headers['x-credential-identifier'], 'phone')
})

test('white space around a pair is forgiven, a second colon is not', async () => {
  const bound = bindPolicy(policy, { consumers })
  assert.equal((await bound.run(basic('foo:bar\n'))).consumer, 'jack')
  assert.equal((await bound.run(basic('foo:bar:more'))).verdict?.status, 401)
})

const rejections: [name: string, authorization: string | undefined, message: string][] = [
  ['no field', undefined, 'Missing authorization in request'],
  ['another scheme', 'Bad_header YmFyOmJhcgo=', 'Invalid authorization in request'],
  ['no base64', 'Basic aca_a', 'Invalid authorization in request'],
  ['base64 that was cut', 'Basic Zm9vO', 'Invalid authorization in request'],
  ['no colon', 'Basic YmFy', 'Invalid authorization in request'],
  ['an unknown user', 'Basic YmFyOmJhcgo=', 'Invalid user authorization'],
  ['a wrong password', 'Basic Zm9vOmZvbwo=', 'Invalid user authorization'],
]
for (const [name, authorization, message] of rejections) {
  test(`${name} is rejected`, async () => {
    const run = await bindPolicy(policy, { consumers }).run({
      headers: authorization === undefined ? {} : { authorization },
    })
    assert.equal(run.answer.status, 401)
    assert.equal(run.answer.body, `{"message":"${message}"}\n`)
    assert.equal(run.answer.headers['www-authenticate'], 'Basic realm="basic"')
  })
}

test('hide_credentials keeps the field from the upstream, also for the anonymous consumer', async () => {
  const bound = bindPolicy(policy, {
    consumers: [...consumers, { username: 'guest' }],
    config: { hide_credentials: true, anonymous_consumer: 'guest' },
  })
  assert.deepEqual((await bound.run(basic('foo:bar'))).upstream?.headers, { 'x-consumer-username': 'jack' })
  assert.deepEqual((await bound.run(basic('foo:wrong'))).upstream?.headers, {
    'x-consumer-username': 'guest',
  })
})

test('an anonymous consumer that does not exist rejects', async () => {
  const run = await bindPolicy(policy, { config: { anonymous_consumer: 'nobody', realm: 'house' } }).run()
  assert.equal(run.answer.body, '{"message":"Invalid user authorization"}\n')
  assert.equal(run.answer.headers['www-authenticate'], 'Basic realm="house"')
})
