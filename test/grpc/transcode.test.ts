/** `grpc-transcode` through a gateway: plain HTTP on one side, a server of gRPC on the other. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Metadata } from '@grpc/grpc-js'
import { stringify } from 'yaml'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import {
  type Answer,
  type Call,
  callError,
  type GrpcServer,
  startGrpcServer,
} from '../harness/grpc-server.ts'

const definition = `syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
service Shop {
  rpc Echo (Item) returns (Item) { option (google.api.http) = { post: "/v1/items/{word}:echo" body: "inner" response_body: "inner" }; }
  rpc Get (Item) returns (Item) { option (google.api.http) = { get: "/v1/items/{word}" additional_bindings { get: "/v1/{inner.word=parts/*/of/**}" } }; }
  rpc Make (Item) returns (Item) { option (google.api.http) = { put: "/v1/items" body: "*" }; }
  rpc Fail (Item) returns (Item);
  rpc Wait (Item) returns (Item);
  rpc List (Item) returns (stream Item) { option (google.api.http) = { get: "/v1/lists" }; }
  rpc Headers (Item) returns (Item);
}
enum Kind { NONE = 0; BIG = 1; }
message Item {
  string word = 1;
  int64 number = 2;
  repeated string words = 3;
  Kind kind = 4;
  map<string, int32> sizes = 5;
  Item inner = 6;
  bytes raw = 7;
  double ratio = 8;
  float small = 9;
  bool flag = 10;
  repeated Item items = 11;
  optional uint32 maybe = 12;
  uint64 large = 13;
  repeated sint32 deltas = 14;
}
message Detail { int64 code = 1; string message = 2; string type = 3; }
`
/** What servers in the wild send: a \`google.rpc.Status\` with one \`Detail\`. */
const statusDetails =
  'CA4SDk91dCBvZiBzZXJ2aWNlGlcKKnR5cGUuZ29vZ2xlYXBpcy5jb20vaGVsbG93b3JsZC5FcnJvckRldGFpbBIpCAESHFRoZSBzZXJ2ZXIgaXMgb3V0IG9mIHNlcnZpY2UaB3NlcnZpY2U'

let server: GrpcServer
let gateway: RunningGateway
/** What the server got last. */
let received:
  | { method: string; message: Record<string, unknown>; fields: Record<string, unknown> }
  | undefined
let cancelled: (() => void) | undefined

before(async () => {
  const answer = (method: string) => (call: Call, callback: Answer) => {
    received = { method, message: call.request, fields: call.metadata.getMap() }
    callback(null, call.request)
  }
  server = await startGrpcServer(definition, {
    'shop.v1.Shop': {
      Echo: answer('Echo'),
      Get: answer('Get'),
      Make: answer('Make'),
      Headers(call: never, callback: never) {
        // A head, and the status behind it although there is no message.
        const { request } = call as Call
        ;(call as Call).sendMetadata(new Metadata())
        ;(callback as Answer)(callError(Number(request.number), `no ${request.word}`))
      },
      Fail(call: never, callback: never) {
        const { request } = call as Call
        const fields = { 'grpc-status-details-bin': Buffer.from(statusDetails, 'base64') }
        ;(callback as Answer)(callError(Number(request.number), 'Out of service', request.flag ? fields : {}))
      },
      Wait(call: never) {
        ;(call as { on(name: string, then: () => void): void }).on('cancelled', () => cancelled?.())
      },
      List(call: never) {
        const stream = call as {
          request: Record<string, unknown>
          write(message: object): void
          end(): void
          emit(name: string, error: unknown): void
        }
        for (let i = 0; i < Number(stream.request.number); i++) stream.write({ word: `w${i}` })
        if (stream.request.flag) stream.emit('error', callError(13, 'broke'))
        else stream.end()
      },
    },
  } as never)
  const route = (id: string, config: object) => ({
    id,
    uri: `/${id}`,
    upstream_id: 'shop',
    plugins: { 'grpc-transcode': { proto_id: 'shop', service: 'shop.v1.Shop', ...config } },
  })
  gateway = await startGateway((port) =>
    stringify({
      gateway: { listeners: [{ port }] },
      protos: [{ id: 'shop', content: definition }],
      upstreams: [{ id: 'shop', scheme: 'grpc', nodes: { [`127.0.0.1:${server.port}`]: 1 } }],
      routes: [
        route('echo', { method: 'Echo' }),
        route('texts', {
          method: 'Echo',
          pb_option: ['int64_as_string', 'enum_as_value', 'no_default_values'],
        }),
        route('hex', { method: 'Echo', pb_option: ['int64_as_hexstring'] }),
        route('fail', { method: 'Fail' }),
        route('shown', { method: 'Fail', show_status_in_body: true }),
        route('detailed', {
          method: 'Fail',
          show_status_in_body: true,
          status_detail_type: 'shop.v1.Detail',
        }),
        route('unknown-detail', {
          method: 'Fail',
          show_status_in_body: true,
          status_detail_type: 'shop.v1.X',
        }),
        route('headers', { method: 'Headers' }),
        route('wait', { method: 'Wait', deadline: 200 }),
        route('list', { method: 'List' }),
        route('small', { method: 'Echo', max_resp_body_size: 10 }),
        route('no-method', { method: 'Nothing' }),
        { ...route('rest', { method: '*' }), uri: '/v1/*' },
      ],
    }),
  )
})

after(async () => {
  await gateway?.stop()
  server?.stop()
})

interface Options {
  method?: string
  body?: string
  type?: string
}

async function send(path: string, { method, body, type = 'application/json' }: Options = {}) {
  received = undefined
  const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    ...(body !== undefined && { body, headers: { 'content-type': type } }),
  })
  const message = decodeURIComponent(response.headers.get('grpc-message') ?? '')
  return { status: response.status, text: await response.text(), headers: response.headers, message }
}

const sendJson = (path: string, value: unknown, method = 'POST') =>
  send(path, { method, body: JSON.stringify(value) })

suite('values', () => {
  test('come from the query', async () => {
    const { status, text, headers } = await send(
      '/echo?word=a%20b&number=5&words=x&words=y&flag=true&kind=BIG&ratio=0.5',
    )
    assert.equal(status, 200, text)
    assert.equal(headers.get('content-type'), 'application/json')
    assert.deepEqual(JSON.parse(text), {
      word: 'a b',
      number: 5,
      words: ['x', 'y'],
      kind: 'BIG',
      sizes: {},
      raw: '',
      ratio: 0.5,
      small: 0,
      flag: true,
      items: [],
      large: 0,
      deltas: [],
    })
    assert.equal(received?.method, 'Echo')
  })

  test('come from a form', async () => {
    const { text } = await send('/echo?word=query', {
      body: 'word=form&number=7',
      type: 'application/x-www-form-urlencoded',
    })
    assert.deepEqual([JSON.parse(text).word, JSON.parse(text).number], ['form', 7])
  })

  test('come from JSON, in every type, and go back as they came', async () => {
    const value = {
      word: 'ä €\n"',
      number: -3,
      words: ['x', ''],
      kind: 'BIG',
      sizes: { a: 1, __proto__x: -2 },
      inner: { word: 'in', inner: { flag: true } },
      raw: 'bytes',
      ratio: 1e100,
      small: 0.1,
      flag: true,
      items: [{ word: '1' }, {}],
      maybe: 0,
      large: 4294967296,
      deltas: [0, -1, 2147483647, -2147483648],
    }
    const { status, text } = await send('/texts', {
      body: JSON.stringify({ ...value, unknown: 1, nothing: null }),
    })
    assert.equal(status, 200, text)
    assert.deepEqual(JSON.parse(text), { ...value, kind: 1, large: '#4294967296' })
    const got = received!.message
    assert.deepEqual([got.maybe, got.large, got.small], [0, '4294967296', Math.fround(0.1)])
  })

  test('keep all digits of whole numbers', async () => {
    const body = '{"number":-9223372036854775808,"large":18446744073709551615}'
    const { text } = await send('/echo', { body })
    assert.match(text, /"number":-9223372036854775808,/)
    assert.match(text, /"large":18446744073709551615,/)
    assert.equal(received!.message.number, '-9223372036854775808')
    assert.match(
      (await send('/hex', { body })).text,
      /"number":"#-0x8000000000000000".*"large":"#0xFFFFFFFFFFFFFFFF"/,
    )
    assert.match((await send('/texts', { body })).text, /"number":"#-9223372036854775808"/)
    assert.match((await send('/echo?number=%23-0x1F')).text, /"number":-31/)
  })

  test('that their field does not take are answered with 400, and nothing is sent', async () => {
    for (const value of [
      { number: 'x' },
      { number: 1.5 },
      { number: '9223372036854775808' },
      { large: -1 },
      { deltas: [2147483648] },
      { words: 'x' },
      { word: ['x'] },
      { word: {} },
      { kind: 'SMALL' },
      { inner: 'x' },
      { inner: [] },
      { sizes: [] },
      { sizes: { a: 'x' } },
      { flag: 'yes' },
      { ratio: 'x' },
    ]) {
      const { status, text } = await sendJson('/echo', value)
      assert.equal(status, 400, `${JSON.stringify(value)} ${text}`)
      assert.equal(received, undefined)
    }
    const deep = `${'{"inner":'.repeat(5000)}{}${'}'.repeat(5000)}`
    assert.equal((await send('/echo', { body: deep })).status, 400)
  })
})

suite('statuses', () => {
  for (const [code, status] of [
    [1, 499],
    [2, 500],
    [3, 400],
    [5, 404],
    [7, 403],
    [8, 429],
    [12, 501],
    [14, 503],
    [16, 401],
  ] as const) {
    test(`${code} becomes ${status}, behind the head too`, async () => {
      const { status: first, headers, text, message } = await send(`/fail?number=${code}`)
      assert.deepEqual([first, headers.get('grpc-status'), text], [status, String(code), ''])
      assert.equal(message, 'Out of service')
      const behind = await send(`/headers?number=${code}&word=tea`)
      assert.deepEqual([behind.status, behind.message, behind.text], [status, 'no tea', ''])
    })
  }

  test('details stand in the body where that is wanted', async () => {
    const shown = await send('/shown?number=14&flag=true')
    assert.equal(shown.status, 503)
    assert.equal(shown.headers.get('grpc-status-details-bin')?.replace(/=+$/, ''), statusDetails)
    const value = '\b\u0001\u0012\u001cThe server is out of service\u001a\u0007service'
    const details = [{ type_url: 'type.googleapis.com/helloworld.ErrorDetail', value }]
    assert.deepEqual(JSON.parse(shown.text), { error: { code: 14, message: 'Out of service', details } })
    assert.deepEqual(JSON.parse((await send('/detailed?number=14&flag=true')).text).error.details, [
      { code: 1, message: 'The server is out of service', type: 'service' },
    ])
    assert.equal(
      (await send('/unknown-detail?number=14&flag=true')).text,
      'failed to call pb.decode to decode details in grpc-status-details-bin',
    )
    assert.equal((await send('/shown?number=14')).text, '')
  })

  test('a call that takes too long is cancelled, and answered with 504', async () => {
    const seen = new Promise<void>((resolve) => {
      cancelled = resolve
    })
    assert.equal((await send('/wait')).status, 504)
    await seen
  })

  test('a method that there is not is answered with 503', async () => {
    assert.equal((await send('/no-method')).status, 503)
  })

  test('an answer that is too large is answered with 502', async () => {
    const { status, text } = await send('/small?word=more-than-ten-bytes')
    assert.deepEqual([status, text], [502, 'failed to decode response data by protobuf'])
    assert.equal((await send('/small?word=few')).status, 200)
  })
})

suite('streams', () => {
  test('become a list', async () => {
    const { status, text } = await send('/list?number=3')
    assert.equal(status, 200)
    assert.deepEqual(
      (JSON.parse(text) as { word: string }[]).map(({ word }) => word),
      ['w0', 'w1', 'w2'],
    )
    assert.equal((await send('/list')).text, '[]')
  })

  test('that fail break off', async () => {
    await assert.rejects(send('/list?number=3&flag=true'))
  })
})

suite('google.api.http', () => {
  test('the path chooses the method and fills its fields', async () => {
    const { status, text } = await send('/v1/items/a%20b?number=4&inner.number=9&inner.inner.word=deep')
    assert.equal(status, 200, text)
    assert.equal(received?.method, 'Get')
    const { word, number, inner } = JSON.parse(text)
    assert.deepEqual([word, number, inner.number, inner.inner.word], ['a b', 4, 9, 'deep'])
    assert.equal(JSON.parse((await send('/v1/parts/x/of/y/z')).text).inner.word, 'parts/x/of/y/z')
  })

  test('the body is the field, or all of the message', async () => {
    const { text } = await sendJson('/v1/items/a:echo?number=1', { word: 'in' })
    assert.equal(received?.method, 'Echo')
    assert.deepEqual([received?.message.word, JSON.parse(text).word], ['a', 'in'])
    await sendJson('/v1/items?number=1', { word: 'w', number: 3 }, 'PUT')
    assert.deepEqual([received?.method, received?.message.word, received?.message.number], ['Make', 'w', '3'])
  })

  test('what fits no rule is not found, and a body that is no JSON is refused', async () => {
    assert.equal((await send('/v1/nothing/here')).status, 404)
    assert.equal((await send('/v1/items', { method: 'POST', body: '{}' })).status, 404)
    assert.equal((await send('/v1/items', { method: 'PUT', body: '{' })).status, 400)
    assert.equal(received, undefined)
  })
})
