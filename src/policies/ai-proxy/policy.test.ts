import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const sound = { provider: 'openai', auth: {} }
const aws = { access_key_id: 'a', secret_access_key: 'b' }

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{ auth: {} }, /provider/],
    [{ provider: 'openai' }, /auth/],
    [{ provider: 'nobody', auth: {} }, /provider/],
    [{ provider: 'bedrock', auth: {} }, /provider/],
    [{ provider: 'openai-compatible', auth: {} }, /override\.endpoint is needed/],
    [{ provider: 'azure-openai', auth: {} }, /override\.endpoint is needed/],
    [{ ...sound, auth: { header: { a: 1 } } }, /auth\.header\.a/],
    [{ ...sound, auth: { gcp: { max_ttl: 0 } } }, /gcp\.max_ttl/],
    [{ ...sound, auth: { gcp: { service_account_json: 'x' } } }, /invalid gcp service_account_json/],
    [{ ...sound, auth: { aws: { access_key_id: 'a' } } }, /secret_access_key/],
    [{ provider: 'bedrock', auth: { aws } }, /bedrock requires provider_conf\.region/],
    [{ provider: 'bedrock', auth: {}, provider_conf: { region: 'r' } }, /bedrock requires auth\.aws/],
    [{ provider: 'bedrock', auth: { aws }, provider_conf: { region: 'a.b/' } }, /region/],
    [{ provider: 'vertex-ai', auth: {}, provider_conf: { region: 'r' } }, /vertex-ai requires either/],
    [{ ...sound, override: { request_body: { 'openai-chat': 5 } } }, /request_body/],
    [{ ...sound, override: { request_body: { nothing: {} } } }, /request_body/],
    [{ ...sound, override: { llm_options: { temperature: 1 } } }, /llm_options/],
    [{ ...sound, logging: { summaries: 1 } }, /logging\.summaries/],
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
