import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{}, /'limit' and 'time_window' are needed, or 'instances'/],
    [{ limit: 1 }, /belong together/],
    [{ limit: 0, time_window: 1 }, /limit/],
    [{ limit: 1, time_window: 0 }, /time_window/],
    [{ instances: [] }, /instances/],
    [{ instances: [{ name: 'a', limit: 1 }] }, /time_window/],
    [{ limit: 1, time_window: 1, limit_strategy: 'expression' }, /limit_strategy/],
    [{ limit: 1, time_window: 1, rejected_code: 199 }, /rejected_code/],
    [{ limit: 1, time_window: 1, policy: 'redis' }, /policy/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})

test('a request that goes to no language model is not counted', async () => {
  const bound = bindPolicy(policy, { config: { limit: 1, time_window: 60 } })
  for (let i = 0; i < 3; i++) assert.equal((await bound.run()).verdict, undefined)
})
