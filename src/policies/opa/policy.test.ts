import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type BoundPolicy, bindPolicy, type FakeAnswer } from '../kit/testing.ts'
import policy from './policy.ts'

const bind = (config: object, answer?: FakeAnswer): BoundPolicy =>
  bindPolicy(policy, {
    config: { host: 'http://opa.example:8181', policy: 'example', ...config },
    ...(answer && { service: () => answer }),
    variables: { args: 'a=1&a=%C3%A4&b', server_port: '9080' },
    binding: { route: { id: 'r1', uri: '/a', plugins: { 'key-auth': { key: 'secret' } } } as never },
  })
const decides = (result: unknown): FakeAnswer => ({ body: { result } })

test('the agent is told of the request', async () => {
  const { run, calls } = bind({ with_route: true, with_consumer: true }, decides({ allow: true }))
  const headers: [string, string][] = [
    ['X-A', '1'],
    ['x-a', '2'],
  ]
  assert.equal((await run({ target: '/a?a=1', headers, consumer: 'jack' })).verdict, undefined)
  const [{ url, method, body }] = calls as [{ url: string; method: string; body: string }]
  assert.deepEqual([method, url], ['POST', 'http://opa.example:8181/v1/data/example'])
  const { input } = JSON.parse(body)
  assert.deepEqual(input.request.query, { a: ['1', 'ä'], b: true })
  assert.deepEqual(input.request.headers['x-a'], ['1', '2'])
  assert.equal(input.var.remote_addr, '203.0.113.7')
  assert.equal(input.request.port, 9080)
  assert.deepEqual([input.route, input.consumer], [{ id: 'r1', uri: '/a' }, { username: 'jack' }])
})

test('a rejection has the status, the reason and the fields of the decision', async () => {
  const { answer } = await bind(
    {},
    decides({
      allow: false,
      status_code: 302,
      reason: { a: 1 },
      headers: { Location: 'http://x', 'X-N': 7 },
    }),
  ).run()
  assert.deepEqual([answer.status, answer.body], [302, '{"a":1}'])
  assert.deepEqual(answer.headers, { location: 'http://x', 'x-n': '7' })
  assert.deepEqual((await bind({}, decides({})).run()).verdict, { status: 403 })
})

test('only true allows', async () => {
  for (const allow of ['true', 1, null, {}]) {
    assert.equal((await bind({}, decides({ allow })).run()).answer.status, 403)
  }
})

test('fields for the upstream come from the decision alone', async () => {
  const config = { send_headers_upstream: ['X-User', 'X-Gone'] }
  const { run } = bind(config, decides({ allow: true, headers: { 'x-user': 'jack', 'x-other': 'no' } }))
  const { upstream } = await run({ headers: { 'x-user': 'root', 'x-gone': 'spoofed' } })
  assert.deepEqual(upstream?.headers, { 'x-user': 'jack' })
})

test('what would break the answer is left out', async () => {
  const decision = { allow: false, status_code: 99, headers: { 'X-A': 'a\r\nb', 'Content-Length': '1' } }
  const { answer } = await bind({}, decides(decision)).run()
  assert.deepEqual([answer.status, answer.headers], [403, {}])
})

test('without an answer the request is rejected with 403, without a decision with 503', async () => {
  assert.deepEqual((await bind({}).run()).verdict, { status: 403 })
  for (const body of ['no JSON', 'null', '[]', '{"result":"yes"}', '{"result":null}']) {
    assert.deepEqual((await bind({}, { body }).run()).verdict, { status: 503 }, body)
  }
})

suite('the configuration', () => {
  for (const wrong of [
    { host: 1 },
    { host: 'opa' },
    { policy: 1 },
    { ssl_verify: 'x' },
    { timeout: 0 },
    { keepalive: 1 },
    { keepalive_timeout: 1 },
    { keepalive_pool: 0 },
    { send_headers_upstream: [] },
    { send_headers_upstream: ['Host'] },
    { with_route: 1 },
    { with_service: 1 },
    { with_consumer: 1 },
    { url: 'x' },
  ]) {
    test(`${JSON.stringify(wrong)} is refused`, () => {
      assert.throws(() => bind(wrong))
    })
  }
})
