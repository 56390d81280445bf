import assert from 'node:assert/strict'
import { test } from 'node:test'
import { streamServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('a batch is a list over a connection of its own, a single entry an object', async (t) => {
  const { port, messages } = await streamServer(t)
  for (const [batch_max_size, routes] of [
    [2, ['r1', 'r1']],
    [1, 'r1'],
  ] as const) {
    const bound = bindPolicy(policy, { config: { host: '127.0.0.1', port, batch_max_size } })
    for (let n = 0; n < batch_max_size; n++) await bound.run()
    const said = JSON.parse(await messages.next())
    assert.deepEqual(
      Array.isArray(said) ? said.map((entry: { route_id: string }) => entry.route_id) : said.route_id,
      routes,
    )
  }
})

test('a server that is not there is told of without holding anything up', async () => {
  const bound = bindPolicy(policy, { config: { host: '127.0.0.1', port: 1, batch_max_size: 1 } })
  await bound.run()
  while (bound.logged.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(bound.logged, ['log entries cannot be delivered'])
})

for (const config of [
  {},
  { host: 'a' },
  { host: 'a', port: -1 },
  { host: 'a', port: 1, timeout: 0 },
  { host: 'a', port: 1, tls: 1 },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /config/)
  })
}
