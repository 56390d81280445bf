/** Requests that go to upstreams over HTTP/2: what these get, what clients get of their answers, and what happens when they misbehave. */
import assert from 'node:assert/strict'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { startEngine } from '../harness/engine.ts'
import { type FrameScript, flag, frameType, startFrameServer } from '../harness/frame-server.ts'

interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
  trailers: NodeJS.Dict<string>
  /** False: it broke off. */
  complete: boolean
}

interface Sent {
  method?: string
  path?: string
  headers?: Record<string, string>
  body?: string | Buffer
  trailers?: Record<string, string>
}

function send(port: number, { method = 'GET', path = '/', headers = {}, body, trailers }: Sent = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const request = http.request({ port, method, path, headers, agent: false }, (response) => {
      const pieces: Buffer[] = []
      const done = () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: Buffer.concat(pieces).toString(),
          trailers: response.trailers,
          complete: response.complete,
        })
      response.on('data', (piece) => pieces.push(piece))
      response.on('error', () => {})
      response.on('close', done)
    })
    request.on('error', reject)
    if (trailers !== undefined) request.addTrailers(trailers)
    request.end(body)
  })
}

/** An engine in front of a server of `node:http2`. */
async function front(
  t: TestContext,
  onStream: (stream: http2.ServerHttp2Stream, raw: string[]) => void,
  { upstream = 'scheme: grpc', settings = '', options = {} as http2.ServerOptions } = {},
) {
  const server = http2.createServer(options)
  const sessions: http2.ServerHttp2Session[] = []
  server.on('session', (session) => {
    sessions.push(session)
    session.on('error', () => {})
  })
  server.on('stream', (stream, _headers, _flags, raw) => {
    stream.on('error', () => {})
    onStream(stream as http2.ServerHttp2Stream, raw as unknown as string[])
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const engine = await startEngine({ upstreamPort: port, upstream, settings, policies: [] })
  t.after(() => {
    engine.close()
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { engine, sessions, server, upstreamPort: port }
}

/** An engine in front of a server that sends what a test says, frame by frame. */
async function frames(t: TestContext, script: FrameScript, upstream = 'scheme: grpc') {
  const server = await startFrameServer(t, script)
  const engine = await startEngine({ upstreamPort: server.port, upstream, policies: [] })
  t.after(() => engine.close())
  return { engine, server }
}

test('the upstream gets the fields of HTTP/2, and none that is between neighbours in HTTP/1', async (t) => {
  let seen: string[] = []
  const { engine } = await front(t, (stream, raw) => {
    seen = raw
    stream.respond({ ':status': 204 }, { endStream: true })
  })
  const headers = { Host: 'api.example:81', 'X-Name': 'Value', Connection: 'close, x-gone', 'X-Gone': '1' }
  const answer = await send(engine.port, { path: '/a?b=%20', headers })
  assert.equal(answer.status, 204)
  const pairs = seen.flatMap((name, i) => (i % 2 === 0 ? [`${name} ${seen[i + 1]}`] : []))
  assert.deepEqual(pairs.slice(0, 5), [
    ':method GET',
    ':scheme http',
    ':authority api.example:81',
    ':path /a?b=%20',
    'x-name Value',
  ])
  assert.ok(pairs.includes('te trailers'))
  assert.ok(!pairs.some((pair) => /^(host|connection|x-gone|transfer-encoding) /.test(pair)))
})

test('bodies of any framing arrive, and the answer comes back with its trailers', async (t) => {
  const bodies: string[] = []
  const { engine } = await front(t, (stream) => {
    const pieces: Buffer[] = []
    stream.on('data', (piece: Buffer) => pieces.push(piece))
    stream.on('end', () => {
      bodies.push(Buffer.concat(pieces).toString())
      stream.respond({ ':status': 200, 'x-kept': 'yes' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-bin': 'AQI' }))
      stream.end('done')
    })
  })
  const large = 'x'.repeat(300_000)
  for (const sent of [
    { method: 'POST', body: 'five!' },
    { method: 'POST', body: 'chunks', headers: { 'transfer-encoding': 'chunked' } },
    { method: 'PUT', body: large },
    { method: 'GET' },
  ]) {
    const answer = await send(engine.port, sent)
    assert.equal(answer.status, 200)
    assert.equal(answer.body, 'done')
    assert.equal(answer.headers['x-kept'], 'yes')
    assert.deepEqual({ ...answer.trailers }, { 'grpc-status': '0', 'x-bin': 'AQI' })
  }
  assert.deepEqual(bodies, ['five!', 'chunks', large, ''])
})

test('an answer that is a head only keeps its fields there', async (t) => {
  const { engine } = await front(t, (stream) => {
    stream.respond({ ':status': 200, 'grpc-status': '5', 'grpc-message': 'no' }, { endStream: true })
  })
  const { status, headers, body } = await send(engine.port, { method: 'POST', body: 'x' })
  assert.equal(status, 200)
  assert.equal(headers['grpc-status'], '5')
  assert.equal(headers['content-length'], '0')
  assert.equal(body, '')
})

test('requests share one connection, up to what the peer allows', async (t) => {
  const waiting: http2.ServerHttp2Stream[] = []
  const { engine, sessions } = await front(
    t,
    (stream) => {
      waiting.push(stream)
      if (waiting.length === 5)
        for (const each of waiting) {
          each.respond({ ':status': 200 })
          each.end('x')
        }
    },
    { options: { settings: { maxConcurrentStreams: 2 } } },
  )
  const answers = await Promise.all(Array.from({ length: 5 }, () => send(engine.port)))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  )
  assert.equal(sessions.length, 3)
})

test('a peer that does not speak HTTP/2 gets nothing of a request, which may go elsewhere', async (t) => {
  const received: string[] = []
  const old = http.createServer((request, response) => {
    received.push(request.url!)
    response.end('old')
  })
  await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve))
  t.after(() => old.close())
  const { port } = old.address() as AddressInfo
  const engine = await startEngine({ upstreamPort: port, upstream: 'scheme: grpc', policies: [] })
  t.after(() => engine.close())
  const answer = await send(engine.port, { method: 'POST', body: 'x' })
  assert.equal(answer.status, 502)
  assert.deepEqual(received, [])
})

test('nobody listens: 502', async (t) => {
  const { port } = await startFrameServer(t, {})
  const engine = await startEngine({ upstreamPort: 1, upstream: 'scheme: grpc', policies: [] })
  t.after(() => engine.close())
  assert.ok(port > 0)
  assert.equal((await send(engine.port)).status, 502)
})

test('RFC 9113 8.7: a refused request, whatever its method, is sent once more, and not for ever', async (t) => {
  let refusals = 1
  const { engine, server } = await frames(t, {
    onStream(connection, stream) {
      if (refusals-- > 0) connection.reset(stream, 7)
      else connection.head(stream, [[':status', '200']], flag.endStream)
    },
  })
  const answer = await send(engine.port, { method: 'POST', body: 'once' })
  assert.equal(answer.status, 200)
  assert.equal(server.connections[0]!.streams.length, 2)
  refusals = 100
  assert.equal((await send(engine.port, { method: 'POST', body: 'once' })).status, 503)
  assert.equal(server.connections[0]!.streams.length, 4)
})

test('RFC 9113 6.8: what comes after the last stream of a GOAWAY is sent again on another connection', async (t) => {
  const { engine, server } = await frames(t, {
    onStream(connection, stream) {
      if (server.connections.length === 1) {
        connection.goaway(0)
        return
      }
      connection.head(stream, [[':status', '200']], flag.endStream)
    },
  })
  const answer = await send(engine.port, { method: 'POST', body: 'x' })
  assert.equal(answer.status, 200)
  assert.equal(server.connections.length, 2)
})

test('a request that a GOAWAY still covers gets its answer, and the next one another connection', async (t) => {
  const { engine, server } = await frames(t, {
    onStream(connection, stream) {
      connection.goaway(stream)
      connection.head(stream, [[':status', '200']])
      connection.send(frameType.data, flag.endStream, stream, Buffer.from('whole'))
    },
  })
  assert.equal((await send(engine.port)).body, 'whole')
  assert.equal((await send(engine.port)).body, 'whole')
  assert.equal(server.connections.length, 2)
})

test('a POST whose connection is closed is not sent again; a GET is', async (t) => {
  const { engine, server } = await frames(t, {
    onStream(connection, stream) {
      if (server.connections.length === 1 && connection.streams.length === 1) {
        connection.head(stream, [[':status', '200']], flag.endStream)
      } else if (server.connections.length === 3)
        connection.head(stream, [[':status', '200']], flag.endStream)
      else connection.socket.destroy()
    },
  })
  assert.equal((await send(engine.port)).status, 200)
  assert.equal((await send(engine.port, { method: 'POST', body: 'x' })).status, 502)
  assert.equal(server.connections.length, 1)
  const again = await send(engine.port)
  assert.equal(again.status, 502)
  assert.equal(server.connections.length, 2)
  assert.equal((await send(engine.port)).status, 200)
})

for (const [what, code] of [
  ['NO_ERROR', 0],
  ['CANCEL', 8],
  ['INTERNAL_ERROR', 2],
] as const) {
  test(`an answer that is reset with ${what} does not end as if it was whole`, async (t) => {
    const { engine } = await frames(t, {
      onStream(connection, stream) {
        connection.head(stream, [[':status', '200']])
        connection.send(frameType.data, 0, stream, Buffer.from('part'))
        connection.reset(stream, code)
      },
    })
    const { complete } = await send(engine.port).catch(() => ({ complete: false }))
    assert.equal(complete, false)
  })
}

for (const [what, fields] of [
  [
    'a field of the connection',
    [
      [':status', '200'],
      ['connection', 'close'],
    ],
  ],
  [
    'a coding',
    [
      [':status', '200'],
      ['transfer-encoding', 'chunked'],
    ],
  ],
  [
    'a capital letter',
    [
      [':status', '200'],
      ['X-A', 'b'],
    ],
  ],
  ['no status', [['x-a', 'b']]],
  ['a status of two digits', [[':status', '20']]],
  ['a status beyond 599', [[':status', '600']]],
  ['101', [[':status', '101']]],
  [
    'two lengths',
    [
      [':status', '200'],
      ['content-length', '1'],
      ['content-length', '2'],
    ],
  ],
] as const) {
  test(`RFC 9113 8.1.1: an answer with ${what} is none`, async (t) => {
    const { engine } = await frames(t, {
      onStream: (connection, stream) => connection.head(stream, fields, flag.endStream),
    })
    const answer = await send(engine.port)
    assert.equal(answer.status, 502)
    assert.equal(answer.headers['x-c'], undefined)
  })
}

test('a value with a line break or a NUL goes nowhere', async (t) => {
  const { engine } = await frames(t, {
    onStream: (connection, stream) =>
      connection.head(
        stream,
        [
          [':status', '200'],
          ['x-a', 'b\r\nx-c: d'],
          ['x-b', 'b\0c'],
        ],
        flag.endStream,
      ),
  })
  const { headers } = await send(engine.port)
  assert.deepEqual([headers['x-a'], headers['x-b'], headers['x-c']], [undefined, undefined, undefined])
})

test('a body that is shorter than its Content-Length breaks off', async (t) => {
  const { engine } = await frames(t, {
    onStream(connection, stream) {
      connection.head(stream, [
        [':status', '200'],
        ['content-length', '10'],
      ])
      connection.send(frameType.data, flag.endStream, stream, Buffer.from('part'))
    },
  })
  const { complete } = await send(engine.port).catch(() => ({ complete: false }))
  assert.equal(complete, false)
})

test('interim answers without end are none', async (t) => {
  const { engine } = await frames(t, {
    onStream(connection, stream) {
      for (let i = 0; i < 40; i++) connection.head(stream, [[':status', '103']])
      connection.head(stream, [[':status', '200']], flag.endStream)
    },
  })
  assert.equal((await send(engine.port)).status, 502)
})

test('a slow client slows the upstream down', async (t) => {
  let sent = 0
  const piece = Buffer.alloc(64 * 1024)
  const { engine } = await front(t, (stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    const more = () => {
      while (sent < 64 * 1024 * 1024) {
        sent += piece.length
        if (!stream.write(piece)) {
          stream.once('drain', more)
          return
        }
      }
      stream.end()
    }
    more()
  })
  const request = http.get({ port: engine.port, agent: false })
  const response = await new Promise<http.IncomingMessage>((resolve) => request.on('response', resolve))
  response.pause()
  // Until nothing moves any more.
  for (let before = -1; before !== sent; ) {
    before = sent
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken for nobody`)
  let got = 0
  for await (const bytes of response) got += bytes.length
  assert.equal(got, sent)
})

test('the gateway answers a call itself with the status of gRPC', async (t) => {
  const engine = await startEngine({ upstreamPort: 1, upstream: 'scheme: grpc', policies: [] })
  t.after(() => engine.close())
  const { status, headers, body } = await send(engine.port, {
    method: 'POST',
    body: '',
    headers: { 'content-type': 'application/grpc+proto' },
  })
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'application/grpc')
  assert.equal(headers['grpc-status'], '14')
  assert.equal(headers['grpc-message'], '502 Bad Gateway')
  assert.equal(body, '')
})

test('a call ends when its caller does not wait any more, whatever the timeouts of the upstream are', async (t) => {
  let closed = false
  const { engine } = await front(t, (stream) => {
    stream.on('close', () => {
      closed = true
    })
  })
  const { headers } = await send(engine.port, {
    method: 'POST',
    body: 'x',
    headers: { 'content-type': 'application/grpc', 'grpc-timeout': '100m' },
  })
  assert.equal(headers['grpc-status'], '4')
  for (let i = 0; i < 100 && !closed; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(closed, 'the call goes on at the upstream')
})

test('a request that its client breaks off does not end at the upstream as if it was whole', async (t) => {
  const seen: { type: number; flags: number }[] = []
  let onData = () => {}
  let onReset = () => {}
  const arrived = new Promise<void>((resolve) => {
    onData = resolve
  })
  const reset = new Promise<void>((resolve) => {
    onReset = resolve
  })
  const { engine } = await frames(t, {
    onFrame({ frames: all }, type) {
      seen.push(all.at(-1)!)
      if (type === frameType.data) onData()
      if (type === frameType.reset) onReset()
    },
  })
  const request = http.request({ port: engine.port, method: 'POST', agent: false })
  request.on('error', () => {})
  request.write('part of it')
  await arrived
  request.destroy()
  await reset
  const before = seen.slice(
    0,
    seen.findIndex(({ type }) => type === frameType.reset),
  )
  assert.ok(before.every(({ flags }) => (flags & flag.endStream) === 0))
})
