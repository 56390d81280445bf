import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import { HttpBindings } from './http-binding.ts'
import policy from './policy.ts'

const content = `syntax = "proto3"; package t;
service S { rpc M (A) returns (A); }
message A { string word = 1; int32 number = 2; }`
const protos = { 1: content }
const config = { proto_id: 1, service: 't.S', method: 'M' }
/** `{ word: "a", number: 5 }` as a message, with its prefix. */
const message = '\0\0\0\0\x05\x0a\x01a\x10\x05'

suite('configuration', () => {
  test('defaults are those of APISIX', () => {
    const { properties } = policy.config as unknown as { properties: Record<string, { default?: unknown }> }
    const defaults = Object.entries(properties).flatMap(([name, field]) =>
      field.default === undefined ? [] : [[name, field.default]],
    )
    assert.deepEqual(Object.fromEntries(defaults), {
      max_resp_body_size: 67_108_864,
      deadline: 0,
      pb_option: ['enum_as_name', 'int64_as_number', 'auto_default_values', 'disable_hooks'],
      show_status_in_body: false,
    })
  })

  for (const [name, wrong, finding] of [
    ['proto_id', '', /proto_id/],
    ['proto_id', 0, /proto_id/],
    ['service', 1, /config\.service: must be a string/],
    ['method', [], /config\.method: must be a string/],
    ['deadline', '5', /config\.deadline: must be a number/],
    ['pb_option', [], /config\.pb_option: .*at least 1/],
    ['pb_option', ['int64_as_text'], /config\.pb_option\.0/],
    ['show_status_in_body', 1, /config\.show_status_in_body: must be true or false/],
    ['status_detail_type', 1, /config\.status_detail_type: must be a string/],
    ['max_resp_body_size', 0, /config\.max_resp_body_size/],
  ] as const) {
    test(`${name} cannot be ${JSON.stringify(wrong)}`, () => {
      assert.throws(() => bindPolicy(policy, { config: { ...config, [name]: wrong } as never }), finding)
    })
  }

  for (const name of ['proto_id', 'service', 'method'] as const) {
    test(`${name} has to be there`, () => {
      const { [name]: _, ...rest } = config
      assert.throws(() => bindPolicy(policy, { config: rest as never }), new RegExp(`${name} is required`))
    })
  }
})

suite('a request', () => {
  test('becomes a call', async () => {
    const { upstream } = await runPolicy(policy, {
      config: { ...config, deadline: 1500.2 },
      protos,
      request: {
        target: '/x?word=a&number=5',
        headers: { 'grpc-accept-encoding': 'gzip', 'content-type': 'x' },
      },
    })
    assert.equal(upstream?.method, 'POST')
    assert.equal(upstream.target, '/t.S/M')
    assert.equal(upstream.body, message)
    assert.equal(upstream.headers['content-type'], 'application/grpc')
    assert.equal(upstream.headers['grpc-timeout'], '1501m')
    assert.equal(upstream.headers['grpc-accept-encoding'], undefined)
  })

  test('with JSON that cannot be read is read as a form, as in APISIX', async () => {
    const { upstream } = await runPolicy(policy, {
      config,
      protos,
      request: { method: 'POST', body: 'word=a&number=5', headers: { 'content-type': 'application/json' } },
    })
    assert.equal(upstream?.body, message)
  })

  for (const [what, options, status] of [
    ['without a definition', { config, protos: {} }, 503],
    ['for a service that there is not', { config: { ...config, service: 't.X' }, protos }, 503],
    ['for a method that there is not', { config: { ...config, method: 'X' }, protos }, 503],
    ['for a method called constructor', { config: { ...config, method: 'constructor' }, protos }, 503],
    ['with a value of another type', { config, protos, request: { target: '/?number=x' } }, 400],
    ['that no rule is for', { config: { ...config, method: '*' }, protos }, 404],
  ] as const) {
    test(`${what} is refused`, async () => {
      const { verdict } = await runPolicy(policy, options)
      assert.equal(verdict?.status, status)
    })
  }
})

suite('an answer', () => {
  const run = (response: object) => runPolicy(policy, { config, protos, response })

  test('becomes JSON', async () => {
    const { answer } = await run({ body: message, headers: { 'content-type': 'application/grpc' } })
    assert.deepEqual([answer.status, answer.body], [200, '{"word":"a","number":5}'])
    assert.equal(answer.headers['content-type'], 'application/json')
  })

  test('that is none is answered with 502', async () => {
    for (const body of [
      '',
      '\0\0\0\0\x05\x0a\x01',
      '\x01\0\0\0\x01\0',
      '\0\0\0\0\x02\x0a\x05',
      '\0\0\0\0\x01\x00',
      '<html>',
    ]) {
      const { answer } = await run({ body })
      assert.deepEqual([answer.status, answer.body], [502, 'failed to decode response data by protobuf'])
    }
  })

  test('of the gateway itself, and one that is no call, stay as they are', async () => {
    const { answer } = await run({ status: 502, errorCode: 'upstream_connect_failed', body: 'x' })
    assert.deepEqual([answer.status, answer.body], [502, 'x'])
    const other = await run({ status: 404, body: 'not here' })
    assert.deepEqual([other.answer.status, other.answer.body], [404, 'not here'])
  })

  test('with a status that nobody knows has 599', async () => {
    assert.equal((await run({ trailers: { 'grpc-status': '77' } })).answer.status, 599)
    assert.equal((await run({ headers: { 'grpc-status': 'x' } })).answer.status, 599)
  })
})

suite('rules of google.api.http', () => {
  const method = (name: string, ...paths: string[]) => ({
    name,
    input: 'A',
    output: 'A',
    http: paths.map((path) => ({ method: 'GET', path })),
  })
  const bindings = new HttpBindings([
    method('Any', '/v1/**'),
    method('One', '/v1/{name}'),
    method('Exact', '/v1/fixed'),
    method('Verb', '/v1/{name}:run'),
    method('Deep', '/v1/{path=a/*/b/**}'),
    method('Broken', 'no-slash', '/{a', '/{a=b=c}/{}'),
  ])
  const find = (path: string) => {
    const found = bindings.find('GET', path)
    return found && [found.method.name, ...found.path.flat()]
  }

  test('the most exact one is chosen, whatever their order', () => {
    assert.deepEqual(find('/v1/fixed'), ['Exact'])
    assert.deepEqual(find('/v1/x'), ['One', 'name', 'x'])
    assert.deepEqual(find('/v1/x:run'), ['Verb', 'name', 'x'])
    assert.deepEqual(find('/v1/a/1/b/c/d'), ['Deep', 'path', 'a/1/b/c/d'])
    assert.deepEqual(find('/v1/x/y/z'), ['Any'])
    assert.equal(find('/v2/x'), undefined)
    assert.equal(bindings.find('POST', '/v1/x'), undefined)
  })

  test('values are decoded, but a slash within one of several segments', () => {
    assert.deepEqual(find('/v1/a%20b%2Fc'), ['One', 'name', 'a b/c'])
    assert.deepEqual(find('/v1/a/x%2Fy/b/%C3%A4'), ['Deep', 'path', 'a/x%2Fy/b/ä'])
    assert.deepEqual(find('/v1/%ff'), ['One', 'name', '%ff'])
  })
})
