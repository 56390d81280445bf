import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datagramServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('a batch is one datagram, or several where it does not fit one', async (t) => {
  const { port, messages } = await datagramServer(t)
  const bound = bindPolicy(policy, { config: { host: '127.0.0.1', port, batch_max_size: 4 } })
  for (let n = 0; n < 4; n++) await bound.run()
  assert.equal(JSON.parse(await messages.next()).length, 4)

  for (let n = 0; n < 4; n++) await bound.run({ headers: { large: 'x'.repeat(20_000) } })
  const sizes = [JSON.parse(await messages.next()).length, JSON.parse(await messages.next()).length]
  assert.deepEqual(sizes, [2, 2])
})

test('an entry that fits no datagram is counted as failed', async (t) => {
  const { port } = await datagramServer(t)
  const bound = bindPolicy(policy, { config: { host: '127.0.0.1', port, batch_max_size: 1 } })
  await bound.run({ headers: { large: 'x'.repeat(70_000) } })
  while (bound.logged.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(bound.series().includes('sluice_log_entries_total{policy="udp-logger",outcome="failed"} 1'))
})

for (const config of [{}, { host: 'a' }, { host: 1, port: 1 }, { host: 'a', port: 1, timeout: 0 }]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /config/)
  })
}
