import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { suite, test } from 'node:test'
import { bindPolicy, type FakeRequest } from '../kit/testing.ts'
import { readHttpDate } from './http-date.ts'
import policy from './policy.ts'

const consumers = [
  { username: 'jack', plugins: { 'hmac-auth': { key_id: 'my-key', secret_key: 'my-secret' } } },
  { username: 'anonymous' },
]
/** The fake clock starts then. */
const date = 'Thu, 01 Jan 2026 00:00:00 GMT'

interface Signing {
  keyId?: string
  secret?: string
  algorithm?: string
  names?: string
  text?: string
}

/** A request with `Authorization` for what it is. */
function signed(
  request: Omit<FakeRequest, 'headers'> & { headers?: Record<string, string> },
  signing: Signing = {},
): FakeRequest {
  const {
    keyId = 'my-key',
    secret = 'my-secret',
    algorithm = 'hmac-sha256',
    names = '@request-target date',
  } = signing
  const headers: Record<string, string> = { date, ...request.headers }
  const lines = names.split(' ').map((name) => {
    if (name === '@request-target') return `${request.method ?? 'GET'} ${request.target ?? '/'}`
    return `${name}: ${headers[name.toLowerCase()]}`
  })
  const text = signing.text ?? `${[keyId, ...lines].join('\n')}\n`
  const signature = createHmac(algorithm.slice('hmac-'.length), secret).update(text).digest('base64')
  const authorization = `Signature keyId="${keyId}",algorithm="${algorithm}",headers="${names}",signature="${signature}"`
  return { ...request, headers: { ...headers, authorization } }
}

const refused = '{"message":"client request can\'t be validated"}\n'

test('a signed request identifies its consumer, whatever the algorithm', async () => {
  const { run } = bindPolicy(policy, { consumers })
  for (const algorithm of ['hmac-sha1', 'hmac-sha256', 'hmac-sha512']) {
    const { consumer, upstream } = await run(signed({ target: '/get?a=%20b' }, { algorithm }))
    assert.equal(consumer, 'jack')
    assert.ok(upstream?.headers.authorization)
  }
})

test('hide_credentials keeps the signature from the upstream', async () => {
  const { run } = bindPolicy(policy, { consumers, config: { hide_credentials: true } })
  assert.equal((await run(signed({}))).upstream?.headers.authorization, undefined)
})

test('without a signature the answer says what is missing, with a challenge', async () => {
  const { run } = bindPolicy(policy, { consumers, config: { realm: 'my realm' } })
  const missing = await run()
  assert.equal(missing.answer.status, 401)
  assert.equal(missing.answer.headers['www-authenticate'], 'hmac realm="my realm"')
  assert.equal(
    missing.answer.body,
    '{"message":"client request can\'t be validated: missing Authorization header"}\n',
  )
  const other = await run({ headers: { authorization: 'Basic Zm9vOmJhcg==' } })
  assert.match(other.answer.body, /does not start with 'Signature'/)
})

suite('refused', () => {
  const authorization = (value: string): FakeRequest => ({ headers: { date, authorization: value } })
  const good = (signed({}).headers as Record<string, string>).authorization!
  const cases: [string, FakeRequest, object?][] = [
    ['a key that nobody has', signed({}, { keyId: 'other' })],
    ['another secret', signed({}, { secret: 'other' })],
    ['another target', { ...signed({ target: '/a' }), target: '/b' }],
    ['another method', { ...signed({}), method: 'DELETE' }],
    [
      'an algorithm that is not allowed',
      signed({}, { algorithm: 'hmac-sha1' }),
      { allowed_algorithms: ['hmac-sha512'] },
    ],
    ['a field that is not signed', signed({}), { signed_headers: ['date', 'x-custom'] }],
    ['a date that is none', signed({ headers: { date: 'today' } })],
    ['a date that is too old', signed({ headers: { date: 'Wed, 31 Dec 2025 23:54:59 GMT' } })],
    ['a date that is yet to come', signed({ headers: { date: 'Thu, 01 Jan 2026 00:05:01 GMT' } })],
    ['no parameters', authorization('Signature')],
    ['a parameter that stands there twice', authorization(`${good},keyId="my-key"`)],
    ['no algorithm', authorization(good.replace(/algorithm="[^"]*",/, ''))],
    ['no signature', authorization(good.replace(/,signature="[^"]*"/, ''))],
    ['a signature that is no base64', authorization(good.replace(/signature="/, 'signature="*'))],
    ['an empty signature', authorization(good.replace(/signature="[^"]*"/, 'signature=""'))],
    ['no date', { headers: { authorization: good } }],
  ]
  for (const [what, request, config = {}] of cases) {
    test(what, async () => {
      const { answer, upstream } = await bindPolicy(policy, { consumers, config }).run(request)
      assert.deepEqual([answer.status, answer.body, upstream], [401, refused, undefined])
    })
  }

  test('a second value of a field that was signed', async () => {
    const request = signed({ headers: { 'x-role': 'user' } }, { names: 'date x-role' })
    const { run } = bindPolicy(policy, { consumers })
    assert.equal((await run(request)).consumer, 'jack')
    const fields = [...Object.entries(request.headers as Record<string, string>), ['X-Role', 'admin']]
    assert.equal((await run({ headers: fields as [string, string][] })).answer.status, 401)
  })
})

suite('the body', () => {
  const config = { validate_request_body: true, max_req_body_size: 10 }
  const digest = (body: string) => `SHA-256=${createHash('sha256').update(body).digest('base64')}`
  const post = (body: string, of: string) =>
    signed(
      { method: 'POST', body, headers: { digest: digest(of) } },
      { names: '@request-target date digest' },
    )
  const { run } = bindPolicy(policy, { consumers, config })

  test('has to be the one of the digest', async () => {
    assert.equal((await run(post('{"a":1}', '{"a":1}'))).consumer, 'jack')
    assert.equal((await run(post('', ''))).consumer, 'jack')
    assert.equal((await run(post('{"a":2}', '{"a":1}'))).answer.body, refused)
    assert.equal((await run(signed({ method: 'POST', body: 'x' }))).answer.body, refused)
  })

  test('is not read beyond the limit', async () => {
    const { answer } = await run(post('01234567890', '01234567890'))
    assert.deepEqual(
      [answer.status, answer.body],
      [413, '{"message":"the request body is larger than 10 bytes"}\n'],
    )
  })
})

test('an anonymous consumer stands in for whom nothing is known of', async () => {
  const config = { anonymous_consumer: 'anonymous', hide_credentials: true }
  const { run } = bindPolicy(policy, { consumers, config })
  const { consumer, upstream } = await run(signed({}, { secret: 'wrong' }))
  assert.equal(consumer, 'anonymous')
  assert.equal(upstream?.headers.authorization, undefined)
  const lost = bindPolicy(policy, { consumers, config: { anonymous_consumer: 'nobody' } })
  assert.equal((await lost.run()).answer.body, '{"message":"Invalid user authorization"}\n')
  assert.deepEqual(lost.logged, ['anonymous consumer of hmac-auth not found'])
})

suite('the configuration', () => {
  const wrong: [object, RegExp][] = [
    [{ allowed_algorithms: [] }, /allowed_algorithms/],
    [{ allowed_algorithms: ['hmac-md5'] }, /allowed_algorithms/],
    [{ clock_skew: 0 }, /clock_skew: must be >= 1/],
    [{ signed_headers: [''] }, /signed_headers/],
    [{ validate_request_body: 'yes' }, /validate_request_body/],
    [{ max_req_body_size: 0 }, /max_req_body_size: must be >= 1/],
    [{ hide_credentials: 1 }, /hide_credentials/],
    [{ realm: 'a"b' }, /realm/],
    [{ anonymous_consumer: '' }, /anonymous_consumer/],
    [{ access_key: 'x' }, /access_key/],
  ]
  for (const [config, finding] of wrong) {
    test(`${JSON.stringify(config)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config }), finding)
    })
  }
})

test('dates are read in the three forms of RFC 9110 5.6.7, and in no other', () => {
  const time = Date.UTC(1994, 10, 6, 8, 49, 37) / 1000
  assert.equal(readHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), time)
  assert.equal(readHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), time)
  assert.equal(readHttpDate('Sun Nov  6 08:49:37 1994'), time)
  for (const text of ['1994-11-06', 'Sun, 31 Feb 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 25:49:37 GMT', '']) {
    assert.equal(readHttpDate(text), undefined)
  }
})
