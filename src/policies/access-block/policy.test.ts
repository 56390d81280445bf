import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('nobody passes', async () => {
  const { answer, upstream } = await runPolicy(policy, {})
  assert.deepEqual([answer.status, answer.body, upstream], [403, '{"error":"Access is blocked"}', undefined])
})

test('it has no settings', () => {
  assert.throws(() => bindPolicy(policy, { config: { block: true } as never }), /block/)
})
