import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datagramServer, logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('messages are datagrams of syslog with a severity of their status', async (t) => {
  const { port, messages } = await datagramServer(t)
  const bound = bindPolicy(policy, {
    config: {
      customer_token: 'tok',
      tags: ['a', 'b'],
      severity: 'notice',
      severity_map: { 503: 'ERR' },
      batch_max_size: 1,
    },
    metadata: { host: '127.0.0.1', port, protocol: 'syslog', timeout: 1000, max_pending_entries: 10 },
  })
  await bound.run()
  assert.match(
    await messages.next(),
    /^<13>1 2026-01-01T00:00:00\.000Z api\.example apisix \d+ - \[tok@41058 tag="a" tag="b"\] \{/,
  )
  await bound.run({}, { status: 503 })
  assert.match(await messages.next(), /^<11>1 /)
})

test('batches go to the bulk endpoint, and its address with the token to no log', async (t) => {
  const { url, requests } = await logServer(t, () => ({ status: 403 }))
  const bound = bindPolicy(policy, {
    config: { customer_token: 'tok', tags: ['a', 'b'], batch_max_size: 2 },
    metadata: { host: url, port: 1, protocol: 'http', timeout: 5000, max_pending_entries: 10 },
  })
  await bound.run()
  await bound.run()
  const { target, headers, body } = await requests.next()
  assert.deepEqual([target, headers['x-loggly-tag']], ['/bulk/tok/tag/bulk', 'a, b'])
  assert.equal(body.split('\n').length, 2)
  while (bound.logged.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.doesNotMatch(bound.logged.join(), /tok/)
})

for (const config of [
  {},
  { customer_token: 1 },
  { customer_token: 't', severity: 'LOUD' },
  { customer_token: 't', tags: [] },
  { customer_token: 't', tags: ['tag=x'] },
  { customer_token: 't', severity_map: { 999: 'INFO' } },
  { customer_token: 't', severity_map: { 500: 'LOUD' } },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
