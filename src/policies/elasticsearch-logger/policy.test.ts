import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('rows go to the bulk endpoint, with the index of their time and a type for old servers', async (t) => {
  for (const [number, action] of [
    ['8.1.0', { index: { _index: 'services-api.example-2026.01' } }],
    ['6.8.1', { index: { _index: 'services-api.example-2026.01', _type: '_doc' } }],
  ] as const) {
    const { url, requests } = await logServer(t, ({ method }) => ({
      text: method === 'GET' ? JSON.stringify({ version: { number } }) : '{}',
    }))
    const bound = bindPolicy(policy, {
      config: {
        endpoint_addrs: [url],
        field: { index: 'services-$host-{!%Y.%m}' },
        auth: { username: 'elastic', password: '123456' },
        batch_max_size: 2,
      },
    })
    await bound.run()
    await bound.run()
    assert.equal((await requests.next()).method, 'GET')
    const { target, headers, body } = await requests.next()
    assert.deepEqual(
      [target, headers['content-type'], headers.accept, headers.authorization],
      [
        '/_bulk?filter_path=errors,items.*.status',
        'application/x-ndjson',
        'application/vnd.elasticsearch+json',
        'Basic ZWxhc3RpYzoxMjM0NTY=',
      ],
    )
    const lines = body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual([lines.length, lines[0], lines[1].route_id], [4, action, 'r1'])
  }
})

test('entries that are refused in a taken batch are failures, and the others are not written twice', async (t) => {
  const items = [201, 400, 201].map((status) => ({ index: { status } }))
  const { url, requests } = await logServer(t, ({ method }) => ({
    text: method === 'GET' ? '{"version":{"number":"8.1.0"}}' : JSON.stringify({ errors: true, items }),
  }))
  const bound = bindPolicy(policy, {
    config: {
      endpoint_addr: url,
      field: { index: 'services' },
      batch_max_size: 3,
      max_retry_count: 5,
      retry_delay: 0,
    },
  })
  for (let n = 0; n < 3; n++) await bound.run()
  while (bound.logged.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const counted = bound.series().filter((series) => series.startsWith('sluice_log_entries_total'))
  assert.deepEqual(
    counted.map((series) => series.match(/(\w+)[^\w]*(\d+)$/)?.slice(1)),
    [
      ['delivered', '2'],
      ['failed', '1'],
      ['discarded', '0'],
    ],
  )
  assert.deepEqual([bound.logged, requests.all.length], [['log entries cannot be delivered'], 2])
})

for (const config of [
  {},
  { endpoint_addr: 'http://a' },
  { endpoint_addr: 'http://a/', field: { index: 'x' } },
  { endpoint_addr: 'a', field: { index: 'x' } },
  { endpoint_addrs: [], field: { index: 'x' } },
  { endpoint_addrs: ['http://a'], field: {} },
  { endpoint_addrs: ['http://a'], field: { index: 'x' }, auth: { username: 'u' } },
  { endpoint_addrs: ['http://a'], field: { index: 'x' }, headers: {} },
  { endpoint_addrs: ['http://a'], field: { index: 'x' }, timeout: 0 },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
