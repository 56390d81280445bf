/** What HTTP/2 has of its own around an exchange: early answers, windows, resets, WebSockets, the end of connections. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import { after, afterEach, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Exchange } from '../../src/proxy/exchange.ts'
import { type RunningEngine, startEngine } from '../harness/engine.ts'
import { FrameClient, get, headers } from '../harness/http2-frames.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { converse } from '../harness/raw-client.ts'
import { originAnswer, ScriptedUpstream, type UpstreamScript } from '../harness/scripted-upstream.ts'

const upstream = new ScriptedUpstream()
let engine: RunningEngine
let session: http2.ClientHttp2Session
const told: string[] = []

const start = (settings = '') =>
  startEngine({
    upstreamPort: upstream.port,
    settings,
    policies: [
      {
        request: ({ request }) => (request.path === '/rejected' ? { status: 403, body: 'no' } : undefined),
        observe: ({ request, response, outcome }: Exchange) =>
          told.push(
            `${request.method} ${request.path} HTTP/${request.version} ${response.status} ${outcome}`,
          ),
      },
    ],
  })

before(async () => {
  await upstream.listen()
  engine = await start()
})
after(async () => {
  engine.close()
  await upstream.close()
})
afterEach(() => {
  session?.destroy()
})

async function connected(script: UpstreamScript = {}, port = engine.port): Promise<http2.ClientHttp2Session> {
  await upstream.reset(script)
  told.length = 0
  session = http2.connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  await once(session, 'remoteSettings')
  return session
}

async function until(done: () => boolean): Promise<void> {
  for (let n = 0; !done(); n++) {
    assert.ok(n < 500, 'nothing came of it')
    await sleep(10)
  }
}

interface Answer {
  status: number
  fields: http2.IncomingHttpHeaders
  body: string
  code: number
}

async function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  let fields: http2.IncomingHttpHeaders = {}
  let body = ''
  stream.on('response', (received) => {
    fields = received
  })
  stream.on('data', (chunk) => {
    body += chunk
  })
  stream.on('error', () => {})
  await new Promise((resolve) => stream.on('close', resolve))
  return { status: Number(fields[':status'] ?? 0), fields, body, code: stream.rstCode ?? 0 }
}

suite('an exchange', () => {
  test('tells policies its version, and is told of once', async () => {
    const client = await connected()
    const answer = await answerOf(client.request({ ':path': '/x' }))
    assert.equal(answer.status, 200)
    await until(() => told.length > 0)
    assert.deepEqual(told, ['GET /x HTTP/2.0 200 complete'])
  })

  test('that is answered early ends without an error, and the rest of its body is not read', async () => {
    const client = await connected()
    const stream = client.request({ ':path': '/rejected', ':method': 'POST' })
    stream.write('a'.repeat(1000))
    const answer = await answerOf(stream)
    assert.equal(answer.status, 403)
    assert.equal(answer.body, 'no')
    assert.equal(answer.code, http2.constants.NGHTTP2_NO_ERROR)
    assert.deepEqual(upstream.requests, [])
    // The connection goes on.
    assert.equal((await answerOf(client.request({ ':path': '/x' }))).status, 200)
  })

  test('that the upstream answers early ends without an error', async () => {
    const client = await connected({
      onHead: (_request, connection) => connection.send(originAnswer(413, 'too much', 'Connection: close')),
    })
    const stream = client.request({ ':path': '/x', ':method': 'POST' })
    stream.write('a')
    const answer = await answerOf(stream)
    assert.equal(answer.status, 413)
    assert.equal(answer.body, 'too much')
    assert.equal(answer.code, http2.constants.NGHTTP2_NO_ERROR)
  })

  test('whose client resets it gives up at the upstream', async () => {
    const client = await connected({ onRequest: () => {} })
    const stream = client.request({ ':path': '/x' })
    stream.on('error', () => {})
    await until(() => upstream.requests.length === 1)
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await until(() => upstream.connections[0]!.closed !== null)
    await until(() => told.length > 0)
    assert.deepEqual(told, ['GET /x HTTP/2.0 0 client_abort'])
  })

  test('whose upstream breaks off is reset with an error', async () => {
    const client = await connected({
      onRequest: (_request, connection) => {
        connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc')
        setTimeout(() => connection.reset(), 30)
      },
    })
    const answer = await answerOf(client.request({ ':path': '/x' }))
    assert.equal(answer.status, 200)
    assert.equal(answer.code, http2.constants.NGHTTP2_INTERNAL_ERROR)
    await until(() => told.length > 0)
    assert.deepEqual(told, ['GET /x HTTP/2.0 200 upstream_abort'])
  })

  test('with Expect gets its 100 from the upstream', async () => {
    const client = await connected({
      onHead: (_request, connection) => connection.send('HTTP/1.1 100 Continue\r\n\r\n'),
    })
    const stream = client.request({ ':path': '/x', ':method': 'POST', expect: '100-continue' })
    await once(stream, 'continue')
    stream.end('abc')
    assert.equal((await answerOf(stream)).status, 200)
    assert.equal(upstream.requests[0]!.body.toString(), 'abc')
  })

  test('205 has no body, whatever the upstream sends', async () => {
    const client = await connected({
      onRequest: (_request, connection) => connection.send(originAnswer(205, 'abc')),
    })
    const answer = await answerOf(client.request({ ':path': '/x' }))
    assert.equal(answer.status, 205)
  })

  test('many at once, each with its own answer', async () => {
    const client = await connected()
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, n) => {
        const stream = client.request({ ':path': `/n-${n}`, ':method': 'POST' })
        stream.end('b'.repeat(n))
        return answerOf(stream)
      }),
    )
    assert.deepEqual(
      answers.map(({ body }) => body),
      answers.map((_, n) => `ok POST /n-${n} length=${n}\n`),
    )
  })
})

suite('a truncated body', () => {
  for (const [name, head, body] of [
    ['with a length', 'Content-Length: 100', 'abc'],
    ['without one', 'Transfer-Encoding: chunked', '3\r\nabc\r\n'],
  ]) {
    test(`${name} has no end, but a reset`, async () => {
      await upstream.reset({
        onRequest: (_request, connection) => {
          connection.send(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`)
          setTimeout(() => connection.reset(), 30)
        },
      })
      const client = await FrameClient.connect(engine.port)
      client.send(headers(1, get('/x')))
      await client.until(() => client.outcome(1).reset !== undefined || client.outcome(1).ended)
      assert.deepEqual(client.outcome(1), { status: 200, reset: 2, ended: false })
      client.close()
    })
  }
})

suite('memory', () => {
  test('a client that reads nothing stops the upstream', async () => {
    const body = Buffer.alloc(32 * 1024 * 1024, 'a')
    const client = await connected({
      onRequest: (_request, connection) => connection.send(originAnswer(200, body)),
    })
    const stream = client.request({ ':path': '/large' })
    await once(stream, 'response')
    const { socket } = upstream.connections[0]!
    let before = -1
    await until(() => {
      const same = socket.writableLength === before
      before = socket.writableLength
      return same && socket.writableLength > 0
    })
    assert.ok(socket.writableLength > 16 * 1024 * 1024, `only ${socket.writableLength} bytes are left`)
    stream.resume()
    await once(stream, 'end')
    assert.equal(socket.writableLength, 0)
  })

  test('an upstream that reads nothing stops the client', async () => {
    const client = await connected({ onHead: (_request, connection) => connection.socket.pause() })
    const stream = client.request({ ':path': '/large', ':method': 'POST' })
    stream.on('error', () => {})
    stream.end(Buffer.alloc(64 * 1024 * 1024, 'a'))
    await until(() => upstream.requests.length === 1)
    let before = -1
    await until(() => {
      const sent = (client.socket as unknown as { bytesWritten: number }).bytesWritten
      const same = sent === before
      before = sent
      return same
    })
    assert.ok(before < 32 * 1024 * 1024, `${before} bytes were taken`)
    upstream.connections[0]!.socket.resume()
    const answer = await answerOf(stream)
    assert.equal(answer.body, `ok POST /large length=${64 * 1024 * 1024}\n`)
  })
})

suite('WebSockets (RFC 8441)', () => {
  const accepted =
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\n'
  const ask = (client: http2.ClientHttp2Session) =>
    client.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat',
      ':scheme': 'http',
      ':authority': 'wire.test',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
    })

  test('become an upgrade of HTTP/1.1, with bytes in both directions', async () => {
    const client = await connected({
      onRequest: (_request, connection) => connection.openTunnel().send(accepted),
      onTunnel: (chunk, connection) => connection.send(`echo ${chunk}`),
    })
    assert.equal(client.remoteSettings.enableConnectProtocol, true)
    const stream = ask(client)
    const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    assert.equal(fields[':status'], 200)
    assert.equal(fields['sec-websocket-protocol'], 'chat')
    assert.equal(fields['sec-websocket-accept'], undefined)
    const [request] = upstream.requests
    assert.equal(request!.startLine, 'GET /chat HTTP/1.1')
    assert.equal(fieldValue(request!, 'upgrade'), 'websocket')
    assert.equal(fieldValue(request!, 'connection'), 'upgrade')
    assert.equal(Buffer.from(fieldValue(request!, 'sec-websocket-key')!, 'base64').length, 16)
    stream.write('one')
    const [first] = (await once(stream, 'data')) as [Buffer]
    assert.equal(first.toString(), 'echo one')
    stream.end()
    stream.resume()
    await once(stream, 'close')
    await until(() => upstream.connections[0]!.closed !== null && told.length > 0)
    assert.deepEqual(told, ['GET /chat HTTP/2.0 101 complete'])
  })

  test('that the upstream does not switch to are no tunnel', async () => {
    const client = await connected()
    const answer = await answerOf(ask(client))
    assert.equal(answer.status, 502)
  })

  test('that the upstream refuses are refused', async () => {
    const client = await connected({
      onRequest: (_request, connection) => connection.send(originAnswer(403, 'no')),
    })
    const answer = await answerOf(ask(client))
    assert.equal(answer.status, 403)
  })

  test('end with their client', async () => {
    const client = await connected({
      onRequest: (_request, connection) => connection.openTunnel().send(accepted),
    })
    const stream = ask(client)
    await once(stream, 'response')
    client.destroy()
    await until(() => upstream.connections[0]!.closed !== null)
  })
})

suite('the end of a connection', () => {
  test('comes after the number of requests that one may carry', async () => {
    const limited = await start('limits: { requests_per_connection: 3 }')
    try {
      const client = await connected({}, limited.port)
      let goaways = 0
      client.on('goaway', () => goaways++)
      for (let n = 0; n < 3; n++)
        assert.equal((await answerOf(client.request({ ':path': `/${n}` }))).status, 200)
      await once(client, 'close')
      assert.ok(goaways >= 1)
    } finally {
      limited.close()
    }
  })

  test('in a drain lets requests finish', async () => {
    const draining = await start()
    let answer = () => {}
    const client = await connected(
      {
        onRequest: (request, connection) => {
          answer = () => connection.echo(request)
        },
      },
      draining.port,
    )
    const stream = client.request({ ':path': '/slow' })
    const answered = answerOf(stream)
    await until(() => upstream.requests.length === 1)
    const goaway = once(client, 'goaway')
    const drained = draining.drain()
    await goaway
    answer()
    assert.equal((await answered).status, 200)
    await drained
  })
})

suite('listeners', () => {
  test('without HTTP/2 take its preface for no request', async () => {
    const plain = await startEngine({ upstreamPort: upstream.port, policies: [], http2: false })
    try {
      const { answers, closed } = await converse({
        port: plain.port,
        steps: ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', { closed: 5000 }],
      })
      assert.equal(answers[0]?.status, 505)
      assert.equal(closed, 'fin')
    } finally {
      plain.close()
    }
  })

  test('take a preface that comes byte by byte', async () => {
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
    const { received } = await converse({
      port: engine.port,
      steps: [
        { drip: preface, every: 2, within: 3000 },
        Buffer.from('000000040000000000', 'hex'),
        { wait: 100 },
      ],
      within: 10,
    })
    // SETTINGS of the server come first (RFC 9113 3.4).
    assert.equal(received[3], 4)
  })

  test('speak HTTP/1.1 too', async () => {
    await upstream.reset()
    const { answers } = await converse({
      port: engine.port,
      steps: ['GET /x HTTP/1.1\r\nHost: wire.test\r\n\r\n'],
    })
    assert.equal(answers[0]?.status, 200)
  })
})
