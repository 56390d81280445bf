import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('events stand one behind the other', async (t) => {
  const { url, requests } = await logServer(t)
  const endpoint = { uri: `${url}/services/collector`, token: 'BD274822', channel: 'c' }
  const bound = bindPolicy(policy, {
    config: { endpoint: endpoint as never, batch_max_size: 2, log_format_extra: { more: '$host' } },
  })
  await bound.run()
  await bound.run({ target: '/two' })
  const { headers, body } = await requests.next()
  assert.deepEqual([headers.authorization, headers['x-splunk-request-channel']], ['Splunk BD274822', 'c'])
  const events = JSON.parse(`[${body.replace('}{', '},{')}]`)
  assert.deepEqual(
    [events.length, events[1].event.request_url, events[1].event.more],
    [2, 'http://api.example:9080/two', 'api.example'],
  )
  assert.deepEqual(
    [events[0].source, events[0].sourcetype, events[0].host, events[0].time],
    ['apache-apisix-splunk-hec-logging', '_json', 'gateway.example', Date.UTC(2026, 0, 1) / 1000],
  )
})

for (const config of [
  {},
  { endpoint: { uri: 'http://a' } },
  { endpoint: { uri: 'a', token: 't' } },
  { endpoint: { uri: 'http://a', token: 't', timeout: 0 } },
  { endpoint: { uri: 'http://a', token: 't', keepalive_timeout: 1 } },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
