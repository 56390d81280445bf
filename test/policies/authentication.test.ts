/** Who is calling, through the wire: what the upstream got, and that it got nothing of what was rejected. */
import assert from 'node:assert/strict'
import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { policyGateway, type Sent } from '../harness/policy-gateway.ts'

const secret = '12345678901234567890123456789012'
const gateway = policyGateway(
  () => `
consumers:
  - username: jack
    plugins:
      hmac-auth: { key_id: jack-id, secret_key: jack-secret }
      key-auth: { key: jack-key }
      basic-auth: { username: jack, password: jack-password }
      jwe-decrypt: { key: jack-jwe, secret: "${secret}" }
  - { username: guest }
routes:
  - { id: hmac, uri: /hmac, upstream_id: u, plugins: { hmac-auth: { hide_credentials: true, validate_request_body: true, max_req_body_size: 1000 } } }
  - { id: guests, uri: /guests, upstream_id: u, plugins: { hmac-auth: { anonymous_consumer: guest } } }
  - { id: several, uri: /several, upstream_id: u, plugins: { multi-auth: { auth_plugins: [{ basic-auth: { hide_credentials: true } }, { key-auth: { header: x-key } }, { hmac-auth: { validate_request_body: true } }] } } }
  - { id: jwe, uri: /jwe, upstream_id: u, plugins: { jwe-decrypt: { forward_header: X-Inner } } }
`,
)

async function rejected(path: string, sent: Sent = {}) {
  const { status, text, seen } = await gateway.send(path, sent)
  assert.equal(seen, undefined, 'the upstream got a request that was rejected')
  return [status, JSON.parse(text)]
}

suite('hmac-auth', () => {
  function signed(path: string, body: string, digestOf = body): Sent & { headers: Record<string, string> } {
    const date = new Date().toUTCString()
    const digest = `SHA-256=${createHash('sha256').update(digestOf).digest('base64')}`
    const text = `jack-id\nPOST ${path}\ndate: ${date}\ndigest: ${digest}\n`
    const signature = createHmac('sha256', 'jack-secret').update(text).digest('base64')
    const authorization = `Signature keyId="jack-id",algorithm="hmac-sha256",headers="@request-target date digest",signature="${signature}"`
    return { method: 'POST', headers: { date, digest, authorization }, body }
  }
  const refused = [401, { message: "client request can't be validated" }]

  test('a signed request passes, with its body and without its signature', async () => {
    const { status, seen } = await gateway.send('/hmac?a=1', signed('/hmac?a=1', 'hello'))
    assert.equal(status, 200)
    assert.equal(seen?.body.toString(), 'hello')
    assert.equal(seen?.headers['x-consumer-username'], 'jack')
    assert.equal(seen?.headers.authorization, undefined)
  })

  test('what was changed on its way does not', async () => {
    assert.deepEqual(await rejected('/hmac?a=2', signed('/hmac?a=1', 'hello')), refused)
    assert.deepEqual(await rejected('/hmac', signed('/hmac', 'hello', 'hallo')), refused)
    const large = signed('/hmac', 'x'.repeat(1001))
    assert.equal((await rejected('/hmac', large))[0], 413)
    const { headers } = await gateway.send('/hmac')
    assert.equal(headers.get('www-authenticate'), 'hmac realm="hmac"')
  })

  test('a guest stands in, whatever was claimed', async () => {
    const headers = { authorization: 'Signature keyId="jack-id"', 'x-consumer-username': 'jack' }
    const { seen } = await gateway.send('/guests', { headers })
    assert.equal(seen?.headers['x-consumer-username'], 'guest')
  })
})

suite('jwe-decrypt', () => {
  function encrypt(text: string, kid: string): string {
    const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid })).toString('base64url')
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(Buffer.from(header))
    const body = Buffer.concat([cipher.update(text), cipher.final()])
    return [header, '', ...[iv, body, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join(
      '.',
    )
  }

  test('what is in a token reaches the upstream', async () => {
    const headers = { authorization: `Bearer ${encrypt('hello', 'jack-jwe')}`, 'x-inner': 'spoofed' }
    const { seen } = await gateway.send('/jwe', { headers })
    assert.equal(seen?.headers['x-inner'], 'hello')
    assert.equal(seen?.headers['x-consumer-username'], undefined)
  })

  test('anything else does not', async () => {
    assert.deepEqual(await rejected('/jwe'), [403, { message: 'missing JWE token in request' }])
    const headers = { authorization: encrypt('hello', 'other') }
    assert.deepEqual(await rejected('/jwe', { headers }), [400, { message: 'invalid kid in JWE token' }])
  })
})

suite('multi-auth', () => {
  test('any of its policies is enough, with the defaults of each', async () => {
    const authorization = `Basic ${Buffer.from('jack:jack-password').toString('base64')}`
    const basic = await gateway.send('/several', { headers: { authorization } })
    assert.equal(basic.seen?.headers['x-consumer-username'], 'jack')
    assert.equal(basic.seen?.headers.authorization, undefined)
    const key = await gateway.send('/several', { headers: { 'x-key': 'jack-key' } })
    assert.equal(key.seen?.headers['x-consumer-username'], 'jack')
  })

  test('when none knows the caller, the request is rejected', async () => {
    const headers = { 'x-key': 'wrong', authorization: 'Basic eA==' }
    assert.deepEqual(await rejected('/several', { headers }), [401, { message: 'Authorization Failed' }])
  })
})
