import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PolicyHost } from '../kit/index.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

/** The key under which one request is counted. */
async function keyOf(config: object, owner: string): Promise<string> {
  let counted = ''
  const limiter: PolicyHost['limiter'] = {
    key: (text) => ({ text }),
    acquire(key, _windows, _cost, out) {
      counted = typeof key === 'string' ? key : key.text
      out[0]!.resetMs = 1000
      return true
    },
    slide: unused,
    leak: unused,
    enter: unused,
  }
  await bindPolicy({ ...policy, create: withLimiter(limiter) }, { config, binding: { owner } }).run()
  return counted
}

function unused(): never {
  throw new Error('not part of this test')
}

const withLimiter =
  (limiter: PolicyHost['limiter']): typeof policy.create =>
  (config, host) =>
    policy.create(config, { ...host, limiter })

const config = { count: 5, time_window: 60 }

test('counters belong to the resource and its own settings of this policy', async () => {
  const key = await keyOf(config, 'route:1')
  assert.equal(await keyOf({ time_window: 60, count: 5 }, 'route:1'), key)
  assert.equal(await keyOf({ ...config, _meta: { priority: 7 } }, 'route:1'), key)
  assert.notEqual(await keyOf({ ...config, count: 6 }, 'route:1'), key)
  assert.notEqual(await keyOf(config, 'route:2'), key)
})

test('bindings of one group share their counters', async () => {
  const grouped = { ...config, group: 'g' }
  assert.equal(await keyOf(grouped, 'route:1'), await keyOf(grouped, 'service:2'))
  assert.equal(policy.sharedState?.({ ...grouped } as never), 'g')
})
