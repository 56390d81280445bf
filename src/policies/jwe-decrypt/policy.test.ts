import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const secret = '12345678901234567890123456789012'
const consumers = [{ username: 'jack', plugins: { 'jwe-decrypt': { key: 'user-key', secret } } }]
const header = { alg: 'dir', kid: 'user-key', enc: 'A256GCM' }

interface Making {
  key?: string | Buffer
  /** Leaves the header out of what the tag stands for, as APISIX does. */
  bare?: boolean
}

function encrypt(text: string, head: object = header, { key = secret, bare = false }: Making = {}): string {
  const first = Buffer.from(JSON.stringify(head)).toString('base64url')
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  if (!bare) cipher.setAAD(Buffer.from(first))
  const body = Buffer.concat([cipher.update(text), cipher.final()])
  return [first, '', ...[iv, body, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.')
}

const send = (token: string, config: object = {}) =>
  bindPolicy(policy, { config, consumers }).run({ headers: { authorization: token } })

test('what is in a token takes its place, and nobody is identified by it', async () => {
  for (const bare of [false, true]) {
    const token = encrypt('Bearer inner', header, { bare })
    for (const field of [token, `Bearer ${token}`, `bearer ${token}`]) {
      const { upstream, consumer } = await send(field)
      assert.equal(upstream?.headers.authorization, 'Bearer inner')
      assert.equal(consumer, undefined)
    }
  }
})

test('the names of both fields are configurable', async () => {
  const { run } = bindPolicy(policy, { config: { header: 'X-In', forward_header: 'X-Out' }, consumers })
  const { upstream } = await run({ headers: { 'x-in': encrypt('hello'), 'x-out': 'spoofed' } })
  assert.equal(upstream?.headers['x-out'], 'hello')
})

test('without a token: 403, or no such field for the upstream', async () => {
  const config = { header: 'X-In', forward_header: 'X-Out' }
  const strict = await bindPolicy(policy, { config, consumers }).run({ headers: { 'x-out': 'spoofed' } })
  assert.deepEqual(strict.verdict, { status: 403, body: { message: 'missing JWE token in request' } })
  const lax = bindPolicy(policy, { config: { ...config, strict: false }, consumers })
  assert.deepEqual((await lax.run({ headers: { 'x-out': 'spoofed' } })).upstream?.headers, {})
})

suite('refused', () => {
  const good = encrypt('hello')
  const [first, , iv, body, tag] = good.split('.') as [string, string, string, string, string]
  const cases: [string, string, string][] = [
    ['no token', 'hello', 'JWE token invalid'],
    ['four parts', `${first}..${iv}.${body}`, 'JWE token invalid'],
    ['six parts', `${good}.x`, 'JWE token invalid'],
    ['no JSON', `AAAA..${iv}.${body}.${tag}`, 'JWE token invalid'],
    [
      'a header that is no object',
      `${Buffer.from('[]').toString('base64url')}..${iv}.${body}.${tag}`,
      'JWE token invalid',
    ],
    ['no kid', encrypt('hello', { alg: 'dir', enc: 'A256GCM' }), 'missing kid in JWE token'],
    ['a kid that is no text', encrypt('hello', { ...header, kid: {} }), 'invalid kid in JWE token'],
    ['the kid of a stranger', encrypt('hello', { ...header, kid: 'other' }), 'invalid kid in JWE token'],
    ['another key', encrypt('hello', header, { key: randomBytes(32) }), 'failed to decrypt JWE token'],
    ['another algorithm', encrypt('hello', { ...header, alg: 'A256KW' }), 'failed to decrypt JWE token'],
    ['another encryption', encrypt('hello', { ...header, enc: 'A128GCM' }), 'failed to decrypt JWE token'],
    ['a tag that is cut off', `${first}..${iv}.${body}.${tag.slice(0, 6)}`, 'failed to decrypt JWE token'],
    ['no initialisation vector', `${first}...${body}.${tag}`, 'failed to decrypt JWE token'],
    ['what would break a head', encrypt('a\r\nX-Admin: 1'), 'failed to decrypt JWE token'],
  ]
  for (const [what, token, message] of cases) {
    test(what, async () => {
      const { verdict, upstream } = await send(token)
      assert.deepEqual(verdict, { status: 400, body: { message } })
      assert.equal(upstream, undefined)
    })
  }
})

test('a secret has 32 bytes', () => {
  const finding = (credential: object) => policy.validateCredential?.({ key: 'k', ...credential } as never)
  assert.equal(finding({ secret }), undefined)
  assert.equal(finding({ secret: 'short' }), 'the secret length should be 32 chars')
  assert.equal(
    finding({ secret: Buffer.from(secret).toString('base64url'), is_base64_encoded: true }),
    undefined,
  )
  assert.match(finding({ secret, is_base64_encoded: true })!, /after base64 decode/)
})

suite('the configuration', () => {
  for (const wrong of [
    { header: 1 },
    { header: 'a b' },
    { forward_header: 'Host' },
    { strict: 'x' },
    { key: 'x' },
  ]) {
    test(`${JSON.stringify(wrong)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config: wrong as object }))
    })
  }
})
