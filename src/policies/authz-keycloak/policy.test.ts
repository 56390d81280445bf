import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Call } from '../kit/index.ts'
import { bindPolicy, type FakeAnswer, type FakeRequest } from '../kit/testing.ts'
import policy from './policy.ts'

const tokenUrl = 'https://sso.example/token'
const resourceUrl = 'https://sso.example/resource_set'
const discoveryUrl = 'https://sso.example/uma2-configuration'
const denied = '{"error":"access_denied","error_description":"not_authorized"}'

const formOf = (call: Call) => new URLSearchParams(String(call.body))
const request: FakeRequest = { target: '/course/1?x=1', headers: { authorization: 'Bearer of-the-client' } }

/** Answers as Keycloak does: tokens for itself count up, resources are those of the path. */
function keycloak(over: (call: Call) => FakeAnswer | undefined = () => undefined) {
  let tokens = 0
  return (call: Call): FakeAnswer => {
    const special = over(call)
    if (special) return special
    const { pathname, searchParams } = new URL(call.url)
    if (call.url === discoveryUrl) {
      return { body: { token_endpoint: tokenUrl, resource_registration_endpoint: resourceUrl } }
    }
    if (pathname === '/resource_set') {
      return { body: JSON.stringify(searchParams.get('uri') === '/course/1' ? ['r1', 'r2'] : []) }
    }
    if (formOf(call).get('grant_type')?.endsWith('uma-ticket')) return { body: { result: true } }
    tokens++
    return {
      body: {
        access_token: `own-${tokens}`,
        expires_in: 60,
        refresh_token: `renew-${tokens}`,
        refresh_expires_in: 600,
      },
    }
  }
}

const bind = (config: object, over?: (call: Call) => FakeAnswer | undefined) =>
  bindPolicy(policy, { config: { client_id: 'app', ...config }, service: keycloak(over) })
const fixed = { token_endpoint: tokenUrl, permissions: ['course#view', 'course'] }
const lazy = { discovery: discoveryUrl, client_secret: 'own-secret', lazy_load_paths: true }

test('Keycloak is asked for the permissions of the configuration with the token of the request', async () => {
  const { run, calls } = bind(fixed)
  for (const [field, sent] of [
    ['Bearer t', 'Bearer t'],
    ['bearer t', 'bearer t'],
    ['t', 'Bearer t'],
  ] as const) {
    const { verdict, upstream } = await run({ headers: { authorization: field } })
    assert.equal(verdict, undefined)
    assert.equal(upstream?.headers.authorization, field)
    assert.equal(calls.at(-1)?.headers?.Authorization, sent)
  }
  assert.deepEqual(
    [...formOf(calls[0]!)],
    [
      ['grant_type', 'urn:ietf:params:oauth:grant-type:uma-ticket'],
      ['audience', 'app'],
      ['response_mode', 'decision'],
      ['permission', 'course#view'],
      ['permission', 'course'],
    ],
  )
})

test('the method is a scope of every permission, for each request anew', async () => {
  const { run, calls } = bind({ ...fixed, http_method_as_scope: true })
  for (const method of ['GET', 'PUT']) {
    await run({ ...request, method })
    assert.deepEqual(formOf(calls.at(-1)!).getAll('permission'), [
      `course#view, ${method}`,
      `course#${method}`,
    ])
  }
})

test('the path leads to resources, which the gateway asks for with a token of its own', async () => {
  const { run, calls, advance } = bind(lazy)
  assert.equal((await run(request)).verdict, undefined)
  const [discovery, own, resources, decision] = calls as [Call, Call, Call, Call]
  assert.equal(discovery.url, discoveryUrl)
  assert.deepEqual(
    [...formOf(own)],
    [
      ['grant_type', 'client_credentials'],
      ['client_id', 'app'],
      ['client_secret', 'own-secret'],
    ],
  )
  assert.equal(resources.url, `${resourceUrl}?uri=%2Fcourse%2F1&matchingUri=true`)
  assert.equal(resources.headers?.Authorization, 'Bearer own-1')
  assert.deepEqual(formOf(decision).getAll('permission'), ['r1', 'r2'])
  assert.equal(decision.headers?.Authorization, 'Bearer of-the-client')

  await run(request)
  assert.equal(calls.length, 6, 'document and token are kept')
  advance(59_000)
  await run(request)
  assert.equal(formOf(calls[6]!).get('refresh_token'), 'renew-1')
  assert.equal(calls[7]?.headers?.Authorization, 'Bearer own-2')
})

test('a token that is not renewed any more is fetched anew', async () => {
  const { run, calls, advance } = bind(lazy, (call) =>
    formOf(call).get('grant_type') === 'refresh_token'
      ? { status: 400, body: { error: 'invalid_grant' } }
      : undefined,
  )
  await run(request)
  advance(60_000)
  assert.equal((await run(request)).verdict, undefined)
  const grants = calls.flatMap((call) => formOf(call).get('grant_type') ?? [])
  assert.deepEqual(grants.slice(2, 4), ['refresh_token', 'client_credentials'])
})

test('requests that come at once fetch one token', async () => {
  const { run, calls } = bind(lazy)
  await Promise.all([run(request), run(request), run(request)])
  const own = calls.filter((call) => formOf(call).get('grant_type') === 'client_credentials')
  assert.equal(own.length, 1)
})

test('without a token nobody is asked', async () => {
  for (const headers of [{}, { authorization: '' }] as Record<string, string>[]) {
    const { run, calls } = bind(fixed)
    const { verdict } = await run({ headers })
    assert.deepEqual(verdict, { status: 401, body: { message: 'Missing JWT token in request' } })
    assert.equal(calls.length, 0)
  }
})

suite('a request that needs no permission', () => {
  test('is refused', async () => {
    const { run, calls } = bind({ token_endpoint: tokenUrl })
    const { answer } = await run(request)
    assert.deepEqual([answer.status, answer.body, calls.length], [403, denied, 0])
  })
  test('is sent elsewhere', async () => {
    const { run } = bind({ token_endpoint: tokenUrl, access_denied_redirect_uri: 'http://127.0.0.1/test' })
    const { answer } = await run(request)
    assert.deepEqual([answer.status, answer.headers.location], [307, 'http://127.0.0.1/test'])
  })
  test('is for Keycloak to decide where that is permissive', async () => {
    const { run, calls } = bind({ token_endpoint: tokenUrl, policy_enforcement_mode: 'PERMISSIVE' })
    assert.equal((await run(request)).verdict, undefined)
    assert.equal(formOf(calls[0]!).has('permission'), false)
  })
})

suite('what Keycloak answers', () => {
  const decide = (answer: FakeAnswer, config = {}) => bind({ ...fixed, ...config }, () => answer).run(request)
  for (const status of [400, 401, 403, 500]) {
    test(`${status} is the answer`, async () => {
      const { answer, upstream } = await decide({ status, body: { error: 'why' } })
      assert.deepEqual([answer.status, answer.body, upstream], [status, '{"error":"why"}', undefined])
    })
  }
  test('403 leads elsewhere where that is wanted', async () => {
    const { answer } = await decide({ status: 403 }, { access_denied_redirect_uri: '/denied' })
    assert.deepEqual([answer.status, answer.headers.location], [307, '/denied'])
  })
  test('a redirect lets nobody pass', async () => {
    const { verdict, upstream } = await decide({ status: 302, headers: { location: tokenUrl } })
    assert.deepEqual([verdict, upstream], [{ status: 503 }, undefined])
  })
  test('nor does a decision against it with 200', async () => {
    const { answer, upstream } = await decide({ body: { result: false } })
    assert.deepEqual([answer.status, answer.body, upstream], [403, denied, undefined])
  })
})

suite('503 and nobody passes when', () => {
  const at = (place: string, answer: FakeAnswer) => (call: Call) =>
    call.url.startsWith(place) ? answer : undefined
  const cases: Record<string, (call: Call) => FakeAnswer | undefined> = {
    'there is no discovery document': at(discoveryUrl, { status: 404 }),
    'it is no map': at(discoveryUrl, { body: '[]' }),
    'it leads away from TLS': at(discoveryUrl, { body: { token_endpoint: 'http://sso.example/token' } }),
    'it leads nowhere': at(discoveryUrl, { body: { token_endpoint: 7 } }),
    'it knows no resources': at(discoveryUrl, { body: { token_endpoint: tokenUrl } }),
    'the gateway gets no token': at(tokenUrl, { body: { access_token: 7 } }),
    'the gateway may have none': at(tokenUrl, { status: 401, body: { access_token: 'x' } }),
    'resources are no list': at(resourceUrl, { body: { r1: true } }),
    'resources are no names': at(resourceUrl, { body: '[{}]' }),
    'resources are refused': at(resourceUrl, { status: 403, body: '["r1"]' }),
  }
  for (const [title, over] of Object.entries(cases)) {
    test(title, async () => {
      const { verdict, upstream } = await bind(lazy, over).run(request)
      assert.deepEqual([verdict, upstream], [{ status: 503 }, undefined])
    })
  }
  test('Keycloak does not answer', async () => {
    const bound = bindPolicy(policy, { config: { client_id: 'app', ...fixed } })
    assert.deepEqual((await bound.run(request)).verdict, { status: 503 })
    assert.deepEqual(bound.logged, ['Keycloak gave no answer that can be used'])
  })
})

suite('a token for a password', () => {
  const config = {
    ...fixed,
    client_secret: 'own-secret',
    password_grant_token_generation_incoming_uri: '/api/token',
    max_req_body_size: 64,
  }
  const ask = (body: string, over?: (call: Call) => FakeAnswer, more: FakeRequest = {}) => {
    const bound = bind(config, over)
    const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
    const run = bound.run({ method: 'POST', target: '/api/token', headers, body, ...more })
    return { run, calls: bound.calls }
  }
  test('is fetched, and the upstream sees nothing of it', async () => {
    const { run, calls } = ask('username=a%2Bb&password=p+w')
    const { answer, upstream } = await run
    assert.equal(answer.status, 200)
    assert.equal(JSON.parse(answer.body).access_token, 'own-1')
    assert.equal(upstream, undefined)
    assert.deepEqual(
      [...formOf(calls[0]!)],
      [
        ['grant_type', 'password'],
        ['username', 'a+b'],
        ['password', 'p w'],
        ['client_id', 'app'],
        ['client_secret', 'own-secret'],
      ],
    )
  })
  for (const [body, message] of [
    ['password=x', 'username is missing.'],
    ['username=x', 'password is missing.'],
    ['username=x&username=y&password=z', 'username is missing.'],
  ] as const) {
    test(`${body}: ${message}`, async () => {
      const { run, calls } = ask(body)
      assert.deepEqual((await run).verdict, { status: 422, body: { message } })
      assert.equal(calls.length, 0)
    })
  }
  test('is refused', async () => {
    const { run } = ask('username=x&password=y', () => ({ status: 401, body: { error: 'invalid_grant' } }))
    const body = { message: 'Could not decode JSON from response.' }
    assert.deepEqual((await run).verdict, { status: 401, body })
  })
  test('is not asked for with too much', async () => {
    assert.deepEqual((await ask(`username=x&password=${'y'.repeat(64)}`).run).verdict, { status: 413 })
  })
  test('is asked for in this way alone', async () => {
    for (const other of [
      { method: 'PUT' },
      { target: '/api/token?a=1' },
      { headers: { 'content-type': 'text/plain' } },
    ]) {
      const { run, calls } = ask('username=x&password=y', undefined, other)
      assert.equal((await run).verdict?.status, 401)
      assert.equal(calls.length, 0)
    }
  })
})

suite('the configuration', () => {
  for (const wrong of [
    { client_id: '' },
    { client_id: 1 },
    { token_endpoint: 'sso.example' },
    { token_endpoint: undefined },
    { discovery: 'file:///etc/passwd' },
    { resource_registration_endpoint: '' },
    { client_secret: '' },
    { grant_type: 'password' },
    { policy_enforcement_mode: 'OFF' },
    { permissions: 'a' },
    { permissions: ['a', 'a'] },
    { permissions: [''] },
    { lazy_load_paths: 1 },
    { lazy_load_paths: true },
    { http_method_as_scope: 'x' },
    { timeout: 999 },
    { ssl_verify: 1 },
    { cache_ttl_seconds: 0 },
    { keepalive: 1 },
    { keepalive_timeout: 999 },
    { keepalive_pool: 0 },
    { access_denied_redirect_uri: '' },
    { access_denied_redirect_uri: 'http://a\r\nb: c' },
    { access_token_expires_in: 0 },
    { access_token_expires_leeway: -1 },
    { refresh_token_expires_in: 0 },
    { refresh_token_expires_leeway: -1 },
    { password_grant_token_generation_incoming_uri: '' },
    { max_req_body_size: 0 },
    { proxy: 'x' },
  ] as object[]) {
    test(`${JSON.stringify(wrong)} is refused`, () => {
      const config = JSON.parse(JSON.stringify({ client_id: 'app', ...fixed, ...wrong }))
      assert.throws(() => bindPolicy(policy, { config }))
    })
  }
})
