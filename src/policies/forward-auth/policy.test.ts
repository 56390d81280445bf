import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type BoundPolicy, bindPolicy, type FakeAnswer, type FakeRequest } from '../kit/testing.ts'
import policy from './policy.ts'

const uri = 'http://auth.example/check'
const bind = (config: object, answer?: FakeAnswer): BoundPolicy =>
  bindPolicy(policy, {
    config: { uri, ...config },
    ...(answer && { service: () => answer }),
    variables: { request_uri: '/a?b=1' },
  })
const request: FakeRequest = {
  method: 'DELETE',
  target: '/a?b=1',
  headers: { authorization: 'me', 'x-user': 'spoofed', 'x-gone': 'spoofed' },
}

test('the service is told of the request and of the fields that it may see', async () => {
  const config = {
    request_headers: ['Authorization', 'X-Missing', 'X-Forwarded-For', 'Host'],
    extra_headers: { 'X-Path': '$uri!' },
  }
  const { run, calls } = bind(config, {})
  assert.equal((await run(request)).verdict, undefined)
  assert.deepEqual(calls, [
    {
      method: 'GET',
      url: uri,
      headers: {
        'X-Forwarded-Proto': 'http',
        'X-Forwarded-Method': 'DELETE',
        'X-Forwarded-Host': 'api.example',
        'X-Forwarded-Uri': '/a?b=1',
        'X-Forwarded-For': '203.0.113.7',
        'X-Path': '/a!',
        Authorization: 'me',
      },
    },
  ])
})

test('with POST it gets the body, up to a limit', async () => {
  const { run, calls } = bind({ request_method: 'POST', max_req_body_size: 5 }, {})
  await run({ method: 'POST', body: 'ä', headers: { 'content-encoding': 'br' } })
  assert.equal(calls[0]?.body?.toString(), 'ä')
  assert.equal(calls[0]?.headers?.['Content-Encoding'], 'br')
  const { verdict } = await run({ method: 'POST', body: '123456' })
  assert.deepEqual([verdict, calls.length], [{ status: 413 }, 1])
})

test('fields of its answer take the place of the client’s', async () => {
  const { run } = bind(
    { upstream_headers: ['X-User', 'X-Gone'] },
    { headers: { 'x-user': 'jack', 'x-other': '1' } },
  )
  const { upstream } = await run(request)
  assert.deepEqual(upstream?.headers, { authorization: 'me', 'x-user': 'jack' })
})

test('an answer from 300 on goes to the client, with the fields that are named', async () => {
  const answer = { status: 401, headers: { location: '/login', 'x-secret': 's' }, body: 'who?' }
  const { answer: sent, upstream } = await bind({ client_headers: ['Location', 'X-Missing'] }, answer).run(
    request,
  )
  assert.deepEqual([sent.status, sent.body, upstream], [401, 'who?', undefined])
  assert.deepEqual(sent.headers, { location: '/login' })
})

test('without an answer the request is rejected, or passes without fields that would be believed', async () => {
  const { run, logged } = bind({ status_on_error: 503 })
  assert.deepEqual((await run(request)).verdict, { status: 503 })
  assert.deepEqual(logged, ['the service of forward-auth gave no answer'])
  const lax = await bind({ allow_degradation: true, upstream_headers: ['X-User'] }).run(request)
  assert.equal(lax.upstream?.headers['x-user'], undefined)
})

suite('the configuration', () => {
  for (const wrong of [
    { uri: 1 },
    { uri: 'auth.example' },
    { uri: 'file:///etc/passwd' },
    { allow_degradation: 'x' },
    { status_on_error: 199 },
    { ssl_verify: 1 },
    { request_method: 'PUT' },
    { max_req_body_size: 0 },
    { request_headers: 'a' },
    { request_headers: ['a b'] },
    { extra_headers: {} },
    { extra_headers: { a: 1 } },
    { upstream_headers: ['Content-Length'] },
    { client_headers: ['Transfer-Encoding'] },
    { timeout: 60_001 },
    { keepalive: 1 },
    { keepalive_timeout: 999 },
    { keepalive_pool: 0 },
    { url: uri },
  ]) {
    test(`${JSON.stringify(wrong)} is refused`, () => {
      assert.throws(() => bind(wrong))
    })
  }
})
