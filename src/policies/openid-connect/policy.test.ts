import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { suite, test } from 'node:test'
import { StoreAbsentError } from '../kit/index.ts'
import { type BindOptions, bindPolicy, type FakeAnswer, type FakeRequest } from '../kit/testing.ts'
import policy from './policy.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const issuer = 'https://op.example'
const now = Date.UTC(2026, 0, 1) / 1000
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid })
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function tokenOf(claims: object, header: object = {}, key = rsa.privateKey): string {
  const text = `${part({ alg: 'RS256', kid: 'k1', ...header })}.${part({ iss: issuer, exp: now + 600, ...claims })}`
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

/** A provider whose answers can be replaced by URL. */
function provider(answers: Record<string, FakeAnswer> = {}) {
  return (call: { url: string }): FakeAnswer => {
    const path = new URL(call.url).pathname
    if (answers[path]) return answers[path]
    switch (path) {
      case '/.well-known/openid-configuration':
        return {
          body: {
            issuer,
            authorization_endpoint: `${issuer}/auth`,
            token_endpoint: `${issuer}/token`,
            userinfo_endpoint: `${issuer}/me`,
            jwks_uri: `${issuer}/jwks`,
            introspection_endpoint: `${issuer}/introspect`,
            end_session_endpoint: `${issuer}/end`,
          },
        }
      case '/jwks':
        return { body: { keys: [jwk(rsa.publicKey, 'k1')] } }
      default:
        return { status: 404 }
    }
  }
}

const common = {
  client_id: 'app',
  client_secret: 'secret',
  discovery: `${issuer}/.well-known/openid-configuration`,
}
type Options = BindOptions<never, never>
const bind = (config: object, answers?: Record<string, FakeAnswer>, options: Partial<Options> = {}) =>
  bindPolicy(policy, {
    ...options,
    config: { ...common, ...config } as never,
    service: provider(answers) as never,
    variables: { http_host: 'api.example:8080', ...options.variables },
  })
const bearer = (token: string): FakeRequest => ({ headers: { authorization: `Bearer ${token}` } })

suite('a bearer token', () => {
  const config = { bearer_only: true, use_jwks: true }

  test('of the provider passes, and the upstream is told of it by nobody else', async () => {
    const token = tokenOf({ sub: 'jack', aud: 'app' })
    const headers = { authorization: `bearer ${token}`, 'x-userinfo': 'spoofed', 'x-id-token': 'spoofed' }
    const { upstream, exchange } = await bind(config).run({ headers })
    assert.equal(upstream?.headers['x-access-token'], token)
    assert.equal(JSON.parse(Buffer.from(upstream!.headers['x-userinfo']!, 'base64').toString()).sub, 'jack')
    assert.equal(upstream?.headers['x-id-token'], undefined)
    assert.equal(exchange.externalUser?.sub, 'jack')
  })

  test('is asked for with a challenge', async () => {
    const { answer } = await bind(config).run()
    assert.deepEqual([answer.status, answer.headers['www-authenticate']], [401, 'Bearer realm="apisix"'])
    assert.equal((await bind(config).run({ headers: { authorization: 'nonsense' } })).answer.status, 400)
  })

  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const refused: [string, string][] = [
    ['no token', 'abc'],
    ['another key', tokenOf({ sub: 'a' }, {}, other)],
    ['an unknown key', tokenOf({ sub: 'a' }, { kid: 'k2' })],
    ['another issuer', tokenOf({ iss: 'https://evil.example' })],
    ['over', tokenOf({ exp: now - 121 })],
    ['not yet good', tokenOf({ nbf: now + 121 })],
    ['algorithm none', `${part({ alg: 'none', kid: 'k1' })}.${part({ iss: issuer })}.AAAA`],
    ['an algorithm that is not the key’s', tokenOf({}, { alg: 'HS256' })],
    ['a key that it brings itself', tokenOf({}, { kid: 'x', jwk: jwk(rsa.publicKey, 'x') }, other)],
    ['extensions that have to be understood', tokenOf({}, { crit: ['exp'] })],
  ]
  for (const [what, token] of refused) {
    test(`refused: ${what}`, async () => {
      const { answer, upstream } = await bind(config).run(bearer(token))
      assert.equal(answer.status, 401)
      assert.match(
        answer.headers['www-authenticate']!,
        /^Bearer realm="apisix", error="invalid_token", error_description="[^"]+"$/,
      )
      assert.equal(upstream, undefined)
    })
  }

  test('is refused where the key is published for another algorithm (RFC 8725, 3.1)', async () => {
    const keys = (alg: string) => ({ '/jwks': { body: { keys: [{ ...jwk(rsa.publicKey, 'k1'), alg }] } } })
    for (const [alg, status] of [
      ['RS256', undefined],
      ['PS256', 401],
      ['RS384', 401],
      ['RS265', 401],
    ] as const) {
      const { verdict, upstream } = await bind(config, keys(alg)).run(bearer(tokenOf({ sub: 'a' })))
      assert.deepEqual([verdict?.status, upstream === undefined], [status, status !== undefined], alg)
    }
  })

  test('of no trusted issuer is refused where the discovery document is not there', async () => {
    const away = { '/.well-known/openid-configuration': { status: 500 } }
    const public_key = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const { run } = bind({ bearer_only: true, public_key }, away)
    assert.match(
      (await run(bearer(tokenOf({})))).answer.headers['www-authenticate']!,
      /issuer validation unavailable/,
    )
    const told = bind(
      { bearer_only: true, public_key, claim_validator: { issuer: { valid_issuers: [issuer] } } },
      away,
    )
    assert.equal((await told.run(bearer(tokenOf({})))).answer.status, 200)
  })

  test('needs its scopes, its audience and claims that fit', async () => {
    const status = async (settings: object, claims: object) => {
      const { answer } = await bind({ ...config, ...settings }).run(bearer(tokenOf(claims)))
      return [answer.status, answer.body]
    }
    const scoped = { required_scopes: ['a', 'b'] }
    assert.equal((await status(scoped, { scope: 'b c a' }))[0], 200)
    assert.deepEqual(await status(scoped, { scope: 'ab' }), [
      403,
      '{"error":"required scopes a, b not present"}',
    ])
    const audience = { claim_validator: { audience: { match_with_client_id: true } } }
    assert.equal((await status(audience, { aud: ['x', 'app'] }))[0], 200)
    assert.deepEqual(await status(audience, { aud: 'x' }), [403, '{"error":"mismatched audience"}'])
    assert.deepEqual(await status(audience, {}), [403, '{"error":"required audience claim not present"}'])
    const schema = {
      claim_schema: { type: 'object', required: ['sub'], properties: { sub: { type: 'string' } } },
    }
    assert.equal((await status(schema, { sub: 'a' }))[0], 200)
    assert.equal((await status(schema, { sub: 1 }))[0], 401)
  })

  test('keys are fetched anew for a token whose key is not known yet, and not for each', async () => {
    let keys = [jwk(rsa.publicKey, 'k1')]
    const bound = bind(config, {
      '/jwks': {
        get body() {
          return { keys }
        },
      },
    })
    assert.equal((await bound.run(bearer(tokenOf({})))).answer.status, 200)
    const next = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const rotated = tokenOf({}, { kid: 'k2' }, next.privateKey)
    keys = [jwk(next.publicKey, 'k2')]
    assert.equal((await bound.run(bearer(rotated))).answer.status, 401)
    bound.advance(10_000)
    assert.equal((await bound.run(bearer(rotated))).answer.status, 200)
    const fetched = bound.calls.filter(({ url }) => url.endsWith('/jwks')).length
    for (let i = 0; i < 5; i++) await bound.run(bearer(tokenOf({}, { kid: `made up ${i}` })))
    assert.equal(bound.calls.filter(({ url }) => url.endsWith('/jwks')).length, fetched)
  })
})

suite('introspection', () => {
  const config = { bearer_only: true }
  const says = (body: object) => ({ '/introspect': { body } })

  test('a token that is active passes', async () => {
    const bound = bind(
      { ...config, introspection_addon_headers: ['X-Tenant'] },
      says({ active: true, sub: 'jack' }),
    )
    const { upstream } = await bound.run({ headers: { authorization: 'Bearer t1', 'x-tenant': 'a' } })
    assert.equal(upstream?.headers['x-access-token'], 't1')
    const call = bound.calls.find(({ url }) => url.endsWith('/introspect'))!
    assert.equal(call.body, 'token=t1&token_type_hint=access_token')
    assert.equal(call.headers?.['X-Tenant'], 'a')
    assert.equal(call.headers?.Authorization, `Basic ${Buffer.from('app:secret').toString('base64')}`)
  })

  test('anything else does not', async () => {
    for (const body of [{ active: false }, { active: 'true' }, {}, { active: true, exp: now }]) {
      assert.equal((await bind(config, says(body)).run(bearer('t'))).answer.status, 401)
    }
    assert.equal((await bind(config, { '/introspect': { status: 500 } }).run(bearer('t'))).answer.status, 401)
  })

  test('what it said is kept only as long as the configuration allows', async () => {
    const asked = async (settings: object) => {
      const bound = bind({ ...config, ...settings }, says({ active: true, exp: now + 20 }))
      await bound.run(bearer('t'))
      await bound.run(bearer('t'))
      return bound.calls.filter(({ url }) => url.endsWith('/introspect')).length
    }
    assert.equal(await asked({}), 2)
    assert.equal(await asked({ introspection_interval: 10 }), 1)
  })
})

suite('a login', () => {
  const session = { secret: '0123456789abcdef' }

  /** Goes through a login. The provider answers with what `tokens` makes of the nonce. */
  async function logIn(
    settings: object,
    tokens: (nonce: string) => object,
    user: object = { sub: 'jack' },
    options: Partial<Options> = {},
  ) {
    const answers: Record<string, FakeAnswer> = { '/me': { body: user } }
    const bound = bind({ session, ...settings }, answers, options)
    const first = await bound.run({ target: '//evil.example/a?b=1' })
    const login = new URL(first.answer.headers.location!)
    const cookie = cookieOf(first.answer.headers['set-cookie']!)
    answers['/token'] = { body: tokens(login.searchParams.get('nonce')!) }
    const target = `/a/.apisix/redirect?code=c1&state=${login.searchParams.get('state')}`
    return { bound, first, login, cookie, back: await bound.run({ target, headers: { cookie } }) }
  }
  const cookieOf = (line: string) => line.split(';')[0]!
  const good = (nonce: string) => ({
    access_token: 'at',
    refresh_token: 'rt',
    expires_in: 300,
    id_token: tokenOf({ sub: 'jack', aud: 'app', nonce }),
  })

  test('goes to the provider and back, and the session says who it is', async () => {
    const { bound, first, login, back } = await logIn({ use_pkce: true }, good)
    assert.equal(first.answer.status, 302)
    assert.equal(login.origin + login.pathname, `${issuer}/auth`)
    assert.equal(login.searchParams.get('code_challenge_method'), 'S256')
    assert.match(first.answer.headers['set-cookie']!, /^session=[\w-]+; Path=\/; SameSite=Lax; HttpOnly$/)
    assert.equal(back.answer.status, 302)
    assert.equal(back.answer.headers.location, 'http://api.example:8080//evil.example/a?b=1')
    const exchange = bound.calls.find(({ url }) => url.endsWith('/token'))!
    assert.match(
      String(exchange.body),
      /grant_type=authorization_code&code=c1&redirect_uri=.*&code_verifier=/,
    )
    const cookie = cookieOf(back.answer.headers['set-cookie']!)
    const { upstream } = await bound.run({ headers: { cookie, 'x-access-token': 'spoofed' } })
    assert.equal(upstream?.headers['x-access-token'], 'at')
    assert.ok(upstream?.headers['x-id-token'])
    assert.ok(upstream?.headers['x-userinfo'])
  })

  const returns: [headers: Record<string, string>, to: string][] = [
    [{ 'x-forwarded-host': 'shop.example:8443, b.example' }, 'http://shop.example:8443'],
    [{ 'x-forwarded-proto': 'https' }, 'https://api.example:8080'],
    [
      {
        forwarded: 'for=1.2.3.4;Host="[2001:db8::1]:443"; proto=HTTPS, host=b.example',
        'x-forwarded-host': 'c',
      },
      'https://[2001:db8::1]:443',
    ],
    [{ forwarded: 'proto=https', 'x-forwarded-host': 'shop.example' }, 'https://shop.example'],
    [{ 'x-forwarded-host': 'evil.example/a?', 'x-forwarded-proto': 'javascript' }, 'http://api.example:8080'],
    [{ forwarded: 'host="user@evil.example";proto;=;"' }, 'http://api.example:8080'],
  ]
  for (const [headers, origin] of returns) {
    test(`with ${JSON.stringify(headers)} of a trusted proxy comes back to ${origin}`, async () => {
      const { answer } = await bind({ session }).run({ target: '/a', headers })
      const { searchParams } = new URL(answer.headers.location!)
      assert.equal(searchParams.get('redirect_uri'), `${origin}/a/.apisix/redirect`)
      assert.equal(/; Secure/.test(answer.headers['set-cookie']!), origin.startsWith('https:'))
    })
  }

  test('is not believed with an ID token of another login, client, issuer or key, or another user', async () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const claims = { sub: 'jack', aud: 'app' }
    for (const tokens of [
      () => ({ ...good(''), id_token: tokenOf({ ...claims, nonce: 'other' }) }),
      (nonce: string) => ({ ...good(''), id_token: tokenOf({ ...claims, aud: 'x', nonce }) }),
      (nonce: string) => ({ ...good(''), id_token: tokenOf({ ...claims, iss: 'x', nonce }) }),
      (nonce: string) => ({ ...good(''), id_token: tokenOf({ ...claims, nonce }, {}, other) }),
      () => ({ access_token: 'at' }),
    ]) {
      assert.equal((await logIn({}, tokens)).back.answer.status, 500)
    }
    assert.equal((await logIn({}, good, { sub: 'jill' })).back.answer.status, 500)
  })

  test('that nobody began, or that was denied, ends with 500', async () => {
    const { run } = bind({ session })
    assert.equal((await run({ target: '/a/.apisix/redirect?code=c&state=s' })).answer.status, 500)
    const { bound, login, cookie } = await logIn({}, good)
    const target = `/a/.apisix/redirect?error=access_denied&state=${login.searchParams.get('state')}`
    assert.equal((await bound.run({ target, headers: { cookie } })).answer.status, 500)
  })

  test('is renewed when its access token is over, and ends when nobody uses it', async () => {
    const { bound, back } = await logIn({}, good)
    const cookie = cookieOf(back.answer.headers['set-cookie']!)
    bound.advance(300_000)
    const renewed = await bound.run({ headers: { cookie } })
    assert.equal(renewed.answer.status, 200)
    assert.ok(
      bound.calls.some(({ body }) => String(body).startsWith('grant_type=refresh_token&refresh_token=rt')),
    )
    bound.advance(601_000)
    assert.equal((await bound.run({ headers: { cookie } })).answer.status, 302)
  })

  test('a cookie that was changed, or sealed for another client, is none', async () => {
    const { back } = await logIn({}, good)
    const cookie = cookieOf(back.answer.headers['set-cookie']!)
    const strict = { session, unauth_action: 'deny' }
    assert.equal((await bind(strict).run({ headers: { cookie } })).answer.status, 200)
    assert.equal((await bind(strict).run({ headers: { cookie: `${cookie}A` } })).answer.status, 401)
    assert.equal(
      (await bind({ ...strict, client_id: 'other' }).run({ headers: { cookie } })).answer.status,
      401,
    )
  })

  test('ends at the logout path, here and at the provider', async () => {
    const { back } = await logIn({}, good)
    const cookie = cookieOf(back.answer.headers['set-cookie']!)
    const config = { session, post_logout_redirect_uri: 'https://bye.example' }
    const { run } = bind(config, {}, { variables: { request_uri: '/logout' } })
    const { answer } = await run({ target: '/logout', headers: { cookie } })
    assert.match(
      answer.headers.location!,
      /^https:\/\/op\.example\/end\?id_token_hint=.+&post_logout_redirect_uri=https%3A%2F%2Fbye\.example$/,
    )
    assert.match(answer.headers['set-cookie']!, /^session=; .*Max-Age=0/)
  })

  test('ends where the operator says when the provider has no such page', async () => {
    const body = { issuer, authorization_endpoint: `${issuer}/auth` }
    const config = { session, post_logout_redirect_uri: 'https://bye.example' }
    const { answer } = await bind(config, { '/.well-known/openid-configuration': { body } }).run({
      target: '/logout',
    })
    assert.equal(answer.status, 302)
    assert.equal(
      answer.headers.location,
      'https://bye.example/?post_logout_redirect_uri=https%3A%2F%2Fbye.example',
    )
  })

  test('that is used goes on, however short the time without use may be', async () => {
    const { bound, back } = await logIn({ session: { ...session, idling_timeout: 10 } }, good)
    let cookie = cookieOf(back.answer.headers['set-cookie']!)
    for (let uses = 0; uses < 3; uses++) {
      bound.advance(8000)
      const { answer } = await bound.run({ headers: { cookie } })
      assert.equal(answer.status, 200)
      cookie = cookieOf(answer.headers['set-cookie']!)
    }
    bound.advance(11_000)
    assert.equal((await bound.run({ headers: { cookie } })).answer.status, 302)
  })

  suite('kept in Redis', () => {
    const inRedis = { session: { ...session, storage: 'redis', redis: { prefix: 'web' } } }
    const shared = () => {
      const values = new Map<string, { value: string; ttlMs: number }>()
      const valueStore = {
        get: async (key: string) => values.get(key)?.value,
        set: async (key: string, value: string, ttlMs: number) => void values.set(key, { value, ttlMs }),
        delete: async (key: string) => void values.delete(key),
      }
      return { values, valueStore }
    }

    test('says who it is, and Redis learns nothing of it', async () => {
      const { values, valueStore } = shared()
      const { bound, back } = await logIn(inRedis, good, { sub: 'jack' }, { valueStore })
      const cookie = cookieOf(back.answer.headers['set-cookie']!)
      assert.ok(cookie.length < 200)
      const { upstream } = await bound.run({ headers: { cookie } })
      assert.equal(upstream?.headers['x-access-token'], 'at')
      const [[key, { value, ttlMs }]] = [...values] as [[string, { value: string; ttlMs: number }]]
      assert.match(key, /^web:[\w-]{43}$/)
      assert.doesNotMatch(Buffer.from(value, 'base64url').toString('latin1'), /jack|"at"/)
      assert.ok(ttlMs > 899_000 && ttlMs <= 901_000)
    })

    test('ends for every copy of its cookie', async () => {
      const { values, valueStore } = shared()
      const { bound, back } = await logIn(inRedis, good, { sub: 'jack' }, { valueStore })
      const cookie = cookieOf(back.answer.headers['set-cookie']!)
      const out = bind(inRedis, {}, { valueStore, variables: { request_uri: '/logout' } })
      await out.run({ target: '/logout', headers: { cookie } })
      assert.equal(values.size, 0)
      assert.equal((await bound.run({ headers: { cookie } })).answer.status, 302)
    })

    test('is not that which stands under another name', async () => {
      const { values, valueStore } = shared()
      const mine = await logIn(inRedis, good, { sub: 'jack' }, { valueStore })
      const other = await logIn(inRedis, good, { sub: 'jack' }, { valueStore })
      const [one, two] = [...values.keys()] as [string, string]
      values.set(one, values.get(two)!)
      const answerFor = async (back: typeof mine.back) => {
        const cookie = cookieOf(back.answer.headers['set-cookie']!)
        return (await mine.bound.run({ headers: { cookie } })).answer.status
      }
      assert.deepEqual([await answerFor(mine.back), await answerFor(other.back)], [302, 200])
    })

    test('is nobody’s while Redis does not answer', async () => {
      const { valueStore } = shared()
      const { back } = await logIn(inRedis, good, { sub: 'jack' }, { valueStore })
      const cookie = cookieOf(back.answer.headers['set-cookie']!)
      const absent = () => Promise.reject(new StoreAbsentError('gone'))
      const away = { get: absent, set: absent, delete: absent }
      const { verdict, upstream } = await bind(inRedis, {}, { valueStore: away }).run({ headers: { cookie } })
      assert.deepEqual([verdict, upstream], [{ status: 500 }, undefined])
    })
  })

  test('is not asked for where nobody has to log in', async () => {
    const pass = await bind({ session, unauth_action: 'pass' }).run({ headers: { 'x-userinfo': 'spoofed' } })
    assert.deepEqual(pass.upstream?.headers, {})
    const away = { '/.well-known/openid-configuration': { status: 500 } }
    assert.equal((await bind({ session }, away).run()).answer.status, 500)
  })
})

suite('the configuration', () => {
  const wrong: [object, RegExp][] = [
    [{}, /"session.secret" is required when "bearer_only" is false/],
    [{ bearer_only: true, client_secret: undefined }, /"client_secret" is required/],
    [{ client_id: 1 }, /client_id/],
    [{ discovery: undefined }, /discovery/],
    [{ session: { secret: 'short' } }, /secret/],
    [{ session: { secret: '0123456789abcdef', cookie_same_site: 'x' } }, /cookie_same_site/],
    [{ session: { secret: '0123456789abcdef', other: 1 } }, /other/],
    [{ session: { secret: '0123456789abcdef', storage: 'redis' } }, /redis/],
    [{ session: { secret: '0123456789abcdef', storage: 'redis', redis: { port: '6379' } } }, /port/],
    [{ bearer_only: true, unauth_action: 'x' }, /unauth_action/],
    [{ bearer_only: true, timeout: 0 }, /timeout/],
    [{ bearer_only: true, claim_schema: { type: 'x' } }, /claim_schema/],
    [{ bearer_only: true, introspection_addon_headers: [] }, /introspection_addon_headers/],
    [{ bearer_only: true, required_scopes: 'a' }, /required_scopes/],
    [{ bearer_only: true, dpop: { enabled: true } }, /private_key/],
    [{ bearer_only: true, dpop: { signing_alg: 'HS256' } }, /signing_alg/],
    [{ bearer_only: true, dpop: { public_jwk: { kty: 'EC', d: 'x' } } }, /public_jwk/],
    [{ bearer_only: true, par: { endpoint_auth_method: 'x' } }, /endpoint_auth_method/],
    [{ bearer_only: true, par: { use: true } }, /use/],
    [{ bearer_only: true, proxy_opts: { http_proxy: 1 } }, /http_proxy/],
    [{ bearer_only: true, proxy_opts: { https_proxy: 'socks5://a' } }, /https_proxy has to begin/],
    [{ bearer_only: true, proxy_opts: { no_proxy: ['a'] } }, /no_proxy/],
    [{ bearer_only: true, proxy_opts: { http_proxy_authorization: 1 } }, /http_proxy_authorization/],
  ]
  for (const [config, finding] of wrong) {
    test(`${JSON.stringify(config)} is refused`, () => {
      assert.throws(() => bind(config), finding)
    })
  }
})
