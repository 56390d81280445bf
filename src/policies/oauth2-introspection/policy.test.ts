import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type BindOptions, bindPolicy, type FakeAnswer, type FakeRequest } from '../kit/testing.ts'
import policy from './policy.ts'

const url = 'https://as.example/introspect'
const authorizationValue = 'Basic Z2F0ZTpzZWNyZXQ='
const jack = { username: 'jack', plugins: { 'oauth2-introspection': { client_id: 'äpp' } } }
type Options = BindOptions<never, never>

function bind(
  config: object,
  answer: () => FakeAnswer | Promise<FakeAnswer>,
  options: Partial<Options> = {},
) {
  return bindPolicy(policy, {
    consumers: [jack],
    ...options,
    config: { introspectionURL: url, authorizationValue, ...config } as never,
    service: answer as never,
  })
}
const told = (claims: object): (() => FakeAnswer) => {
  return () => ({ body: { active: true, client_id: 'äpp', ...claims } })
}
const bearer = (token = 'abc', more: Record<string, string> = {}): FakeRequest => ({
  headers: { authorization: `Bearer ${token}`, ...more },
})

test('an active token identifies the consumer that it was given to', async () => {
  const bound = bind({}, told({ username: 'joe', scope: 'a' }))
  const run = await bound.run(bearer('a.b-c==', { 'x-consumer-username': 'root' }))
  assert.deepEqual([run.verdict, run.consumer], [undefined, 'jack'])
  assert.equal(run.upstream?.headers['x-consumer-username'], 'jack')
  assert.equal(run.exchange.externalUser?.username, 'joe')
  assert.deepEqual(bound.calls, [
    {
      method: 'POST',
      url,
      headers: {
        Authorization: authorizationValue,
        'Content-Type': 'application/x-www-form-urlencoded',
        Accept: 'application/json',
      },
      body: 'token=a.b-c%3D%3D&token_type_hint=access_token',
    },
  ])
})

test('what is no bearer token is refused without a question', async () => {
  const bound = bind({}, told({}))
  for (const [authorization, status] of [
    [undefined, 401],
    ['Basic YTpi', 401],
    ['Bearerabc', 401],
    ['Bearer', 400],
    ['Bearer ', 400],
    ['Bearer a b', 400],
    ['Bearer a, Bearer b', 400],
    ['Bearer ä', 400],
  ] as const) {
    const { answer, upstream } = await bound.run({ headers: authorization ? { authorization } : {} })
    assert.deepEqual([answer.status, upstream], [status, undefined], authorization ?? 'none')
    assert.match(answer.headers['www-authenticate']!, /^Bearer realm="OAuth2 Introspection Client Realm"/)
  }
  assert.equal(bound.calls.length, 0)
})

suite('a token is refused', () => {
  for (const [title, claims] of [
    ['that is not active', { active: false }],
    ['that is over', { exp: 1 }],
    ['that is not good yet', { nbf: 1e12 }],
  ] as const) {
    test(title, async () => {
      const { answer, upstream } = await bind({}, told(claims)).run(bearer())
      assert.deepEqual([answer.status, answer.body, upstream], [401, '{"error":"Invalid token"}', undefined])
      assert.match(answer.headers['www-authenticate']!, /error="invalid_token"$/)
    })
  }

  for (const [title, answer] of [
    ['a status of its own', { status: 401, body: { active: true } }],
    ['no JSON', { body: 'yes' }],
    ['a list', { body: [true] }],
    ['a text for active', { body: { active: 'true' } }],
    ['a text for a time', { body: { active: true, client_id: 'äpp', exp: '99999999999' } }],
  ] as [string, FakeAnswer][]) {
    test(`with 500 where the server answers with ${title}`, async () => {
      const bound = bind({}, () => answer)
      const { answer: given, upstream } = await bound.run(bearer())
      assert.deepEqual([given.status, upstream], [500, undefined])
      await bound.run(bearer())
      assert.equal(bound.calls.length, 2)
    })
  }

  test('with 503 where the server does not answer; neither tokens nor credentials are logged', async () => {
    const bound = bindPolicy(policy, { config: { introspectionURL: url, authorizationValue } })
    const { answer, upstream } = await bound.run(bearer('abcdef'))
    assert.deepEqual([answer.status, upstream], [503, undefined])
    assert.equal(bound.logged.length, 1)
    assert.doesNotMatch(bound.logged.join(), /abcdef|Z2F0ZTpz/)
  })
})

suite('scopes', () => {
  for (const [scopeValidationCriteria, scope, status] of [
    ['AND', 'read write', 200],
    ['AND', 'write  more read', 200],
    ['AND', ['read', 'write'], 200],
    ['AND', 'read', 403],
    ['AND', 'readwrite', 403],
    ['AND', undefined, 403],
    ['AND', { read: 1, write: 1 }, 403],
    ['OR', 'read', 200],
    ['OR', 'rea', 403],
  ] as const) {
    test(`${scopeValidationCriteria} of read and write with ${JSON.stringify(scope)}`, async () => {
      const config = { scopes: ' read write', scopeValidationCriteria }
      const { answer } = await bind(config, told({ scope })).run(bearer())
      assert.equal(answer.status, status)
    })
  }
})

suite('what is known of a token', () => {
  const start = async (config: object, claims: object) => {
    const bound = bind(config, told(claims))
    const { exchange } = await bound.run(bearer())
    return { bound, exchange }
  }

  test('is good for its time', async () => {
    const { bound } = await start({ validatedTokenTTL: 60 }, {})
    bound.advance(59_999)
    await bound.run(bearer())
    assert.equal(bound.calls.length, 1)
    bound.advance(1)
    await bound.run(bearer())
    assert.equal(bound.calls.length, 2)
  })

  test('is never good beyond the end of the token', async () => {
    const bound = bind({}, told({ exp: Date.UTC(2026, 0, 1) / 1000 + 10 }))
    assert.equal((await bound.run(bearer())).verdict, undefined)
    bound.advance(9000)
    assert.equal((await bound.run(bearer())).verdict, undefined)
    assert.equal(bound.calls.length, 1)
    bound.advance(1000)
    assert.equal((await bound.run(bearer())).answer.status, 401)
    assert.equal(bound.calls.length, 2)
  })

  test('is forgotten after five seconds where it is not active', async () => {
    const { bound } = await start({}, { active: false })
    bound.advance(4999)
    await bound.run(bearer())
    assert.equal(bound.calls.length, 1)
    bound.advance(1)
    await bound.run(bearer())
    assert.equal(bound.calls.length, 2)
  })

  test('is not kept where it should not be', async () => {
    for (const config of [{ validatedTokenTTL: 0 }, { maxCacheEntries: 0 }]) {
      const { bound } = await start(config, {})
      await bound.run(bearer())
      assert.equal(bound.calls.length, 2)
    }
  })

  test('makes room, and tokens that are made up push out none that is good', async () => {
    let active = true
    const bound = bind({ maxCacheEntries: 2 }, () => told({ active })())
    await bound.run(bearer('good1'))
    await bound.run(bearer('good2'))
    active = false
    for (const token of ['bad1', 'bad2', 'bad3']) await bound.run(bearer(token))
    await bound.run(bearer('good1'))
    assert.equal(bound.calls.length, 5)
    await bound.run(bearer('bad1'))
    assert.equal(bound.calls.length, 6)
    active = true
    await bound.run(bearer('good3'))
    await bound.run(bearer('good1'))
    assert.equal(bound.calls.length, 8)
  })

  test('is asked for once for all who wait for it', async () => {
    const bound = bind({}, async () => told({})())
    const runs = await Promise.all([bound.run(bearer()), bound.run(bearer()), bound.run(bearer())])
    assert.deepEqual(
      runs.map(({ consumer }) => consumer),
      ['jack', 'jack', 'jack'],
    )
    assert.equal(bound.calls.length, 1)
  })
})

suite('clients', () => {
  test('that are no consumers pass only where that is not checked', async () => {
    const claims = { client_id: 'other' }
    assert.equal((await bind({}, told(claims)).run(bearer())).answer.status, 403)
    assert.equal((await bind({}, told({ client_id: ['äpp'] })).run(bearer())).answer.status, 403)
    const skipping = await bind({ skipClientIdValidation: true }, told(claims)).run(bearer())
    assert.deepEqual([skipping.verdict, skipping.consumer], [undefined, undefined])
    assert.equal((await bind({ skipClientIdValidation: true }, told({})).run(bearer())).consumer, 'jack')
  })

  test('can be named by their user name', async () => {
    const run = await bind({ consumerBy: 'username' }, told({ username: 'jack' })).run(bearer())
    assert.equal(run.consumer, 'jack')
  })

  test('need a contract where there are any', async () => {
    const contract = { id: 'c', consumer: 'jill', service_id: 's1', tier: 'gold' }
    const run = await bind({}, told({}), { contracts: [contract] }).run(bearer())
    assert.equal(run.answer.status, 403)
    const own = { ...contract, consumer: 'jack' }
    assert.equal((await bind({}, told({}), { contracts: [own] }).run(bearer())).consumer, 'jack')
  })
})

test('claims reach the upstream as fields, and never those of a client', async () => {
  const claims = {
    sub: 'jäck',
    scope: 'a',
    exp: 1e12,
    n: 5,
    ok: true,
    list: [1],
    'a b': 'x',
    evil: 'a\r\nX: 1',
  }
  const more = { 'X-AGW-Sub': 'root', 'x-agw-role': 'admin' }
  const { upstream } = await bind({ exposeHeaders: true }, told(claims)).run(bearer('t', more))
  const fields = Object.entries(upstream!.headers).filter(([name]) => name.startsWith('x-agw-'))
  assert.deepEqual(Object.fromEntries(fields), {
    'x-agw-active': 'true',
    'x-agw-client_id': '%C3%A4pp',
    'x-agw-sub': 'j%C3%A4ck',
    'x-agw-n': '5',
    'x-agw-ok': 'true',
    'x-agw-evil': 'a%0D%0AX%3A%201',
  })
})

test('wrong settings are findings', () => {
  for (const [config, finding] of [
    [{ introspectionURL: 'ftp://a' }, /introspectionURL: has to begin with http/],
    [{ introspectionURL: 5 }, /introspectionURL: must be/],
    [{ authorizationValue: 'a\nb' }, /authorizationValue: cannot stand in a field/],
    [{ authorizationValue: '' }, /authorizationValue: /],
    [{ validatedTokenTTL: -1 }, /validatedTokenTTL: /],
    [{ authenticationTimeout: 0 }, /authenticationTimeout: /],
    [{ maxCacheEntries: 1.5 }, /maxCacheEntries: /],
    [{ scopes: ['a'] }, /scopes: /],
    [{ scopeValidationCriteria: 'XOR' }, /scopeValidationCriteria: /],
    [{ consumerBy: 'sub' }, /consumerBy: /],
    [{ skipClientIdValidation: 'no' }, /skipClientIdValidation: /],
    [{ exposeHeaders: 1 }, /exposeHeaders: /],
    [{ other: 1 }, /there is no field other/],
  ] as const)
    assert.throws(() => bind(config, told({})), finding, JSON.stringify(config))
})
