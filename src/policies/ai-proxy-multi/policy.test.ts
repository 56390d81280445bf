import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const one = { name: 'a', provider: 'openai', weight: 1, auth: {} }
const embeddings = { provider: 'openai', model: 'm', auth: {} }
const azure = { ...embeddings, provider: 'azure-openai' }
const semantic = {
  instances: [{ ...one, examples: ['x'] }],
  balancer: { algorithm: 'semantic' },
  semantic_opts: { embeddings },
}

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{}, /instances/],
    [{ instances: [] }, /instances/],
    [{ instances: [one, one] }, /duplicate instance name 'a' at instances\[1\] and instances\[2\]/],
    [{ instances: [{ ...one, weight: -1 }] }, /weight/],
    [
      { instances: [{ ...one, provider: 'openai-compatible' }] },
      /instance 'a': override\.endpoint is needed/,
    ],
    [{ instances: [{ ...one, checks: {} }] }, /checks/],
    [{ instances: [one], balancer: { algorithm: 'chance' } }, /algorithm/],
    [{ instances: [one], balancer: { algorithm: 'chash' } }, /`key` is needed/],
    [{ instances: [one], balancer: { algorithm: 'chash', key: 'status' } }, /`status` cannot be/],
    [{ instances: [one], balancer: { algorithm: 'semantic' } }, /must configure `semantic_opts/],
    [{ ...semantic, instances: [one] }, /instance 'a': must configure non-empty `examples`/],
    [{ ...semantic, semantic_opts: { embeddings, fallback: 'b' } }, /unknown instance 'b'/],
    [{ ...semantic, semantic_opts: { embeddings: azure } }, /endpoint` when embeddings provider/],
    [
      { ...semantic, semantic_opts: { embeddings: { ...azure, endpoint: 'https://a.b' } } },
      /full deployment path/,
    ],
    [{ ...semantic, semantic_opts: { embeddings, threshold: 2 } }, /threshold/],
    [{ instances: [{ ...one, examples: [''] }] }, /examples/],
    [{ instances: [{ ...one, checks: { passive: {} } }] }, /checks/],
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
