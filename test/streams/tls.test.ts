/** TLS on streams with real clients and servers: it ends here, passes through, or begins here. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { after, suite, type TestContext, test } from 'node:test'
import tls from 'node:tls'
import { Authority, pemBlock } from '../harness/certificates.ts'
import { eventually, startStreams, talk, tcpServer } from '../harness/stream-engine.ts'

const authority = new Authority()
const gatewayCertificate = authority.issue({ names: ['a.test', '*.b.test'] })
const nodeCertificate = authority.issue({ names: ['node.test', 'a.test'] })
const clientCertificate = authority.issue({ names: ['client'] })
after(() => authority.remove())

const listener = (more = '') =>
  `gateway: { timeouts: { handshake: 300ms }, listeners: [{ name: in, protocol: tls, host: 127.0.0.1, port: 0 ${more} }], upstream_tls: { ca: [${authority.certFile}] } }`
const ssl = (client = '') => `ssls:
  - id: a
    snis: [a.test, "*.b.test"]
    cert: ${pemBlock(gatewayCertificate.cert, 6)}
    key: ${pemBlock(gatewayCertificate.key, 6)}
${client}`

async function named(t: TestContext, name: string) {
  const server = await tcpServer((socket) => {
    socket.write(`${name}:`)
    socket.pipe(socket)
  })
  t.after(() => server.close())
  return server
}

/** A server that speaks TLS, and writes down by which name it was asked. */
async function secureServer(t: TestContext, options: tls.TlsOptions = {}) {
  const names: (string | false | null)[] = []
  const server = tls.createServer(
    { cert: nodeCertificate.cert, key: nodeCertificate.key, ...options },
    (socket) => {
      names.push((socket as unknown as { servername: string | false | null }).servername)
      socket.on('error', () => {})
      socket.write('secure:')
      socket.pipe(socket)
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { port: (server.address() as AddressInfo).port, names }
}

async function engineFor(t: TestContext, yaml: string) {
  const engine = await startStreams(yaml)
  t.after(() => engine.close())
  return engine
}

/** Says it, and gives back everything that is said until the other side ends. */
async function secureTalk(port: number, text: string, options: tls.ConnectionOptions): Promise<string> {
  const client = tls.connect({ port, host: '127.0.0.1', ca: authority.cert, ...options })
  client.end(text)
  let answer = ''
  for await (const bytes of client) answer += bytes
  return answer
}

const to = (port: number, more = '') => `upstream: { nodes: { "127.0.0.1:${port}": 1 } ${more} }`

suite('TLS that ends here', () => {
  test('is decrypted, and its route is found by the name, exact before wildcard before none', async (t) => {
    const [a, b, c] = [await named(t, 'a'), await named(t, 'b'), await named(t, 'c')]
    const engine = await engineFor(
      t,
      `${listener()}
${ssl()}
stream_routes:
  - { id: none, ${to(c.port)} }
  - { id: wild, sni: "*.b.test", ${to(b.port)} }
  - { id: exact, sni: x.b.test, ${to(a.port)} }
  - { id: elsewhere, sni: a.test, remote_addr: 10.0.0.0/8, ${to(a.port)} }
`,
    )
    const say = (servername: string) => secureTalk(engine.ports.in!, 'hello', { servername })
    assert.equal(await say('x.b.test'), 'a:hello')
    assert.equal(await say('y.b.test'), 'b:hello')
    assert.equal(await say('a.test'), 'c:hello')
    await assert.rejects(say('other.test'), /unrecognized name/)
    await eventually(() => engine.sessions.length === 3)
    assert.deepEqual(
      engine.sessions.map(({ client }) => client.tls!.serverName),
      ['x.b.test', 'y.b.test', 'a.test'],
    )
  })

  test('agrees to whatever is spoken inside, of which it knows nothing', async (t) => {
    const a = await named(t, 'a')
    const engine = await engineFor(t, `${listener()}\n${ssl()}\nstream_routes: [{ ${to(a.port)} }]`)
    const options = { servername: 'a.test', ALPNProtocols: ['mqtt'] }
    assert.equal(await secureTalk(engine.ports.in!, 'x', options), 'a:x')
  })

  test('asks for a certificate of the client where the name does', async (t) => {
    const a = await named(t, 'a')
    const asks = `    client:\n      ca: ${pemBlock(authority.cert, 8)}`
    const engine = await engineFor(t, `${listener()}\n${ssl(asks)}\nstream_routes: [{ ${to(a.port)} }]`)
    const { cert, key } = clientCertificate
    assert.equal(await secureTalk(engine.ports.in!, 'x', { servername: 'a.test', cert, key }), 'a:x')
    await assert.rejects(secureTalk(engine.ports.in!, 'x', { servername: 'a.test' }))
    assert.equal(engine.sessions.length <= 1, true)
  })

  test('carries what openssl s_client says', async (t) => {
    const a = await named(t, 'a')
    const engine = await engineFor(
      t,
      `${listener()}\n${ssl()}\nstream_routes: [{ sni: a.test, ${to(a.port)} }]`,
    )
    const client = spawn('openssl', [
      ...['s_client', '-quiet', '-connect', `127.0.0.1:${engine.ports.in}`],
      ...['-servername', 'a.test', '-CAfile', authority.certFile, '-verify_return_error'],
    ])
    let answer = ''
    client.stdout.on('data', (bytes) => {
      answer += bytes
    })
    client.stdin.write('hello\n')
    await eventually(() => answer === 'a:hello\n')
    client.kill()
  })

  test('that is none is closed without a byte, and so is one that takes too long', async (t) => {
    const a = await named(t, 'a')
    const engine = await engineFor(t, `${listener()}\n${ssl()}\nstream_routes: [{ ${to(a.port)} }]`)
    assert.equal(await talk(engine.ports.in!, 'GET / HTTP/1.1\r\n\r\n'), '')
    assert.equal(await talk(engine.ports.in!, '\0\0\0\0'), '')
    const slow = net.connect(engine.ports.in!, '127.0.0.1')
    slow.write(Buffer.from('160301', 'hex'))
    await new Promise((resolve) => slow.on('error', () => {}).on('close', resolve))
    await eventually(() => engine.open() === 0)
    assert.equal(a.sockets.length, 0)
  })
})

suite('TLS that passes through', () => {
  test('reaches the endpoint of its name as it came', async (t) => {
    const secure = await secureServer(t)
    const plain = await named(t, 'no name')
    const engine = await engineFor(
      t,
      `${listener(', passthrough: true')}
stream_routes:
  - { id: plain, ${to(plain.port)} }
  - { id: secure, sni: "*.test", ${to(secure.port)} }
`,
    )
    const answer = await secureTalk(engine.ports.in!, 'hello', { servername: 'node.test' })
    assert.equal(answer, 'secure:hello')
    assert.deepEqual(secure.names, ['node.test'])
    await eventually(() => engine.sessions.length === 1)
    assert.equal(engine.sessions[0]!.binding!.routeId, 'secure')
    // Without a name it is for the route that asks for none.
    const nameless = tls.connect({ port: engine.ports.in!, host: '127.0.0.1', rejectUnauthorized: false })
    await once(nameless, 'error')
    assert.equal(plain.sockets.length, 1)
  })

  test('has to begin as TLS does, soon, and within bounds', async (t) => {
    const plain = await named(t, 'a')
    const engine = await engineFor(
      t,
      `${listener(', passthrough: true')}\nstream_routes: [{ ${to(plain.port)} }]`,
    )
    const record = (length: number) => Buffer.from([22, 3, 1, length >> 8, length & 255])
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n'),
      // A record that is too long, a message that is too long, one that never ends, and one in too many pieces.
      record(16_385),
      Buffer.concat([record(4), Buffer.from([1, 0xff, 0xff, 0xff])]),
      Buffer.concat([record(16_384), Buffer.from([1, 0, 0x70, 0]), Buffer.alloc(16_380)]),
      Buffer.concat(new Array(300).fill(Buffer.concat([record(1), Buffer.from([1])]))),
    ]) {
      assert.equal(await talk(engine.ports.in!, bytes), '')
    }
    const slow = net.connect(engine.ports.in!, '127.0.0.1')
    slow.write(record(100))
    await new Promise((resolve) => slow.on('error', () => {}).on('close', resolve))
    await eventually(() => engine.open() === 0)
    assert.equal(plain.sockets.length, 0)
  })
})

suite('TLS that begins here', () => {
  test('asks by the name of the client, of the upstream, or of the node, and verifies the answer', async (t) => {
    const secure = await secureServer(t)
    const plainListener = listener().replace('protocol: tls', 'protocol: tcp')
    const rewritten = `, scheme: tls, pass_host: rewrite, upstream_host: node.test`
    const named = await engineFor(t, `${plainListener}\nstream_routes: [{ ${to(secure.port, rewritten)} }]`)
    assert.equal(await talk(named.ports.in!, 'hello'), 'secure:hello')
    // By its address, for which it has no certificate.
    const unnamed = await engineFor(
      t,
      `${plainListener}\nstream_routes: [{ ${to(secure.port, ', scheme: tls')} }]`,
    )
    assert.equal(await talk(unnamed.ports.in!, 'hello'), '')
    await eventually(() => unnamed.sessions.length === 1)
    assert.equal(unnamed.sessions[0]!.session!.status, 502)
    const unverified = await engineFor(
      t,
      `${plainListener}\nstream_routes: [{ ${to(secure.port, ', scheme: tls, tls: { verify: false }')} }]`,
    )
    assert.equal(await talk(unverified.ports.in!, 'hello'), 'secure:hello')
    const both = await engineFor(
      t,
      `${listener()}\n${ssl()}\nstream_routes: [{ ${to(secure.port, ', scheme: tls')} }]`,
    )
    assert.equal(await secureTalk(both.ports.in!, 'hello', { servername: 'a.test' }), 'secure:hello')
    assert.deepEqual(secure.names.slice(-2), ['apisix_backend', 'a.test'])
    assert.equal(secure.names[0], 'node.test')
  })

  test('shows the certificate of the upstream', async (t) => {
    const secure = await secureServer(t, {
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: true,
    })
    const { cert, key } = clientCertificate
    const engine = await engineFor(
      t,
      `${listener().replace('protocol: tls', 'protocol: tcp')}
stream_routes:
  - upstream:
      scheme: tls
      pass_host: rewrite
      upstream_host: node.test
      nodes: { "127.0.0.1:${secure.port}": 1 }
      tls:
        client_cert: ${pemBlock(cert, 10)}
        client_key: ${pemBlock(key, 10)}
`,
    )
    assert.equal(await talk(engine.ports.in!, 'hello'), 'secure:hello')
  })
})
