/** TCP sessions over real sockets: what a client sends reaches the endpoint, and the other way round, byte for byte. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { eventually, startStreams, talk, tcpServer } from '../harness/stream-engine.ts'

const gateway = (settings = '') =>
  `gateway: { listeners: [{ name: in, protocol: tcp, host: 127.0.0.1, port: 0 }] ${settings} }`

/** Says its name, and then everything back. */
async function named(t: TestContext, name: string) {
  const server = await tcpServer((socket) => {
    socket.write(`${name}:`)
    socket.pipe(socket)
  })
  t.after(() => server.close())
  return server
}

async function engineFor(t: TestContext, yaml: string, policy = {}) {
  const engine = await startStreams(yaml, policy)
  t.after(() => engine.close())
  return engine
}

suite('a TCP session', () => {
  test('carries bytes both ways, and either side may end its half first', async (t) => {
    const echo = await named(t, 'a')
    const engine = await engineFor(
      t,
      `${gateway()}\nstream_routes: [{ id: r, upstream: { nodes: { "127.0.0.1:${echo.port}": 1 } } }]`,
    )
    assert.equal(await talk(engine.ports.in!, 'hello'), 'a:hello')
    await eventually(() => engine.sessions.length === 1)
    const [{ session, upstream, outcome, client, binding }] = engine.sessions as [(typeof engine.sessions)[0]]
    assert.deepEqual(
      [session!.protocol, session!.status, session!.received, session!.sent, outcome],
      ['TCP', 200, 5, 7, 'complete'],
    )
    assert.deepEqual([session!.upstreamSent, session!.upstreamReceived], [5, 7])
    assert.equal(upstream!.addresses, `127.0.0.1:${echo.port}`)
    assert.equal(client.address, '127.0.0.1')
    assert.equal(binding!.routeId, 'r')
    await eventually(() => engine.open() === 0)
  })

  test('carries what a server says before its client says anything', async (t) => {
    const server = await tcpServer((socket) => socket.end('220 ready\r\n'))
    t.after(() => server.close())
    const engine = await engineFor(
      t,
      `${gateway()}\nstream_routes: [{ upstream: { nodes: { "127.0.0.1:${server.port}": 1 } } }]`,
    )
    const client = net.connect(engine.ports.in!, '127.0.0.1')
    let greeting = ''
    for await (const bytes of client) greeting += bytes
    assert.equal(greeting, '220 ready\r\n')
  })

  test('holds no more than its buffers when one side does not read', async (t) => {
    let upstream: net.Socket | undefined
    const server = await tcpServer((socket) => {
      upstream = socket.pause()
    })
    t.after(() => server.close())
    const engine = await engineFor(
      t,
      `${gateway()}\nstream_routes: [{ upstream: { nodes: { "127.0.0.1:${server.port}": 1 } } }]`,
    )
    const piece = randomBytes(1024 * 1024)
    const client = net.connect(engine.ports.in!, '127.0.0.1')
    t.after(() => client.destroy())
    const pieces = 48
    let taken = 0
    for (let i = 0; i < pieces; i++) client.write(piece, () => taken++)
    client.end()
    await eventually(() => upstream !== undefined)
    let before = -1
    for (let looks = 0; looks < 10; looks = before === taken ? looks + 1 : 0) {
      before = taken
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.ok(taken < pieces / 2, 'most of it is still with the client')
    const received: Buffer[] = []
    upstream!.on('data', (bytes: Buffer) => received.push(bytes)).resume()
    await once(upstream!, 'end')
    assert.ok(Buffer.concat(received).equals(Buffer.concat(new Array(pieces).fill(piece))))
  })

  test('that no route takes is closed without a byte', async (t) => {
    const engine = await engineFor(
      t,
      `${gateway()}\nstream_routes: [{ server_port: 1, upstream: { nodes: { "127.0.0.1:1": 1 } } }]`,
    )
    assert.equal(await talk(engine.ports.in!, ''), '')
    await eventually(() => engine.open() === 0)
    assert.deepEqual(engine.sessions, [])
  })

  test('goes to the next endpoint when one cannot be connected to, and tells both', async (t) => {
    const echo = await named(t, 'b')
    const dead = await tcpServer(() => {})
    dead.close()
    const engine = await engineFor(
      t,
      `${gateway()}
stream_routes:
  - upstream:
      nodes: [{ host: 127.0.0.1, port: ${dead.port}, weight: 1, priority: 1 }, { host: 127.0.0.1, port: ${echo.port}, weight: 1 }]
`,
    )
    assert.equal(await talk(engine.ports.in!, 'x'), 'b:x')
    await eventually(() => engine.sessions.length === 1)
    const { upstream } = engine.sessions[0]!
    assert.equal(upstream!.addresses, `127.0.0.1:${dead.port}, 127.0.0.1:${echo.port}`)
    assert.equal(engine.counters.get('upstream_connect_failures'), 1)
    assert.equal(engine.counters.get('upstream_retries'), 1)
  })

  test('is closed when no endpoint can be connected to, with status 502', async (t) => {
    const dead = await tcpServer(() => {})
    dead.close()
    const engine = await engineFor(
      t,
      `${gateway()}\nstream_routes: [{ upstream: { nodes: { "127.0.0.1:${dead.port}": 1 } } }]`,
    )
    assert.equal(await talk(engine.ports.in!, 'x'), '')
    await eventually(() => engine.sessions.length === 1)
    assert.equal(engine.sessions[0]!.session!.status, 502)
    assert.equal(engine.sessions[0]!.errorCode, 'upstream_connect_failed')
    assert.equal(engine.warnings.length, 1)
  })

  test('that is silent for too long is closed, and one that is not goes on', async (t) => {
    const echo = await named(t, 'c')
    const engine = await engineFor(
      t,
      `${gateway()}
stream_routes: [{ upstream: { timeout: { connect: 1, send: 0.2, read: 0.1 }, nodes: { "127.0.0.1:${echo.port}": 1 } } }]`,
    )
    const client = net.connect(engine.ports.in!, '127.0.0.1')
    client.on('data', () => {})
    await once(client, 'close')
    await eventually(() => engine.sessions.length === 1)
    assert.equal(engine.sessions[0]!.session!.status, 200)
  })

  test('ends with its endpoint, and with its client', async (t) => {
    const server = await tcpServer((socket) => socket.once('data', () => socket.destroy()))
    t.after(() => server.close())
    const engine = await engineFor(
      t,
      `${gateway()}\nstream_routes: [{ upstream: { nodes: { "127.0.0.1:${server.port}": 1 } } }]`,
    )
    const client = net.connect(engine.ports.in!, '127.0.0.1')
    client.write('x')
    client.resume()
    await once(client, 'close')
    const other = net.connect(engine.ports.in!, '127.0.0.1')
    await eventually(() => server.sockets.length === 2)
    const [, last] = server.sockets as [net.Socket, net.Socket]
    last.resume()
    other.resetAndDestroy()
    // Half a message does not pass for a whole one.
    await assert.rejects(once(last, 'close'), { code: 'ECONNRESET' })
    await eventually(() => engine.sessions.length === 2 && engine.open() === 0)
  })

  test('that a policy refuses reaches no endpoint, and what a policy chose is where it goes', async (t) => {
    const echo = await named(t, 'd')
    const other = await named(t, 'e')
    let verdict: { status: number } | undefined = { status: 503 }
    const engine = await engineFor(
      t,
      `${gateway()}
upstreams: [{ id: other, nodes: { "127.0.0.1:${other.port}": 1 } }]
stream_routes: [{ upstream: { nodes: { "127.0.0.1:${echo.port}": 1 } } }]`,
      {
        async request(session: { sendTo(upstream: object): void }) {
          session.sendTo({ key: 'upstream:other', exists: true, isUp: true, origin: undefined })
          return verdict
        },
      },
    )
    assert.equal(await talk(engine.ports.in!, 'x'), '')
    await eventually(() => engine.sessions.length === 1)
    assert.deepEqual([engine.sessions[0]!.session!.status, engine.sessions[0]!.rejectedBy], [503, 'probe'])
    verdict = undefined
    assert.equal(await talk(engine.ports.in!, 'x'), 'e:x')
    assert.equal(echo.sockets.length, 0)
  })

  test('keeps its way when its route goes, and is not the concern of the next one', async (t) => {
    const first = await named(t, 'f')
    const second = await named(t, 'g')
    const route = (port: number) =>
      `${gateway()}\nstream_routes: [{ id: r, upstream: { nodes: { "127.0.0.1:${port}": 1 } } }]`
    const engine = await engineFor(t, route(first.port))
    const client = net.connect(engine.ports.in!, '127.0.0.1')
    let seen = ''
    client.on('data', (bytes) => {
      seen += bytes
    })
    await eventually(() => seen === 'f:')
    await engine.change(route(second.port))
    assert.equal(await talk(engine.ports.in!, 'new'), 'g:new')
    client.write('old')
    await eventually(() => seen === 'f:old')
    await engine.change(`${gateway()}`)
    assert.equal(await talk(engine.ports.in!, ''), '')
    client.end('!')
    await once(client, 'close')
    assert.equal(seen, 'f:old!')
  })

  test('counts as a connection, of which there are no more than there may be', async (t) => {
    const echo = await named(t, 'h')
    const engine = await engineFor(
      t,
      `${gateway(', limits: { connections: 1 }')}\nstream_routes: [{ upstream: { nodes: { "127.0.0.1:${echo.port}": 1 } } }]`,
    )
    const client = net.connect(engine.ports.in!, '127.0.0.1')
    await once(client, 'data')
    assert.equal(await talk(engine.ports.in!, 'x'), '')
    client.destroy()
    await eventually(() => engine.open() === 0)
    assert.equal(await talk(engine.ports.in!, 'x'), 'h:x')
  })
})

suite('stream routes', () => {
  test('fit by port, local address and client address; the first that fits takes the session', async (t) => {
    const [a, b, c] = [await named(t, 'a'), await named(t, 'b'), await named(t, 'c')]
    const to = (server: { port: number }) => `upstream: { nodes: { "127.0.0.1:${server.port}": 1 } }`
    const engine = await engineFor(
      t,
      `
gateway: { listeners: [{ name: in, protocol: tcp, host: 0.0.0.0, port: 0 }] }
stream_routes:
  - { id: 1, remote_addr: 127.0.0.2, ${to(a)} }
  - { id: 2, server_addr: 127.0.0.0/30, remote_addr: 10.0.0.0/8, ${to(a)} }
  - { id: 3, server_addr: 127.0.0.3, ${to(b)} }
  - { id: 4, sni: a.test, ${to(a)} }
  - { id: 5, ${to(c)} }
  - { id: 6, ${to(a)} }
`,
    )
    assert.equal(await talk(engine.ports.in!, '', '127.0.0.3'), 'b:')
    assert.equal(await talk(engine.ports.in!, '', '127.0.0.1'), 'c:')
  })

  test('that belong to another one, or to a service that is switched off, take no session', async (t) => {
    const a = await named(t, 'a')
    const to = `upstream: { nodes: { "127.0.0.1:${a.port}": 1 } }`
    const engine = await engineFor(
      t,
      `${gateway()}
services: [{ id: off, status: 0, ${to} }, { id: on, name: shop, ${to} }]
stream_routes:
  - { id: sub, protocol: { name: redis, superior_id: 9 }, upstream: { nodes: { "127.0.0.1:1": 1 } } }
  - { id: off, service_id: off }
  - { id: on, service_id: on }
`,
    )
    assert.equal(await talk(engine.ports.in!, 'x'), 'a:x')
    await eventually(() => engine.sessions.length === 1)
    assert.deepEqual(
      [engine.sessions[0]!.binding!.routeId, engine.sessions[0]!.binding!.serviceName],
      ['on', 'shop'],
    )
  })
})
