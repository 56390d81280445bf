import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { TimerWheel } from '../timer-wheel.ts'
import { acceptConnections, connect, Wire, type WireOwner } from './wire.ts'

const idle: WireOwner = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {}, onDeadline() {} }

async function listen(t: TestContext, server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as net.AddressInfo).port
}

/** Passes everything that a client sends on to an upstream, with back-pressure, as the engine does. */
async function relay(t: TestContext, upstreamPort: number, fast: boolean) {
  const wheel = new TimerWheel()
  t.after(() => wheel.close())
  const server = net.createServer({ allowHalfOpen: true })
  const wires: Wire[] = []
  const accept = (make: ConstructorParameters<typeof Wire>[2]) => {
    const from = new Wire(idle, wheel, make)
    const to = new Wire(idle, wheel, connect('127.0.0.1', upstreamPort))
    wires.push(from, to)
    from.owner = {
      ...idle,
      onBytes(bytes, length) {
        to.send('<')
        to.sendFrom(from, bytes, 0, length)
        to.send('>')
        to.flush()
        if (to.isFull) from.pause()
      },
      onEnd: () => to.end(),
    }
    to.owner = { ...idle, onDrain: () => from.resume() }
  }
  // Before it listens a server has no handle yet: that is the way of a Node whose internals are not as expected.
  if (!fast) acceptConnections(server, accept)
  const port = await listen(t, server)
  if (fast) acceptConnections(server, accept)
  t.after(() => {
    for (const wire of wires) wire.destroy()
  })
  return { port, wires }
}

/** Reads in fits and starts, so that the kernel's buffers fill up on the way. */
async function readSlowly(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  let taken = 0
  for await (const part of socket) {
    parts.push(part)
    taken += part.length
    if (taken > 1 << 20) {
      taken = 0
      for (let i = 0; i < 20; i++) await turn()
    }
  }
  return Buffer.concat(parts)
}

for (const fast of [true, false]) {
  suite(fast ? 'a wire over an accepted handle' : "a wire over the server's own socket", () => {
    test('large bodies arrive as they were sent, however slowly they are read', async (t) => {
      const upstream = net.createServer({ allowHalfOpen: true })
      const received = once(upstream, 'connection').then(([socket]) => readSlowly(socket))
      const { port } = await relay(t, await listen(t, upstream), fast)

      const sent = randomBytes(24 << 20)
      // No bytes that are used as marks around each read.
      for (let i = 0; i < sent.length; i++) if (sent[i] === 0x3c || sent[i] === 0x3e) sent[i] = 0
      const client = net.connect(port, '127.0.0.1')
      client.end(sent)

      const text = await received
      const content = Buffer.from(text.toString('latin1').replace(/[<>]/g, ''), 'latin1')
      assert.equal(content.length, sent.length)
      assert.equal(sha256(content), sha256(sent))
    })

    test('two wires that read at the same time do not see each other’s bytes', async (t) => {
      const upstream = net.createServer({ allowHalfOpen: true })
      const received: Promise<Buffer>[] = []
      const both = Promise.withResolvers<void>()
      upstream.on('connection', (socket) => {
        received.push(readSlowly(socket))
        if (received.length === 2) both.resolve()
      })
      const { port } = await relay(t, await listen(t, upstream), fast)
      for (const letter of ['a', 'b']) net.connect(port, '127.0.0.1').end(letter.repeat(8 << 20))

      await both.promise
      const texts = (await Promise.all(received)).map((bytes) =>
        bytes.toString('latin1').replace(/[<>]/g, ''),
      )
      assert.deepEqual(texts.map((text) => [...new Set(text)].join('')).sort(), ['a', 'b'])
      assert.deepEqual(
        texts.map((text) => text.length),
        [8 << 20, 8 << 20],
      )
    })
  })
}

test('bytes that wait for one reader stay as they are while the same wire feeds another', async (t) => {
  const wheel = new TimerWheel()
  t.after(() => wheel.close())
  const share = 16 << 20
  const upstream = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
  const port = await listen(t, upstream)
  const receivers: net.Socket[] = []
  upstream.on('connection', (socket) => receivers.push(socket))
  const open = async () => {
    const wire = new Wire(idle, wheel, connect('127.0.0.1', port))
    await once(upstream, 'connection')
    t.after(() => wire.destroy())
    return wire
  }
  const [slow, quick] = [await open(), await open()]

  const server = net.createServer({ allowHalfOpen: true })
  const sourcePort = await listen(t, server)
  acceptConnections(server, (make) => {
    const from = new Wire(idle, wheel, make)
    t.after(() => from.destroy())
    let seen = 0
    from.owner = {
      ...idle,
      onBytes(bytes, length) {
        const first = Math.min(length, Math.max(0, share - seen))
        seen += length
        // The slow reader gets its share at once, whatever it has taken; the quick one is waited for.
        if (first > 0) slow.sendFrom(from, bytes, 0, first)
        if (first < length) quick.sendFrom(from, bytes, first, length)
        slow.flush()
        quick.flush()
        if (seen > share && quick.isFull) from.pause()
      },
      onEnd() {
        slow.end()
        quick.end()
      },
    }
    quick.owner = { ...idle, onDrain: () => from.resume() }
  })

  const sent = randomBytes(2 * share)
  net.connect(sourcePort, '127.0.0.1').end(sent)
  const [slowReceiver, quickReceiver] = receivers as [net.Socket, net.Socket]
  assert.equal(sha256(await readSlowly(quickReceiver)), sha256(sent.subarray(share)))
  assert.equal(sha256(await readSlowly(slowReceiver)), sha256(sent.subarray(0, share)))
})

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
