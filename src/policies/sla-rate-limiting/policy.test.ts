import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy, type Run } from '../kit/testing.ts'
import policy from './policy.ts'

const limit = (maximumRequests: number, timePeriodInMilliseconds: number) => ({
  maximumRequests,
  timePeriodInMilliseconds,
})
const tiers = [
  { name: 'silver', limits: [limit(2, 10_000)] },
  { name: 'gold', limits: [limit(3, 1000), limit(5, 60_000)] },
]
const contracts = [
  { id: 'c1', consumer: 'shop', service_id: 's1', tier: 'silver' },
  { id: 'c2', consumer: 'bank', tier: 'gold' },
  { id: 'c3', consumer: 'lab', service_id: 's2', tier: 'gold' },
  { id: 'c4', consumer: 'odd', tier: 'platinum' },
]
const quota = ({ answer }: Run) => [
  answer.headers['x-ratelimit-limit'],
  answer.headers['x-ratelimit-remaining'],
  answer.headers['x-ratelimit-reset'],
]

test('the tier of the contract limits the caller, with 429 and Retry-After once it is used up', async () => {
  const bound = bindPolicy(policy, { config: { tiers }, contracts })
  assert.deepEqual(quota(await bound.run({ consumer: 'shop' })), ['2', '1', '10000'])
  bound.advance(1500)
  assert.deepEqual(quota(await bound.run({ consumer: 'shop' })), ['2', '0', '8500'])
  const refused = await bound.run({ consumer: 'shop' })
  assert.equal(refused.answer.status, 429)
  assert.equal(refused.answer.body, '{"error":"Too Many Requests"}')
  assert.equal(refused.verdict?.contentType, 'application/json; charset=UTF-8')
  assert.equal(refused.answer.headers['retry-after'], '9')
  assert.deepEqual(quota(refused), ['2', '0', '8500'])
  bound.advance(8500)
  assert.equal((await bound.run({ consumer: 'shop' })).verdict, undefined)
})

test('of several windows the one with the least left is shown', async () => {
  const bound = bindPolicy(policy, { config: { tiers }, contracts })
  const run = () => bound.run({ consumer: 'bank' })
  assert.deepEqual(quota(await run()), ['3', '2', '1000'])
  await run()
  await run()
  assert.equal((await run()).answer.headers['retry-after'], '1')
  bound.advance(1000)
  assert.deepEqual(quota(await run()), ['5', '1', '59000'])
  await run()
  const refused = await run()
  assert.deepEqual(quota(refused), ['5', '0', '59000'])
  assert.equal(refused.answer.headers['retry-after'], '59')
})

test('each contract has its own count', async () => {
  const bound = bindPolicy(policy, { config: { tiers }, contracts })
  for (let i = 0; i < 3; i++) await bound.run({ consumer: 'shop' })
  assert.deepEqual(quota(await bound.run({ consumer: 'bank' })), ['3', '2', '1000'])
})

test('without a contract for this API there is no service', async () => {
  const bound = bindPolicy(policy, { config: { tiers }, contracts })
  const anonymous = await bound.run()
  assert.equal(anonymous.answer.status, 401)
  assert.equal(anonymous.answer.body, '{"error":"Client ID is not present"}')
  assert.equal(anonymous.answer.headers['www-authenticate'], 'Client-ID-Enforcement')
  for (const consumer of ['stranger', 'lab', 'odd']) {
    const run = await bound.run({ consumer })
    assert.equal(run.answer.status, 401)
    assert.equal(run.answer.body, '{"error":"Authentication Attempt Failed"}')
  }
})

test('a default tier serves callers without a contract, each with a count of its own', async () => {
  const bound = bindPolicy(policy, { config: { tiers, defaultTier: 'silver' }, contracts })
  for (const caller of [
    { consumer: 'stranger' },
    { consumer: 'odd' },
    { address: '192.0.2.1' },
    { address: '192.0.2.2' },
  ]) {
    assert.deepEqual(quota(await bound.run(caller)), ['2', '1', '10000'])
  }
  assert.deepEqual(quota(await bound.run({ address: '192.0.2.2' })), ['2', '0', '10000'])
})

test('the headers can be off, Retry-After stays', async () => {
  const bound = bindPolicy(policy, { config: { tiers, exposeHeaders: false }, contracts })
  assert.deepEqual((await bound.run({ consumer: 'shop' })).answer.headers, {})
  await bound.run({ consumer: 'shop' })
  assert.deepEqual((await bound.run({ consumer: 'shop' })).answer.headers, { 'retry-after': '10' })
})

test('tiers that contradict each other are findings', () => {
  const twice = [tiers[0]!, tiers[0]!]
  assert.throws(() => bindPolicy(policy, { config: { tiers: twice } }), /tiers: two are named 'silver'/)
  assert.throws(() => bindPolicy(policy, { config: { tiers, defaultTier: 'tin' } }), /no tier is named 'tin'/)
  assert.throws(() => bindPolicy(policy, { config: { tiers: [] } }), /must have at least 1 item/)
})
