import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, type FakeRequest } from '../kit/testing.ts'
import policy from './policy.ts'

const passes = async (config: object, request: FakeRequest = {}) => {
  const { answer, upstream } = await bindPolicy(policy, { config }).run(request)
  assert.equal(upstream === undefined, answer.status !== 200)
  return answer.status === 200
}

test('what is on the blacklist is rejected, and only what is on the whitelist passes', async () => {
  assert.equal(await passes({ blacklist: ['jack'] }, { consumer: 'jack' }), false)
  assert.equal(await passes({ blacklist: ['jack'] }, { consumer: 'jill' }), true)
  assert.equal(await passes({ whitelist: ['jack'] }, { consumer: 'jack' }), true)
  assert.equal(await passes({ whitelist: ['jack'] }, { consumer: 'Jack' }), false)
  assert.equal(await passes({ whitelist: ['jack'], blacklist: ['jack'] }, { consumer: 'jack' }), false)
})

test('methods are those of the first entry with that name; who has none may use any', async () => {
  const config = {
    allowed_by_methods: [
      { user: 'jack', methods: ['GET'] },
      { user: 'jack', methods: ['POST'] },
    ],
  }
  assert.equal(await passes(config, { consumer: 'jack' }), true)
  assert.equal(await passes(config, { consumer: 'jack', method: 'POST' }), false)
  assert.equal(await passes(config, { consumer: 'jill', method: 'POST' }), true)
  const whitelisted = { ...config, whitelist: ['jack'] }
  assert.equal(await passes(whitelisted, { consumer: 'jack', method: 'POST' }), true)
})

test('groups, services and routes are told by their ids', async () => {
  assert.equal(
    await passes({ type: 'consumer_group_id', whitelist: ['g'] }, { consumer: 'a', group: 'g' }),
    true,
  )
  assert.equal(await passes({ type: 'service_id', whitelist: ['s1'] }), true)
  assert.equal(await passes({ type: 'route_id', blacklist: ['r1'] }), false)
})

test('the answers', async () => {
  const { run } = bindPolicy(policy, { config: { blacklist: ['jack'] } })
  assert.deepEqual((await run({ consumer: 'jack' })).verdict, {
    status: 403,
    body: { message: 'The consumer_name is forbidden.' },
  })
  const unknown = (type: string) => `The request is rejected, please check the ${type} for this request`
  assert.deepEqual((await run()).verdict, { status: 401, body: { message: unknown('consumer_name') } })
  const group = bindPolicy(policy, { config: { type: 'consumer_group_id', blacklist: ['g'] } })
  assert.deepEqual((await group.run({ consumer: 'jack' })).verdict?.body, {
    message: unknown('consumer_group_id'),
  })
  const own = bindPolicy(policy, { config: { blacklist: ['jack'], rejected_code: 404, rejected_msg: 'no' } })
  assert.deepEqual((await own.run({ consumer: 'jack' })).verdict, { status: 404, body: { message: 'no' } })
})

suite('the configuration', () => {
  for (const config of [
    {},
    { blacklist: [] },
    { whitelist: [] },
    { whitelist: [7] },
    { type: 'name', whitelist: ['a'] },
    { allowed_by_methods: [{ user: 1 }] },
    { allowed_by_methods: [{ user: 'a', methods: ['get'] }] },
    { whitelist: ['a'], rejected_code: 199 },
    { whitelist: ['a'], rejected_msg: 1 },
    { whitelist: ['a'], allowlist: ['a'] },
  ]) {
    test(`${JSON.stringify(config)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config: config as object }), /config/)
    })
  }
})
