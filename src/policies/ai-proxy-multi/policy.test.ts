import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const one = { name: 'a', provider: 'openai', weight: 1, auth: {} }

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{}, /instances/],
    [{ instances: [] }, /instances/],
    [{ instances: [one, one] }, /duplicate instance name: a/],
    [{ instances: [{ ...one, weight: -1 }] }, /weight/],
    [{ instances: [{ ...one, provider: 'openai-compatible' }] }, /instance a: override\.endpoint is needed/],
    [{ instances: [{ ...one, checks: {} }] }, /checks/],
    [{ instances: [one], balancer: { algorithm: 'chash' } }, /algorithm/],
    [{ instances: [one], fallback_strategy: 'always' }, /fallback_strategy/],
    [{ instances: [one], fallback_http_statuses: [399] }, /fallback_http_statuses/],
    [{ instances: [one], max_retries: -1 }, /max_retries/],
    [{ instances: [one], retry_on_failure_within_ms: 0 }, /retry_on_failure_within_ms/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})
