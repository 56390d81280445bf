import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('nothing of it is said where nobody listens, and the key is in no log', async () => {
  const bound = bindPolicy(policy, {
    config: {
      host: '127.0.0.1',
      port: 1,
      project: 'p',
      logstore: 'l',
      access_key_id: 'id',
      access_key_secret: 's3cret',
      batch_max_size: 1,
    },
  })
  await bound.run()
  while (bound.logged.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(bound.logged, ['log entries cannot be delivered'])
})

for (const config of [
  {},
  { host: 'a', port: 1, project: 'p', logstore: 'l', access_key_id: 'i' },
  { host: 'a', port: 'x', project: 'p', logstore: 'l', access_key_id: 'i', access_key_secret: 's' },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
