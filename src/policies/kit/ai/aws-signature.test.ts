import assert from 'node:assert/strict'
import { test } from 'node:test'
import { awsSignature } from './aws-signature.ts'

/** Of the test suite that AWS publishes for Signature Version 4. */
const key = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const now = Date.parse('2015-08-30T12:36:00Z')
const sign = (method: string, path: string) =>
  awsSignature(
    { method, url: new URL(path, 'https://example.amazonaws.com'), body: '' },
    key,
    'us-east-1',
    'service',
    now,
  ).authorization

const start =
  'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature='
for (const [name, method, path, signature] of [
  ['get-vanilla', 'GET', '/', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['post-vanilla', 'POST', '/', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  [
    'get-vanilla-query-order-key-case',
    'GET',
    '/?Param2=value2&Param1=value1',
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
] as const) {
  test(name, () => assert.equal(sign(method, path), start + signature))
}

test('what is encoded in a path is encoded once more for the signature', () => {
  assert.notEqual(sign('POST', '/model/a%3Ab/converse'), sign('POST', '/model/a:b/converse'))
})

test('a key that holds for a while comes with its token', () => {
  const fields = awsSignature(
    { method: 'POST', url: new URL('http://127.0.0.1:8000/x'), body: Buffer.from('{}') },
    { ...key, session_token: 't' },
    'eu-west-1',
    'bedrock',
    now,
  )
  assert.equal(fields['x-amz-security-token'], 't')
  assert.equal(fields['x-amz-date'], '20150830T123600Z')
  assert.match(fields.authorization!, /SignedHeaders=host;x-amz-date;x-amz-security-token,/)
  assert.equal('host' in fields, false)
})
