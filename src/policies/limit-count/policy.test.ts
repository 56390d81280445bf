import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy, type Run } from '../kit/testing.ts'
import policy from './policy.ts'

const quota = ({ answer }: Run) => [
  answer.headers['x-ratelimit-limit'],
  answer.headers['x-ratelimit-remaining'],
  answer.headers['x-ratelimit-reset'],
]

test('counts down, then rejects with 503 until the window ends', async () => {
  const bound = bindPolicy(policy, { config: { count: 2, time_window: 60 } })
  assert.deepEqual(quota(await bound.run()), ['2', '1', '60'])
  bound.advance(1234)
  assert.deepEqual(quota(await bound.run()), ['2', '0', '58.76'])
  bound.advance(100)
  const rejected = await bound.run()
  assert.deepEqual(rejected.verdict, { status: 503 })
  assert.deepEqual(quota(rejected), ['2', '0', '58.66'])
  assert.equal(rejected.answer.headers['retry-after'], '59')
  bound.advance(58_700)
  assert.deepEqual(quota(await bound.run()), ['2', '1', '60'])
})

test('status and message of a rejection are configurable', async () => {
  const config = { count: 1, time_window: 1, rejected_code: 429, rejected_msg: 'slow down' }
  const bound = bindPolicy(policy, { config })
  await bound.run()
  const { answer } = await bound.run()
  assert.equal(answer.status, 429)
  assert.equal(answer.body, '{"error_msg":"slow down"}\n')
})

test('counts by client address, and by it when the key has no value', async () => {
  const bound = bindPolicy(policy, { config: { count: 1, time_window: 60, key: 'http_x_team' } })
  assert.equal((await bound.run({ address: '192.0.2.1' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.1' })).verdict?.status, 503)
  assert.equal((await bound.run({ address: '192.0.2.1', headers: { 'x-team': 'a' } })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2', headers: { 'x-team': 'a' } })).verdict?.status, 503)
})

test('a combination of variables counts each combination, a constant all requests', async () => {
  const combined = bindPolicy(policy, {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference in APISIX's notation
    config: { count: 1, time_window: 60, key_type: 'var_combination', key: '$remote_addr ${consumer_name}' },
  })
  assert.equal((await combined.run({ consumer: 'jack' })).verdict, undefined)
  assert.equal((await combined.run({ consumer: 'jill' })).verdict, undefined)
  assert.equal((await combined.run({ consumer: 'jack' })).verdict?.status, 503)

  const constant = bindPolicy(policy, {
    config: { count: 1, time_window: 60, key_type: 'constant', key: 'all' },
  })
  assert.equal((await constant.run({ address: '192.0.2.1' })).verdict, undefined)
  assert.equal((await constant.run({ address: '192.0.2.2' })).verdict?.status, 503)
})

test('a combination without any value counts by client address', async () => {
  const config = { count: 1, time_window: 60, key_type: 'var_combination', key: 'x-$http_a-$http_b' } as const
  const bound = bindPolicy(policy, { config })
  assert.equal((await bound.run({ address: '192.0.2.1' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2' })).verdict?.status, 503)
})

test('names of the headers come from plugin_metadata, and they can be off', async () => {
  const config = { count: 1, time_window: 60 }
  const metadata = {
    limit_header: 'Quota',
    remaining_header: 'Quota-Left',
    reset_header: 'X-RateLimit-Reset',
  }
  const renamed = (await bindPolicy(policy, { config, metadata }).run()).answer.headers
  assert.deepEqual(renamed, { quota: '1', 'quota-left': '0', 'x-ratelimit-reset': '60' })
  const silent = bindPolicy(policy, { config: { ...config, show_limit_quota_header: false } })
  assert.deepEqual((await silent.run()).answer.headers, {})
  assert.deepEqual((await silent.run()).answer.headers, { 'retry-after': '60' })
})

test('count and window may come from variables; without a valid value the request fails closed', async () => {
  const config = { count: '$http_x_quota', time_window: '60' }
  const bound = bindPolicy(policy, { config })
  assert.deepEqual(quota(await bound.run({ headers: { 'x-quota': '5' } })), ['5', '4', '60'])
  for (const value of ['', '0', '-1', '1.5', 'many', '9999999999999999']) {
    assert.deepEqual((await bound.run({ headers: { 'x-quota': value } })).verdict, { status: 500 })
  }
  const lenient = bindPolicy(policy, { config: { ...config, allow_degradation: true } })
  assert.equal((await lenient.run()).verdict, undefined)
})

test('what is not supported yet is a finding', () => {
  const config = { count: 1, time_window: 1 }
  assert.throws(
    () => bindPolicy(policy, { config: { ...config, policy: 'redis' } }),
    /'redis' is not supported yet/,
  )
  assert.throws(
    () => bindPolicy(policy, { config: { ...config, window_type: 'sliding' } }),
    /'sliding' is not supported yet/,
  )
  assert.throws(() => bindPolicy(policy, { config: { count: 0, time_window: 1 } }), /count/)
})
