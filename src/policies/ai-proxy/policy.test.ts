import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const sound = { provider: 'openai', auth: {} }

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{ auth: {} }, /provider/],
    [{ provider: 'openai' }, /auth/],
    [{ provider: 'nobody', auth: {} }, /provider/],
    [{ provider: 'bedrock', auth: {} }, /provider/],
    [{ provider: 'openai-compatible', auth: {} }, /override\.endpoint is needed/],
    [{ provider: 'azure-openai', auth: {} }, /override\.endpoint is needed/],
    [{ ...sound, auth: { header: { a: 1 } } }, /auth\.header\.a/],
    [{ ...sound, auth: { gcp: {} } }, /gcp/],
    [{ ...sound, options: { model: 1 } }, /options\.model/],
    [{ ...sound, override: { endpoint: 'ftp://a' } }, /override\.endpoint/],
    [{ ...sound, override: { llm_options: { max_tokens: 0 } } }, /max_tokens/],
    [{ ...sound, timeout: 0 }, /timeout/],
    [{ ...sound, timeout: 600_001 }, /timeout/],
    [{ ...sound, max_req_body_size: 0 }, /max_req_body_size/],
    [{ ...sound, max_response_bytes: 0 }, /max_response_bytes/],
    [{ ...sound, max_stream_duration_ms: 0 }, /max_stream_duration_ms/],
    [{ ...sound, keepalive: 1 }, /keepalive/],
    [{ ...sound, keepalive_timeout: 1 }, /keepalive_timeout/],
    [{ ...sound, ssl_verify: 'no' }, /ssl_verify/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})
