import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('a request that asks no model passes unless that is an error', async () => {
  const send = (more: object) =>
    runPolicy(policy, { config: { api_key: 'k', ...more }, request: { method: 'POST', body: '"__proto__"' } })
  assert.ok((await send({})).upstream)
  const { answer, upstream } = await send({ fail_mode: 'error' })
  assert.equal(
    answer.body,
    'no ai instance picked, ai-lakera-guard plugin must be used with ai-proxy or ai-proxy-multi plugin',
  )
  assert.equal(upstream, undefined)
})

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{ api_key: undefined }, /api_key/],
    [{ api_key: '' }, /api_key/],
    [{ lakera_endpoint: 'lakera' }, /lakera_endpoint/],
    [{ lakera_endpoint: 'https://' }, /lakera_endpoint: it is no URL/],
    [{ direction: 'in' }, /direction/],
    [{ action: 'deny' }, /action/],
    [{ fail_open: 'no' }, /fail_open/],
    [{ timeout: 0 }, /timeout/],
    [{ deny_code: 600 }, /deny_code/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: { api_key: 'k', ...wrong } as object }), finding),
    )
  }
})
