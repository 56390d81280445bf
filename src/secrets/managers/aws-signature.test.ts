import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { suite, test } from 'node:test'
import { signature } from './aws-signature.ts'

const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
}
const then = Date.UTC(2015, 7, 30, 12, 36, 0)

suite('signatures that AWS publishes', () => {
  test('of GET / in its test suite', () => {
    const url = new URL('https://example.amazonaws.com/')
    const scope = { region: 'us-east-1', service: 'service' }
    assert.deepEqual(signature({ method: 'GET', url, headers: {} }, credentials, scope, then), {
      'X-Amz-Date': '20150830T123600Z',
      Authorization:
        'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    })
  })

  test('of POST / in its test suite', () => {
    const url = new URL('https://example.amazonaws.com/')
    const scope = { region: 'us-east-1', service: 'service' }
    const { Authorization } = signature({ method: 'POST', url, headers: {} }, credentials, scope, then)
    assert.match(
      Authorization!,
      /Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b$/,
    )
  })

  test('of ListUsers in the guide to IAM', () => {
    const url = new URL('https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08')
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' }
    const scope = { region: 'us-east-1', service: 'iam' }
    const { Authorization } = signature({ method: 'GET', url, headers }, credentials, scope, then)
    assert.match(
      Authorization!,
      /SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7$/,
    )
  })
})

test('a request for a secret, signed once more by hand', () => {
  const body = '{"SecretId":"jack","VersionStage":"AWSCURRENT"}'
  const url = new URL('http://127.0.0.1:4566/')
  const headers = {
    'Content-Type': 'application/x-amz-json-1.1',
    'X-Amz-Target': 'secretsmanager.GetSecretValue',
  }
  const signed = signature(
    { method: 'POST', url, headers, body },
    { ...credentials, sessionToken: 'token' },
    { region: 'eu-west-1', service: 'secretsmanager' },
    Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  )
  assert.equal(signed['X-Amz-Security-Token'], 'token')

  const hex = (text: string) => createHash('sha256').update(text).digest('hex')
  const mac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest()
  const canonical = `POST
/

content-type:application/x-amz-json-1.1
host:127.0.0.1:4566
x-amz-date:20260102T030405Z
x-amz-security-token:token
x-amz-target:secretsmanager.GetSecretValue

content-type;host;x-amz-date;x-amz-security-token;x-amz-target
${hex(body)}`
  const text = `AWS4-HMAC-SHA256
20260102T030405Z
20260102/eu-west-1/secretsmanager/aws4_request
${hex(canonical)}`
  const day = mac(`AWS4${credentials.secretAccessKey}`, '20260102')
  const key = mac(mac(mac(day, 'eu-west-1'), 'secretsmanager'), 'aws4_request')
  assert.ok(signed.Authorization!.endsWith(`Signature=${mac(key, text).toString('hex')}`))
})
