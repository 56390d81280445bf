import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('it has no part in traffic', () => {
  assert.deepEqual(bindPolicy(policy).handlers, {})
})

test('it takes no settings', () => {
  assert.throws(() => bindPolicy(policy, { config: { x: 1 } as never }), /x/)
})
