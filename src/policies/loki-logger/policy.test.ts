import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('entries with the same labels make a stream', async (t) => {
  const { url, requests } = await logServer(t, () => ({ status: 204 }))
  const bound = bindPolicy(policy, {
    config: {
      endpoint_addrs: [url],
      log_labels: { job: 'apisix', agent: '$http_user_agent' },
      headers: { Authorization: 'x' },
      batch_max_size: 3,
    },
  })
  for (const agent of ['a', 'b', 'a']) await bound.run({ headers: { 'user-agent': agent } })
  const { target, headers, body } = await requests.next()
  assert.deepEqual(
    [target, headers['x-scope-orgid'], headers.authorization],
    ['/loki/api/v1/push', 'fake', 'x'],
  )
  const { streams } = JSON.parse(body)
  assert.deepEqual(
    streams.map(({ stream, values }: { stream: object; values: unknown[] }) => [stream, values.length]),
    [
      [{ job: 'apisix', agent: 'a' }, 2],
      [{ job: 'apisix', agent: 'b' }, 1],
    ],
  )
  const [time, line] = streams[0].values[0]
  assert.equal(time, `${Date.UTC(2026, 0, 1)}000000`)
  assert.equal(JSON.parse(line).route_id, 'r1')
})

for (const config of [
  {},
  { endpoint_addrs: [] },
  { endpoint_addrs: ['nowhere'] },
  { endpoint_addrs: ['http://a'], endpoint_uri: '' },
  { endpoint_addrs: ['http://a'], timeout: 60_001 },
  { endpoint_addrs: ['http://a'], keepalive_timeout: 1 },
  { endpoint_addrs: ['http://a'], log_labels: { a: '' } },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
