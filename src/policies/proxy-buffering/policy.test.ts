import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('it has no part in traffic', () => {
  assert.deepEqual(bindPolicy(policy, { config: { disable_proxy_buffering: true } }).handlers, {})
})

test('its setting is yes or no', () => {
  assert.throws(
    () => bindPolicy(policy, { config: { disable_proxy_buffering: 1 } as never }),
    /disable_proxy/,
  )
})
