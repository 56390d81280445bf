import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{}, /command/],
    [{ command: '' }, /command/],
    [{ command: 1 }, /command/],
    [{ command: 'a', args: 'b' }, /args/],
    [{ command: 'a', args: [1] }, /args/],
    [{ command: 'a', base_uri: 'x' }, /base_uri/],
    [{ command: 'a', base_uri: '/x/' }, /base_uri/],
    [{ command: 'a', max_sessions: 0 }, /max_sessions/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})
