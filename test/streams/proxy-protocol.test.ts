/** The PROXY protocol over real sockets, on listeners of every kind, and towards upstreams. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { after, suite, type TestContext, test } from 'node:test'
import tls from 'node:tls'
import { proxyHeader } from '../../src/proxy/proxy-protocol/header-writer.ts'
import { Authority, pemBlock } from '../harness/certificates.ts'
import { eventually, startStreams, talk, tcpServer } from '../harness/stream-engine.ts'

const ends = { address: '192.0.2.7', port: 4711, localAddress: '198.51.100.1', localPort: 25 }
const [v1, v2] = [proxyHeader('v1', ends), proxyHeader('v2', ends)]
const authority = new Authority()
const certificate = authority.issue({ names: ['a.test'] })
after(() => authority.remove())

async function echo(t: TestContext) {
  const server = await tcpServer((socket) => socket.pipe(socket))
  t.after(() => server.close())
  return server
}

/** Answers with who its client is said to be. */
async function web(t: TestContext): Promise<number> {
  const server = http.createServer(({ headers }, response) => {
    response.end(`${headers['x-real-ip']} ${headers['x-forwarded-for']}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

async function engineFor(t: TestContext, yaml: string) {
  const engine = await startStreams(yaml)
  t.after(() => engine.close())
  return engine
}

const believing = 'proxy_protocol: { trusted: [127.0.0.1] }'
const listener = (more: string, protocol = 'tcp') =>
  `gateway: { timeouts: { handshake: 200ms }, listeners: [{ name: in, protocol: ${protocol}, host: 127.0.0.1, port: 0, ${more} }] }`
const route = (port: number, more = '') =>
  `stream_routes: [{ id: r, upstream: { nodes: { "127.0.0.1:${port}": 1 } ${more} } }]`

suite('a listener with the PROXY protocol', () => {
  test('knows the client of a TCP session by it, for routes, policies and logs', async (t) => {
    const server = await echo(t)
    const engine = await engineFor(
      t,
      `${listener(believing)}
stream_routes:
  - { id: lb, remote_addr: 127.0.0.1, upstream: { nodes: { "127.0.0.1:1": 1 } } }
  - { id: client, remote_addr: 192.0.2.0/24, upstream: { nodes: { "127.0.0.1:${server.port}": 1 } } }
`,
    )
    for (const header of [v1, v2]) {
      assert.equal(await talk(engine.ports.in!, Buffer.concat([header, Buffer.from('hello')])), 'hello')
    }
    await eventually(() => engine.sessions.length === 2)
    for (const { client, binding, session } of engine.sessions) {
      assert.deepEqual([client.address, client.port, client.peerAddress], ['192.0.2.7', 4711, '127.0.0.1'])
      assert.equal(binding!.routeId, 'client')
      assert.equal(session!.received, 5)
    }
  })

  test('takes a header that comes byte by byte, and what comes with its end', async (t) => {
    const server = await echo(t)
    const engine = await engineFor(t, `${listener(believing)}\n${route(server.port)}`)
    const client = net.connect({ port: engine.ports.in!, host: '127.0.0.1', noDelay: true })
    await once(client, 'connect')
    for (const byte of v2.subarray(0, -1)) {
      client.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    client.write(Buffer.concat([v2.subarray(-1), Buffer.from('early')]))
    const [answer] = await once(client, 'data')
    assert.equal(String(answer), 'early')
    client.destroy()
  })

  test('closes what is malformed, what takes too long, and what has no header', async (t) => {
    const server = await echo(t)
    const engine = await engineFor(t, `${listener(believing)}\n${route(server.port)}`)
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', 'PROXY TCP4 1.2.3.4\r\nhello', 'PROXY ', ''])
      assert.equal(await talk(engine.ports.in!, bytes), '', bytes)
    const silent = net.connect(engine.ports.in!, '127.0.0.1')
    silent.write('PROXY TCP4 ')
    await new Promise((resolve) => silent.on('error', () => {}).on('close', resolve))
    await eventually(() => engine.open() === 0)
    assert.equal(server.sockets.length, 0)
  })

  test('believes nobody who is not trusted: others are closed, or their header is only read', async (t) => {
    const server = await echo(t)
    const closing = await engineFor(
      t,
      `${listener('proxy_protocol: { trusted: [10.0.0.0/8] }')}\n${route(server.port)}`,
    )
    assert.equal(await talk(closing.ports.in!, Buffer.concat([v1, Buffer.from('x')])), '')
    assert.equal(server.sockets.length, 0)
    const ignoring = await engineFor(
      t,
      `${listener('proxy_protocol: { trusted: [], untrusted: ignore }')}\n${route(server.port)}`,
    )
    assert.equal(await talk(ignoring.ports.in!, Buffer.concat([v1, Buffer.from('x')])), 'x')
    await eventually(() => ignoring.sessions.length === 1)
    assert.equal(ignoring.sessions[0]!.client.address, '127.0.0.1')
  })

  test('is not needed: elsewhere a header is bytes like others', async (t) => {
    const server = await echo(t)
    const engine = await engineFor(
      t,
      `gateway: { listeners: [{ name: in, protocol: tcp, host: 127.0.0.1, port: 0 }] }\n${route(server.port)}`,
    )
    assert.equal(await talk(engine.ports.in!, v1), v1.toString())
  })

  test('tells upstreams of requests, over HTTP and HTTPS', async (t) => {
    const port = await web(t)
    const http1 = await engineFor(
      t,
      `${listener(believing, 'http')}
routes: [{ id: all, uri: /*, upstream: { nodes: { "127.0.0.1:${port}": 1 } } }]`,
    )
    const request = Buffer.from('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    const answer = await talk(http1.ports.in!, Buffer.concat([v1, request]))
    assert.match(answer, /192\.0\.2\.7 192\.0\.2\.7$/)
    assert.doesNotMatch(await talk(http1.ports.in!, request), /HTTP/)
    const secure = await engineFor(
      t,
      `${listener(believing, 'https')}
ssls:
  - id: a
    sni: a.test
    cert: ${pemBlock(certificate.cert, 6)}
    key: ${pemBlock(certificate.key, 6)}
routes: [{ id: all, uri: /*, upstream: { nodes: { "127.0.0.1:${port}": 1 } } }]`,
    )
    const raw = net.connect(secure.ports.in!, '127.0.0.1')
    raw.write(v2)
    const client = tls.connect({ socket: raw, servername: 'a.test', ca: authority.cert })
    client.end(request)
    let text = ''
    for await (const bytes of client) text += bytes
    assert.match(text, /192\.0\.2\.7 192\.0\.2\.7$/)
  })
})

suite('an upstream of streams', () => {
  test('is told the client in the version that it, or the listener, says', async (t) => {
    const server = await echo(t)
    const engine = await engineFor(
      t,
      `${listener(`${believing}, proxy_protocol_to_upstream: v1`)}\n${route(server.port)}`,
    )
    const sent = Buffer.concat([v2, Buffer.from('hello')])
    const local = `127.0.0.1 4711 ${engine.ports.in}`
    assert.equal(await talk(engine.ports.in!, sent), `PROXY TCP4 192.0.2.7 ${local}\r\nhello`)
    await engine.change(
      `${listener(`${believing}, proxy_protocol_to_upstream: v1`)}\n${route(server.port, ', proxy_protocol: v2')}`,
    )
    const told = { ...ends, localAddress: '127.0.0.1', localPort: engine.ports.in! }
    const answer = await talk(engine.ports.in!, sent)
    assert.equal(answer, `${proxyHeader('v2', told).toString('latin1')}hello`)
  })

  test('that speaks TLS is told it before the handshake', async (t) => {
    let header = ''
    const secure = tls.createServer({ cert: certificate.cert, key: certificate.key }, (socket) =>
      socket.end(`${header}secure`),
    )
    const server = await tcpServer((socket) => {
      socket.once('data', (bytes: Buffer) => {
        const end = bytes.indexOf('\r\n') + 2
        header = bytes.toString('latin1', 0, end)
        socket.pause()
        socket.unshift(bytes.subarray(end))
        secure.emit('connection', socket)
      })
    })
    t.after(() => server.close())
    const engine = await engineFor(
      t,
      `${listener('proxy_protocol_to_upstream: v1')}
${route(server.port, ', scheme: tls, pass_host: rewrite, upstream_host: a.test, tls: { verify: false }')}`,
    )
    const answer = await talk(engine.ports.in!, '')
    assert.match(answer, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nsecure$/)
  })
})

suite('an upstream of requests', () => {
  /** Reads the header of version 1 of each connection, and answers its requests with it. */
  async function telling(t: TestContext, serve: (socket: net.Socket, header: string) => void) {
    const headers: string[] = []
    const server = await tcpServer((socket) => {
      socket.once('data', (bytes: Buffer) => {
        const end = bytes.indexOf('\r\n') + 2
        const header = bytes.toString('latin1', 0, end).trimEnd()
        headers.push(header)
        socket.pause()
        if (bytes.length > end) socket.unshift(bytes.subarray(end))
        serve(socket, header)
      })
    })
    t.after(() => server.close())
    return { port: server.port, headers }
  }

  const asking = (port: number, agent: http.Agent) =>
    new Promise<string>((resolve, reject) => {
      http
        .get({ port, host: '127.0.0.1', agent }, (answer) => {
          answer.setEncoding('utf8')
          let body = ''
          answer.on('data', (piece) => {
            body += piece
          })
          answer.on('end', () => resolve(body))
        })
        .on('error', reject)
    })

  const settings = (port: number, more = '', listener = '') => `
gateway: { listeners: [{ name: web, host: 127.0.0.1, port: 0, ${listener} }] }
routes: [{ id: r, uri: /*, upstream: { ${more} proxy_protocol: v1, nodes: { "127.0.0.1:${port}": 1 } } }]`

  const speaksHttp1 = (socket: net.Socket, header: string) => {
    const web = http.createServer((_, response) => response.end(header))
    web.emit('connection', socket)
    socket.resume()
  }
  const speaksHttp2 = (socket: net.Socket, header: string) => {
    const session = http2.performServerHandshake(socket)
    session.on('stream', (stream) => {
      stream.respond({ ':status': 200 })
      stream.end(header)
    })
  }

  for (const [name, scheme, serve] of [
    ['HTTP/1.1', '', speaksHttp1],
    ['HTTP/2', 'scheme: grpc,', speaksHttp2],
  ] as const) {
    test(`over ${name} is told each client on connections that serve nobody else`, async (t) => {
      const server = await telling(t, serve)
      const engine = await engineFor(t, settings(server.port, scheme))
      const agents = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }))
      t.after(() => {
        for (const agent of agents) agent.destroy()
      })
      const told: string[] = []
      for (let round = 0; round < 3; round++)
        for (const agent of agents) told.push(await asking(engine.ports.web!, agent))
      assert.match(told[0]!, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+$/)
      assert.notEqual(told[0], told[1])
      assert.deepEqual(told, [told[0], told[1], told[0], told[1], told[0], told[1]])
      assert.deepEqual(server.headers, [told[0], told[1]])
    })
  }

  test('keeps connections of clients that come, and gives up those of clients that went', async (t) => {
    const server = await telling(t, speaksHttp1)
    const engine = await engineFor(t, settings(server.port, 'keepalive_pool: { size: 1 },'))
    for (let client = 0; client < 3; client++) {
      const agent = new http.Agent({ keepAlive: true })
      assert.equal(await asking(engine.ports.web!, agent), await asking(engine.ports.web!, agent))
      agent.destroy()
    }
    assert.equal(new Set(server.headers).size, 3)
    assert.equal(server.headers.length, 3)
  })
})
