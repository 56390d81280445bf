import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = {
  endpoint_addrs: ['http://127.0.0.1:1'],
  token: 'key-of-lago',
  event_transaction_id: 'req_$uri',
  event_subscription_id: 'cus_$consumer_name',
  event_code: 'requests',
}

test('an event has its ids, its code, its time and its properties', async (t) => {
  const { url, requests } = await logServer(t)
  const bound = bindPolicy(policy, {
    config: {
      ...config,
      endpoint_addrs: [url],
      batch_max_size: 2,
      event_properties: { status: '$status', plan: 'gold' },
    },
  })
  await bound.run({ target: '/a', consumer: 'jack' }, { status: 201 })
  await bound.run({ target: '/b', consumer: 'jack' }, { status: 404 })
  const { method, target, headers, body } = await requests.next()
  assert.deepEqual(
    [method, target, headers.authorization, headers['content-type']],
    ['POST', '/api/v1/events/batch', 'Bearer key-of-lago', 'application/json'],
  )
  const timestamp = Date.UTC(2026, 0, 1) / 1000
  const event = (uri: string, status: string) => ({
    transaction_id: `req_${uri}`,
    external_subscription_id: 'cus_jack',
    code: 'requests',
    timestamp,
    properties: { status, plan: 'gold' },
  })
  assert.deepEqual(JSON.parse(body), { events: [event('/a', '201'), event('/b', '404')] })
})

for (const wrong of [
  { endpoint_addrs: [] },
  { endpoint_addrs: ['nowhere'] },
  { endpoint_uri: '' },
  { token: 1 },
  { event_transaction_id: undefined },
  { event_subscription_id: undefined },
  { event_code: undefined },
  { event_properties: { a: '' } },
  { timeout: 60_001 },
  { batch_max_size: 0 },
]) {
  test(`is refused: ${JSON.stringify(wrong)} (${Object.keys(wrong)[0]})`, () => {
    const entries = Object.entries({ ...config, ...wrong }).filter(([, value]) => value !== undefined)
    assert.throws(
      () => bindPolicy(policy, { config: Object.fromEntries(entries) as never }),
      new RegExp(Object.keys(wrong)[0]!),
    )
  })
}
