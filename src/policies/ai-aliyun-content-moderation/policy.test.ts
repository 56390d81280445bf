import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'
import { signedForm } from './signature.ts'

const config = {
  endpoint: 'https://green-cip.example',
  region_id: 'cn-shanghai',
  access_key_id: 'id',
  access_key_secret: 'secret',
}

test('the example of the documentation of Alibaba Cloud is signed as it says', () => {
  const form = signedForm(
    {
      Format: 'XML',
      AccessKeyId: 'testid',
      Action: 'DescribeRegions',
      SignatureMethod: 'HMAC-SHA1',
      SignatureNonce: '3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf',
      Version: '2014-05-26',
      SignatureVersion: '1.0',
      Timestamp: '2016-02-23T12:46:24Z',
    },
    'testsecret',
    'GET',
  )
  assert.equal(new URLSearchParams(form).get('Signature'), 'OLeaidS1JvxuMvnyHOwuJ+uX5qY=')
})

test('characters that forms write otherwise are signed as they are sent', () => {
  const form = signedForm({ ServiceParameters: "a b+c*d!'()~é" }, 's')
  assert.match(form, /^ServiceParameters=a%20b%2Bc%2Ad%21%27%28%29~%C3%A9&Signature=/)
})

test('a request that asks no model passes unless that is an error', async () => {
  const send = (more: object) =>
    runPolicy(policy, { config: { ...config, ...more }, request: { method: 'POST', body: '{"messages":7}' } })
  assert.ok((await send({})).upstream)
  assert.ok((await send({ fail_mode: 'warn' })).upstream)
  const { answer, upstream } = await send({ fail_mode: 'error' })
  assert.deepEqual([answer.status, upstream], [500, undefined])
})

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{ endpoint: 'x' }, /endpoint: it is no URL/],
    [{ endpoint: 'ftp://x' }, /http/],
    [{ region_id: '' }, /region_id/],
    [{ request_check_roles: ['assistant'] }, /request_check_roles/],
    [{ request_check_roles: ['user', 'user'] }, /request_check_roles/],
    [{ risk_level_bar: 'worst' }, /risk_level_bar/],
    [{ deny_code: 199 }, /deny_code/],
    [{ stream_check_mode: 'never' }, /stream_check_mode/],
    [{ stream_check_interval: 0 }, /stream_check_interval/],
    [{ fail_mode: 'open' }, /fail_mode/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: { ...config, ...wrong } as object }), finding),
    )
  }
})
