/** UDP sessions over real sockets: datagrams of one client reach one endpoint, and its answers come back to that client. */
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { suite, type TestContext, test } from 'node:test'
import { eventually, startStreams } from '../harness/stream-engine.ts'

interface Datagrams {
  port: number
  /** Text and sender of each, in order. */
  seen: { text: string; port: number }[]
}

/** Answers like a server of names: with what it was asked, and its own name. */
async function server(t: TestContext, name: string): Promise<Datagrams> {
  const socket = dgram.createSocket('udp4')
  const seen: Datagrams['seen'] = []
  socket.on('message', (bytes, from) => {
    seen.push({ text: bytes.toString(), port: from.port })
    socket.send(`${name}:${bytes}`, from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { port: socket.address().port, seen }
}

function client(t: TestContext, port: number) {
  const socket = dgram.createSocket('udp4')
  const answers: string[] = []
  socket.on('message', (bytes) => answers.push(bytes.toString()))
  t.after(() => socket.close())
  return { answers, send: (text: string | Buffer) => socket.send(text, port, '127.0.0.1') }
}

const gateway = (settings = '') =>
  `gateway: { listeners: [{ name: in, protocol: udp, host: 127.0.0.1, port: 0 }] ${settings} }`

async function engineFor(t: TestContext, yaml: string, policy = {}) {
  const engine = await startStreams(yaml, policy)
  t.after(() => engine.close())
  return engine
}

suite('a UDP session', () => {
  test('belongs to one client and one endpoint; another client has another', async (t) => {
    const [a, b] = [await server(t, 'a'), await server(t, 'b')]
    const engine = await engineFor(
      t,
      `${gateway()}
stream_routes: [{ id: dns, upstream: { scheme: udp, nodes: { "127.0.0.1:${a.port}": 1, "127.0.0.1:${b.port}": 1 } } }]`,
    )
    const [first, second] = [client(t, engine.ports.in!), client(t, engine.ports.in!)]
    first.send('1')
    first.send('2')
    await eventually(() => first.answers.length === 2)
    second.send('3')
    await eventually(() => second.answers.length === 1)
    const [one] = first.answers[0]!
    assert.deepEqual(first.answers, [`${one}:1`, `${one}:2`])
    assert.deepEqual(second.answers, [one === 'a' ? 'b:3' : 'a:3'])
    assert.equal(new Set((one === 'a' ? a : b).seen.map(({ port }) => port)).size, 1)
    assert.equal(engine.open(), 2)
  })

  test('carries empty datagrams and large ones whole', async (t) => {
    const a = await server(t, '')
    const engine = await engineFor(
      t,
      `${gateway()}\nstream_routes: [{ upstream: { nodes: { "127.0.0.1:${a.port}": 1 } } }]`,
    )
    const one = client(t, engine.ports.in!)
    const large = 'x'.repeat(60_000)
    one.send('')
    one.send(large)
    await eventually(() => one.answers.length === 2)
    assert.deepEqual(one.answers, [':', `:${large}`])
  })

  test('is over when it was silent for long enough, and its bytes are told', async (t) => {
    const a = await server(t, 'a')
    const engine = await engineFor(
      t,
      `${gateway(', timeouts: { datagrams: 60ms }')}\nstream_routes: [{ upstream: { nodes: { "127.0.0.1:${a.port}": 1 } } }]`,
    )
    const one = client(t, engine.ports.in!)
    one.send('12345')
    await eventually(() => engine.sessions.length === 1)
    const { session, outcome, upstream } = engine.sessions[0]!
    assert.deepEqual(
      [session!.protocol, session!.status, session!.received, session!.sent, outcome],
      ['UDP', 200, 5, 7, 'complete'],
    )
    assert.equal(upstream!.addresses, `127.0.0.1:${a.port}`)
    assert.equal(engine.open(), 0)
    one.send('again')
    await eventually(() => one.answers.length === 2)
  })

  test('does not begin where there are as many as there may be, and what no route takes leaves no trace', async (t) => {
    const a = await server(t, 'a')
    const engine = await engineFor(
      t,
      `${gateway(', limits: { datagram_sessions: 1 }')}
stream_routes: [{ remote_addr: 127.0.0.1, upstream: { nodes: { "127.0.0.1:${a.port}": 1 } } }]`,
    )
    const [first, second] = [client(t, engine.ports.in!), client(t, engine.ports.in!)]
    first.send('1')
    await eventually(() => first.answers.length === 1)
    second.send('2')
    first.send('3')
    await eventually(() => first.answers.length === 2)
    assert.deepEqual(
      a.seen.map(({ text }) => text),
      ['1', '3'],
    )
    await engine.change(gateway(', limits: { datagram_sessions: 1 }'))
    second.send('4')
    first.send('5')
    await eventually(() => first.answers.length === 3)
    assert.equal(engine.open(), 1)
  })

  test('that a policy refuses sends nothing, and costs one decision', async (t) => {
    const a = await server(t, 'a')
    let asked = 0
    const engine = await engineFor(
      t,
      `${gateway(', timeouts: { datagrams: 100ms }')}\nstream_routes: [{ upstream: { nodes: { "127.0.0.1:${a.port}": 1 } } }]`,
      {
        async request() {
          asked++
          return { status: 403 }
        },
      },
    )
    const one = client(t, engine.ports.in!)
    for (let i = 0; i < 5; i++) one.send('x')
    await eventually(() => engine.sessions.length === 1)
    assert.equal(asked, 1)
    assert.equal(engine.sessions[0]!.session!.status, 403)
    assert.deepEqual(a.seen, [])
  })

  test('to an endpoint where nobody listens ends with 502', async (t) => {
    const gone = dgram.createSocket('udp4')
    gone.bind(0, '127.0.0.1')
    await once(gone, 'listening')
    const { port } = gone.address()
    gone.close()
    const engine = await engineFor(
      t,
      `${gateway()}\nstream_routes: [{ upstream: { retries: 0, nodes: { "127.0.0.1:${port}": 1 } } }]`,
    )
    const one = client(t, engine.ports.in!)
    await eventually(() => {
      one.send('x')
      return engine.sessions.length > 0
    })
    assert.equal(engine.sessions[0]!.session!.status, 502)
    assert.ok(engine.counters.get('upstream_connect_failures') > 0)
  })
})
