/** WebSockets through the gateway, with the client of Node.js and a server that echoes: limits, silence, and the end of the gateway. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { eventually, startStreams } from '../harness/stream-engine.ts'

/** Sends the payload of every frame back, in frames of a server; short ones only. */
async function echoServer(t: TestContext) {
  const sockets: Socket[] = []
  const closes: number[] = []
  const server = http.createServer()
  server.on('upgrade', ({ headers }, stream) => {
    const socket = stream as Socket
    sockets.push(socket)
    const accept = createHash('sha1')
      .update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    let pending = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      pending = Buffer.concat([pending, bytes])
      while (pending.length >= 6 && pending.length >= 6 + (pending[1]! & 127)) {
        const length = pending[1]! & 127
        const payload = Buffer.from(pending.subarray(6, 6 + length))
        for (let at = 0; at < length; at++) payload[at]! ^= pending[2 + (at % 4)]!
        if ((pending[0]! & 15) === 8) closes.push(payload.readUInt16BE(0))
        else socket.write(Buffer.concat([Buffer.of(pending[0]!, length), payload]))
        pending = pending.subarray(6 + length)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { port: (server.address() as AddressInfo).port, sockets, closes }
}

async function connected(t: TestContext, limits: string, timeout = '') {
  const server = await echoServer(t)
  const engine = await startStreams(`
gateway: { listeners: [{ name: web, host: 127.0.0.1, port: 0 }], limits: { ${limits} } }
routes: [{ id: ws, uri: /*, enable_websocket: true, upstream: { ${timeout} nodes: { "127.0.0.1:${server.port}": 1 } } }]
`)
  t.after(() => engine.close())
  const client = new WebSocket(`ws://127.0.0.1:${engine.ports.web}/chat`)
  const seen: string[] = []
  const closed: CloseEvent[] = []
  client.addEventListener('message', ({ data }) => seen.push(String(data)))
  client.addEventListener('close', (event) => closed.push(event))
  await once(client, 'open')
  return { server, engine, client, seen, closed }
}

suite('a WebSocket', () => {
  test('carries messages both ways, whatever their size, where there are no limits', async (t) => {
    const { client, seen } = await connected(t, '')
    for (const text of ['a', '', 'x'.repeat(120)]) client.send(text)
    await eventually(() => seen.length === 3)
    assert.deepEqual(seen, ['a', '', 'x'.repeat(120)])
    client.close()
  })

  test('is closed with 1009 for a message that is too large, which its server never sees', async (t) => {
    const { client, seen, closed, server } = await connected(t, 'websocket_message: 100')
    client.send('x'.repeat(100))
    await eventually(() => seen.length === 1)
    client.send('x'.repeat(101))
    await eventually(() => closed.length === 1)
    assert.equal(closed[0]!.code, 1009)
    await eventually(() => server.closes.length === 1)
    assert.deepEqual(server.closes, [1009])
    assert.equal(seen.length, 1)
  })

  test('is closed with 1008 for more messages of a second than there may be', async (t) => {
    const { client, closed, seen } = await connected(t, 'websocket_rate: 3')
    for (let i = 0; i < 4; i++) client.send(String(i))
    await eventually(() => closed.length === 1)
    assert.equal(closed[0]!.code, 1008)
    assert.ok(seen.length <= 3)
  })

  test('is told with 1001 when the gateway goes, as is its server', async (t) => {
    const { client, closed, seen, server, engine } = await connected(t, '')
    client.send('hello')
    await eventually(() => seen.length === 1)
    const drained = engine.worker.drain()
    await eventually(() => closed.length === 1)
    assert.equal(closed[0]!.code, 1001)
    await eventually(() => server.closes.length === 1)
    assert.deepEqual(server.closes, [1001])
    for (const socket of server.sockets) socket.end()
    await drained
  })

  test('that is silent for as long as its upstream may be is closed', async (t) => {
    const { closed } = await connected(t, '', 'timeout: { connect: 1, send: 1, read: 0.2 },')
    await eventually(() => closed.length === 1)
    assert.equal(closed[0]!.code, 1006)
  })
})
