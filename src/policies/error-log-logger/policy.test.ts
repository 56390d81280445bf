import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

// What its metadata does is tested in src/shipped-log.test.ts.
test('it has no part in traffic', () => {
  assert.deepEqual(bindPolicy(policy).handlers, {})
})
