/** The PROXY protocol over real sockets, on listeners of every kind, and towards upstreams. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
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
