import { test } from 'node:test'
import { FailedKeys } from './failed-keys.ts'

test('a client that is wrong too often waits, and others do not', (t) => {
  let now = 1_000_000
  const failed = new FailedKeys(() => now)
  for (let count = 0; count < 20; count++) {
    t.assert.equal(failed.wait('10.0.0.1'), 0, `${count} failures`)
    failed.add('10.0.0.1')
  }
  t.assert.equal(failed.wait('10.0.0.1'), 3)
  t.assert.equal(failed.wait('10.0.0.2'), 0)
  now += 3000
  t.assert.equal(failed.wait('10.0.0.1'), 0)
  failed.add('10.0.0.1')
  t.assert.equal(failed.wait('10.0.0.1'), 3)
  now += 60_000
  for (let count = 0; count < 19; count++) failed.add('10.0.0.1')
  t.assert.equal(failed.wait('10.0.0.1'), 0)
})
