import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { rate: 10, burst: 2, key: 'remote_addr' }

test('the burst waits until it keeps the rate, more is rejected', async () => {
  const bound = bindPolicy(policy, { config })
  assert.equal((await bound.run()).verdict, undefined)
  const settled: number[] = []
  const [second, third] = [1, 2].map((number) => {
    const begun = bound.begin()
    begun.verdict.then(() => settled.push(number))
    return begun
  })
  const rejected = await bound.run()
  assert.deepEqual(rejected.verdict, { status: 503 })
  assert.equal(rejected.answer.headers['retry-after'], '1')
  bound.advance(99)
  await Promise.resolve()
  assert.deepEqual(settled, [])
  bound.advance(1)
  assert.equal(await second!.verdict, undefined)
  assert.deepEqual(settled, [1])
  bound.advance(100)
  assert.equal(await third!.verdict, undefined)
})

test('what was rejected leaves the bucket as it is', async () => {
  const bound = bindPolicy(policy, { config: { ...config, burst: 0 } })
  await bound.run()
  for (let i = 0; i < 5; i++) assert.equal((await bound.run()).verdict?.status, 503)
  bound.advance(100)
  assert.equal((await bound.run()).verdict, undefined)
})

test('without delay the burst passes at once', async () => {
  const bound = bindPolicy(policy, { config: { ...config, nodelay: true } })
  for (let i = 0; i < 3; i++) assert.equal((await bound.run()).verdict, undefined)
  assert.equal((await bound.run()).verdict?.status, 503)
  assert.equal(bound.handlers.observe, undefined)
})

test('a request whose client goes away waits no longer', async () => {
  const bound = bindPolicy(policy, { config })
  await bound.run()
  const begun = bound.begin()
  begun.end('client_abort')
  assert.equal(await begun.verdict, undefined)
})

test('buckets are apart by key, and by address without one', async () => {
  const once = { rate: 0.01, burst: 0, key: 'http_x_team', rejected_code: 429, rejected_msg: 'slow' }
  const bound = bindPolicy(policy, { config: once })
  assert.equal((await bound.run({ headers: { 'x-team': 'a' } })).verdict, undefined)
  assert.equal((await bound.run({ headers: { 'x-team': 'b' } })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.1' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2' })).verdict, undefined)
  const { answer } = await bound.run({ headers: { 'x-team': 'a' } })
  assert.equal(answer.status, 429)
  assert.equal(answer.body, '{"error_msg":"slow"}\n')
  assert.equal(answer.headers['retry-after'], '100')
})

test('a combination counts each combination', async () => {
  const once = { rate: 1, burst: 0, key: '$http_a $http_b', key_type: 'var_combination' } as const
  const bound = bindPolicy(policy, { config: once })
  assert.equal((await bound.run({ headers: { a: '1', b: '1' } })).verdict, undefined)
  assert.equal((await bound.run({ headers: { a: '1', b: '2' } })).verdict, undefined)
  assert.equal((await bound.run({ headers: { a: '1', b: '1' } })).verdict?.status, 503)
})

test('a wrong value of each field is a finding', () => {
  const wrong: [object, RegExp][] = [
    [{ rate: 0 }, /rate: must be > 0/],
    [{ rate: '1' }, /rate/],
    [{ burst: -1 }, /burst: must be >= 0/],
    [{ key: 1 }, /key/],
    [{ key_type: 'constant' }, /key_type/],
    [{ nodelay: 'yes' }, /nodelay/],
    [{ rejected_code: 199 }, /rejected_code: must be >= 200/],
    [{ rejected_msg: '' }, /rejected_msg/],
    [{ allow_degradation: 1 }, /allow_degradation/],
    [{ policy: 'memory' }, /policy/],
  ]
  for (const [fields, finding] of wrong)
    assert.throws(() => bindPolicy(policy, { config: { ...config, ...fields } as never }), finding)
})
