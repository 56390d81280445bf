/** `grpc-web` through a gateway, with a server of gRPC behind it. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import protobuf from 'protobufjs'
import { stringify } from 'yaml'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import {
  type Answer,
  type Call,
  callError,
  type GrpcServer,
  startGrpcServer,
} from '../harness/grpc-server.ts'

const definition = `syntax = "proto3"; package a6;
service Routes {
  rpc GetRoute (Query) returns (Route);
  rpc GetRoutes (Query) returns (stream Route);
  rpc GetError (Query) returns (Route);
}
message Query { string name = 1; }
message Route { string name = 1; string path = 2; }`
const types = protobuf.parse(definition).root
const query = types.lookupType('a6.Query')
const routeType = types.lookupType('a6.Route')

let server: GrpcServer
let gateway: RunningGateway
let calls = 0
/** Lets the second message of a stream go. */
let goOn: () => void = () => {}

before(async () => {
  server = await startGrpcServer(definition, {
    'a6.Routes': {
      GetRoute(call: never, callback: never) {
        calls++
        const { request } = call as Call
        ;(callback as Answer)(null, {
          name: request.name,
          path: 'x'.repeat(request.name === 'large' ? 1_000_000 : 1),
        })
      },
      GetRoutes(call: never) {
        const stream = call as { write(message: object): void; end(): void }
        stream.write({ name: 'hello', path: '/hello' })
        goOn = () => {
          stream.write({ name: 'world', path: '/world' })
          stream.end()
        }
      },
      GetError(_: never, callback: never) {
        ;(callback as Answer)(callError(13, 'expected error'))
      },
    },
  } as never)
  const route = (id: string, uri: string, plugins: object) => ({ id, uri, upstream_id: 'a6', plugins })
  gateway = await startGateway((port) =>
    stringify({
      gateway: { listeners: [{ port }] },
      upstreams: [{ id: 'a6', scheme: 'grpc', nodes: { [`127.0.0.1:${server.port}`]: 1 } }],
      routes: [
        route('web', '/grpc/web/*', { 'grpc-web': {} }),
        route('exact', '/a6.Routes/GetRoute', { 'grpc-web': { cors_allow_headers: 'x-mine' } }),
        route('small', '/small/*', { 'grpc-web': { max_req_body_size: 8 } }),
        route('cors', '/cors/*', { 'grpc-web': {}, cors: { allow_origins: 'http://test.example' } }),
      ],
    }),
  )
})

after(async () => {
  await gateway?.stop()
  server?.stop()
})

const framed = (name: string) => {
  const message = Buffer.from(query.encode({ name }).finish())
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

interface Options {
  method?: string
  type?: string
  body?: Buffer | string
  headers?: Record<string, string>
}

function ask(
  path: string,
  { method = 'POST', type = 'application/grpc-web', body, headers = {} }: Options = {},
) {
  return fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    method,
    headers: { 'content-type': type, ...headers },
    ...(method === 'POST' && { body: body ?? framed('hello') }),
  })
}

/** Messages, and the text of the trailer fields. */
function read(bytes: Buffer): { messages: unknown[]; trailers: string } {
  const messages: unknown[] = []
  let trailers = ''
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1)
    const content = bytes.subarray(at + 5, end)
    if (bytes[at] === 0x80) trailers += content.toString()
    else messages.push(routeType.toObject(routeType.decode(content)))
    at = end
  }
  return { messages, trailers }
}

/** Pieces were encoded one by one. */
const decoded = (text: string) =>
  Buffer.concat((text.match(/[^=]+=*/g) ?? []).map((part) => Buffer.from(part, 'base64')))

const ended = /^grpc-status:0\r\ngrpc-message:(?:OK)?\r\n/

suite('a unary call', () => {
  for (const type of ['application/grpc-web', 'application/grpc-web+proto']) {
    test(`in binary, as ${type}`, async () => {
      const response = await ask('/grpc/web/a6.Routes/GetRoute', { type })
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('content-type'), type)
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
      assert.equal(response.headers.get('access-control-expose-headers'), 'grpc-message,grpc-status')
      const { messages, trailers } = read(Buffer.from(await response.arrayBuffer()))
      assert.deepEqual([messages, ended.test(trailers)], [[{ name: 'hello', path: 'x' }], true])
    })
  }

  for (const type of ['application/grpc-web-text', 'application/grpc-web-text+proto']) {
    test(`in text, as ${type}`, async () => {
      const body = framed('hello').toString('base64')
      const response = await ask('/grpc/web/a6.Routes/GetRoute', { type, body })
      assert.equal(response.headers.get('content-type'), type)
      const { messages, trailers } = read(decoded(await response.text()))
      assert.deepEqual([messages, ended.test(trailers)], [[{ name: 'hello', path: 'x' }], true])
    })
  }

  test('with padding in the middle of its text', async () => {
    const bytes = framed('hello')
    const body = `${bytes.subarray(0, 5).toString('base64')}${bytes.subarray(5).toString('base64')}`
    const response = await ask('/grpc/web/a6.Routes/GetRoute', { type: 'application/grpc-web-text', body })
    assert.deepEqual(read(decoded(await response.text())).messages, [{ name: 'hello', path: 'x' }])
  })

  test('whose answer is larger than any window', async () => {
    for (const type of ['application/grpc-web', 'application/grpc-web-text']) {
      const isText = type.endsWith('text')
      const body = isText ? framed('large').toString('base64') : framed('large')
      const response = await ask('/grpc/web/a6.Routes/GetRoute', { type, body })
      const bytes = isText ? decoded(await response.text()) : Buffer.from(await response.arrayBuffer())
      const { messages, trailers } = read(bytes)
      assert.equal((messages[0] as { path: string }).path.length, 1_000_000)
      assert.ok(ended.test(trailers))
    }
  })

  test('on a route for one path', async () => {
    const response = await ask('/a6.Routes/GetRoute')
    assert.equal(read(Buffer.from(await response.arrayBuffer())).messages.length, 1)
  })

  test('that fails without a message says so in the head', async () => {
    const response = await ask('/grpc/web/a6.Routes/GetError')
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('grpc-status'), '13')
    assert.equal(decodeURIComponent(response.headers.get('grpc-message')!), 'expected error')
    assert.equal(await response.text(), '')
  })
})

test('a stream comes piece by piece', async () => {
  const response = await ask('/grpc/web/a6.Routes/GetRoutes')
  const reader = response.body!.getReader()
  const first = await reader.read()
  assert.deepEqual(read(Buffer.from(first.value!)).messages, [{ name: 'hello', path: '/hello' }])
  goOn()
  const pieces: Buffer[] = []
  for (let next = await reader.read(); !next.done; next = await reader.read())
    pieces.push(Buffer.from(next.value))
  const { messages, trailers } = read(Buffer.concat(pieces))
  assert.deepEqual(messages, [{ name: 'world', path: '/world' }])
  assert.ok(ended.test(trailers))
})

suite('what is no call', () => {
  test('OPTIONS is answered for browsers', async () => {
    const response = await ask('/grpc/web/a6.Routes/GetRoute', { method: 'OPTIONS' })
    assert.equal(response.status, 204)
    const fields = ['methods', 'headers', 'origin'].map((name) =>
      response.headers.get(`access-control-allow-${name}`),
    )
    assert.deepEqual(fields, ['POST', 'content-type,x-grpc-web,x-user-agent', '*'])
    const other = await ask('/a6.Routes/GetRoute', { method: 'OPTIONS' })
    assert.equal(other.headers.get('access-control-allow-headers'), 'x-mine')
  })

  test('is refused, with the field that lets a browser see it, and sends nothing', async () => {
    const before = calls
    for (const [options, status] of [
      [{ method: 'GET' }, 405],
      [{ method: 'PUT' }, 405],
      [{ type: 'application/json' }, 400],
      [{ type: 'application/grpc-web-text', body: 'not base64!' }, 400],
      [{ type: 'application/grpc-web-text', body: 'AAAAA' }, 400],
    ] as const) {
      const response = await ask('/grpc/web/a6.Routes/GetRoute', options)
      assert.equal(response.status, status, JSON.stringify(options))
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
      await response.arrayBuffer()
    }
    // Who speaks gRPC itself is told in its way.
    const other = await ask('/grpc/web/a6.Routes/GetRoute', { type: 'application/grpc' })
    assert.deepEqual([other.status, other.headers.get('grpc-status')], [200, '13'])
    const large = await ask('/small/a6.Routes/GetRoute')
    assert.equal(large.status, 400)
    assert.equal(calls, before)
  })

  test('an origin that another policy allows stays', async () => {
    const response = await ask('/cors/a6.Routes/GetRoute', { headers: { origin: 'http://test.example' } })
    assert.equal(response.headers.get('access-control-allow-origin'), 'http://test.example')
    await response.arrayBuffer()
  })
})
