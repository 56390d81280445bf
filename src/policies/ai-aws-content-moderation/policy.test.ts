import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'
import { segmentsOf } from './segments.ts'

const comprehend = { access_key_id: 'id', secret_access_key: 'secret', region: 'eu-west-1' }

suite('segments', () => {
  test('no character is cut in half', () => {
    assert.deepEqual(segmentsOf('aé😀b', 4), [['aé', '😀', 'b']])
    assert.deepEqual(segmentsOf('', 4), [])
  })

  test('a call has ten of them at most, and no more bytes than the service takes', () => {
    const calls = segmentsOf('x'.repeat(25_000), 1000)
    assert.deepEqual(
      calls.map((segments) => segments.length),
      [10, 10, 5],
    )
    const large = segmentsOf('x'.repeat(10_240), 1024)
    assert.deepEqual(
      large.map((segments) => segments.join('').length),
      [9216, 1024],
    )
  })

  test('halves of characters are something, and nothing is lost', () => {
    assert.equal(segmentsOf('\ud83d'.repeat(3), 4).flat().join(''), '\ufffd'.repeat(3))
  })
})

test('a request that asks no model passes unless that is an error', async () => {
  const send = (more: object) =>
    runPolicy(policy, {
      config: { comprehend: { ...comprehend, ssl_verify: true }, ...more },
      request: { method: 'POST', body: '[' },
    })
  assert.ok((await send({})).upstream)
  const { answer, upstream } = await send({ fail_mode: 'error' })
  assert.deepEqual([answer.status, upstream], [500, undefined])
})

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{}, /comprehend/],
    [{ comprehend: { ...comprehend, region: undefined } }, /region/],
    [{ comprehend: { ...comprehend, region: 'a b' } }, /no address/],
    [{ comprehend: { ...comprehend, endpoint: 'ftp://x' } }, /endpoint/],
    [{ comprehend, moderation_categories: { RUDE: 0.5 } }, /RUDE/],
    [{ comprehend, moderation_categories: { INSULT: 2 } }, /INSULT/],
    [{ comprehend, moderation_threshold: -1 }, /moderation_threshold/],
    [{ comprehend, request_check_length_limit: 3 }, /request_check_length_limit/],
    [{ comprehend, response_check_length_limit: 1025 }, /response_check_length_limit/],
    [{ comprehend, deny_code: 600 }, /deny_code/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})
