import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { maximumRequests: 1, delayTimeInMillis: 1000, delayAttempts: 2, queuingLimit: 1 }

test('without a queue what is too much is rejected', async () => {
  const bound = bindPolicy(policy, { config: { exposeHeaders: true } })
  assert.deepEqual((await bound.run()).answer.headers, {
    'x-ratelimit-limit': '1',
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': '0',
  })
  const { answer } = await bound.run()
  assert.equal(answer.status, 429)
  assert.equal(answer.body, '{"error":"Too Many Requests"}')
  assert.equal(answer.headers['retry-after'], '1')
  assert.equal(answer.headers['x-ratelimit-reset'], '1000')
})

test('a request waits in the queue until the window has room', async () => {
  const bound = bindPolicy(policy, { config })
  await bound.run()
  const waiting = bound.begin()
  assert.equal((await bound.run()).verdict?.status, 429, 'the queue is full')
  bound.advance(1000)
  // The span before overlaps as a whole at the first attempt.
  await new Promise((resolve) => setImmediate(resolve))
  bound.advance(1000)
  assert.equal(await waiting.verdict, undefined)
  bound.advance(5000)
  assert.equal((await bound.run()).verdict, undefined, 'its place is free again')
})

test('who has waited often enough is rejected', async () => {
  const bound = bindPolicy(policy, {
    config: { ...config, delayAttempts: 1, timePeriodInMilliseconds: 60_000 },
  })
  await bound.run()
  const waiting = bound.begin()
  bound.advance(1000)
  assert.equal((await waiting.verdict)?.status, 429)
})

test('a client that goes away gives its place back', async () => {
  const bound = bindPolicy(policy, { config })
  await bound.run()
  const gone = bound.begin()
  gone.end('client_abort')
  assert.equal(await gone.verdict, undefined)
  const next = bound.begin()
  bound.advance(1000)
  await new Promise((resolve) => setImmediate(resolve))
  bound.advance(1000)
  assert.equal(await next.verdict, undefined)
})

test('a wrong value of each field is a finding', () => {
  for (const field of [
    'maximumRequests',
    'timePeriodInMilliseconds',
    'delayTimeInMillis',
    'delayAttempts',
    'queuingLimit',
    'exposeHeaders',
  ])
    assert.throws(() => bindPolicy(policy, { config: { [field]: -1 } as never }), new RegExp(field))
})
