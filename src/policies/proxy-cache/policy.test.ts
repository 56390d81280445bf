import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const findings: readonly [config: object, finding: RegExp][] = [
  [{ cache_strategy: 'network' }, /cache_strategy/],
  [{ cache_zone: '' }, /cache_zone/],
  [{ cache_zone: 'nowhere' }, /^Error: cache_zone nowhere not found$/],
  [{ cache_strategy: 'memory' }, /invalid or empty cache_zone for cache_strategy: memory/],
  [{ cache_zone: 'memory_cache' }, /invalid or empty cache_zone for cache_strategy: disk/],
  [{ cache_key: [] }, /cache_key/],
  [{ cache_key: ['$uri-', '-id'] }, /cache_key\.0/],
  [{ cache_key: ['$request_method'] }, /cache_key variable \$request_method unsupported/],
  [{ cache_bypass: '$arg_x' }, /cache_bypass/],
  [{ no_cache: [''] }, /no_cache\.0/],
  [{ cache_method: ['PUT'] }, /cache_method\.0/],
  [{ cache_http_status: [199] }, /cache_http_status\.0/],
  [{ cache_http_status: [200, 200] }, /cache_http_status/],
  [{ hide_cache_headers: 1 }, /hide_cache_headers/],
  [{ cache_control: 'yes' }, /cache_control/],
  [{ cache_ttl: 0 }, /cache_ttl/],
  [{ consumer_isolation: 0 }, /consumer_isolation/],
  [{ cache_set_cookie: 'no' }, /cache_set_cookie/],
  [{ max_resp_body_size: 0 }, /max_resp_body_size/],
]

suite('configurations that are refused', () => {
  for (const [config, finding] of findings) {
    test(JSON.stringify(config), () => assert.throws(() => bindPolicy(policy, { config }), finding))
  }
})

test('where the zone cannot be used, requests pass', async () => {
  const bound = bindPolicy(policy)
  const run = await bound.run({ target: '/a' }, { body: 'answer' })
  assert.deepEqual([run.answer.status, run.answer.headers['apisix-cache-status']], [200, 'BYPASS'])
  assert.equal((await bound.run({ method: 'PURGE' })).answer.status, 404)
})
