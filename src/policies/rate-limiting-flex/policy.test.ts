import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const one = { maximumRequests: 1, timePeriodInMilliseconds: 1000 }

test('a window opens with the first request, and lets as many pass as it says', async () => {
  const { run, advance } = bindPolicy(policy, { config: { rateLimits: [{ ...one, maximumRequests: 2 }] } })
  for (const status of [200, 200, 429, 429]) assert.equal((await run()).answer.status, status)
  advance(1000)
  assert.equal((await run()).answer.status, 200)
})

test('a rejection has its text, and says when to come again; quotas are told only when they are asked for', async () => {
  const { run } = bindPolicy(policy, { config: { rateLimits: [one] } })
  await run()
  const { answer, upstream, verdict } = await run()
  assert.equal(upstream, undefined)
  assert.equal(answer.body, '{"error":"Too Many Requests"}')
  assert.equal(verdict?.contentType, 'application/json; charset=UTF-8')
  assert.equal(answer.headers['retry-after'], '1')
  assert.equal(answer.headers['x-ratelimit-limit'], undefined)
})

test('of several windows the one with the least left is told', async () => {
  const rateLimits = [
    { maximumRequests: 5, timePeriodInMilliseconds: 1000 },
    { maximumRequests: 2, timePeriodInMilliseconds: 60_000 },
  ]
  const { run } = bindPolicy(policy, { config: { rateLimits, exposeHeaders: true } })
  const { headers } = (await run()).answer
  assert.deepEqual(
    ['limit', 'remaining', 'reset'].map((name) => headers[`x-ratelimit-${name}`]),
    ['2', '1', '60000'],
  )
  assert.equal((await run()).answer.status, 200)
  assert.equal((await run()).answer.status, 429)
})

test('values of the selector have quotas of their own; those without a value share one', async () => {
  const { run } = bindPolicy(policy, {
    config: { rateLimits: [one], keySelector: "#[attributes.queryParams['who']]" },
  })
  for (const [target, status] of [
    ['/?who=a', 200],
    ['/?who=a', 429],
    ['/?who=b', 200],
    [`/?who=${'l'.repeat(5000)}`, 200],
    [`/?who=${'l'.repeat(5000)}`, 429],
    [`/?who=${'l'.repeat(4999)}`, 200],
    ['/', 200],
    ['/?other=a', 429],
  ] as const) {
    assert.equal((await run({ target })).answer.status, status, target.slice(0, 20))
  }
})

test('a selector that fails counts under the empty key', async () => {
  const { run } = bindPolicy(policy, {
    config: { rateLimits: [one], keySelector: '#[attributes.method and true]' },
  })
  assert.equal((await run()).answer.status, 200)
  assert.equal((await run()).answer.status, 429)
})

test('a selector can read the body, which the upstream gets whole', async () => {
  const { run } = bindPolicy(policy, { config: { rateLimits: [one], keySelector: '#[payload.user]' } })
  const send = (body: string) =>
    run({ method: 'POST', body, headers: { 'content-type': 'application/json' } })
  const first = await send('{"user":"ada"}')
  assert.equal(first.upstream?.body, '{"user":"ada"}')
  assert.equal((await send('{"user":"ada","more":1}')).answer.status, 429)
  assert.equal((await send('{"user":"bob"}')).answer.status, 200)
  assert.equal((await send('not json')).answer.status, 200)
})

test('options that stand in a limit count too; those beside it win', async () => {
  const limit = { ...one, exposeHeaders: true, keySelector: '#[attributes.method]', clusterizable: false }
  const inside = bindPolicy(policy, { config: { rateLimits: [limit] } })
  assert.equal((await inside.run()).answer.headers['x-ratelimit-limit'], '1')
  assert.equal((await inside.run({ method: 'POST' })).answer.status, 200)
  const beside = bindPolicy(policy, { config: { rateLimits: [limit], exposeHeaders: false } })
  assert.equal((await beside.run()).answer.headers['x-ratelimit-limit'], undefined)
})

test('what it does not take', () => {
  for (const config of [
    {},
    { rateLimits: [] },
    { rateLimits: [{ maximumRequests: 0, timePeriodInMilliseconds: 1 }] },
    { rateLimits: [{ maximumRequests: 1, timePeriodInMilliseconds: 0 }] },
    { rateLimits: [{ maximumRequests: 1 }] },
    { rateLimits: [one], keySelector: '#[nothing]' },
    { rateLimits: [{ ...one, keySelector: '#[1 +]' }] },
    { rateLimits: [one], exposeHeaders: 'yes' },
    { rateLimits: [one], clusterizable: 'yes' },
    { rateLimits: [one], other: 1 },
  ]) {
    assert.throws(() => bindPolicy(policy, { config: config as never }), JSON.stringify(config))
  }
})
