/** What costs a server more than its client: each ends the connection of the one that does it, and nobody else's. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineCounterName } from '../../src/telemetry/engine-counters.ts'
import { type RunningEngine, startEngine } from '../harness/engine.ts'
import {
  block,
  FrameClient,
  flag,
  frame,
  frameType,
  get,
  headers,
  text,
  uint32,
} from '../harness/http2-frames.ts'
import { originAnswer, ScriptedUpstream } from '../harness/scripted-upstream.ts'

const upstream = new ScriptedUpstream()
let engine: RunningEngine

before(async () => {
  await upstream.listen()
  engine = await startEngine({
    upstreamPort: upstream.port,
    policies: [],
    settings: 'timeouts: { write_stall: 400ms, body_idle: 400ms, header: 400ms, keepalive: 400ms }',
  })
})
after(async () => {
  engine.close()
  await upstream.close()
})

/** A client that behaves. */
async function assertOthersAreServed(): Promise<void> {
  const session = http2.connect(`http://127.0.0.1:${engine.port}`)
  const stream = session.request({ ':path': '/other' })
  const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  stream.resume()
  await once(stream, 'close')
  session.close()
  assert.equal(fields[':status'], 200)
}

const piled = (frames: Buffer, bytes = 64 * 1024) =>
  Buffer.concat(Array.from({ length: Math.ceil(bytes / frames.length) }, () => frames))

/** Far more than anybody would send; a server that takes all of it does not end it. */
const times = 1000

async function assertExpelled(
  client: FrameClient,
  bytes: Buffer,
  counter: EngineCounterName | null,
): Promise<void> {
  const before = counter === null ? 0 : engine.counts.get(counter)
  assert.equal(await client.flood(bytes, times), true, 'the flood was taken')
  if (counter !== null) assert.ok(engine.counts.get(counter) > before, counter)
  client.close()
  await assertOthersAreServed()
}

suite('frames that are no part of a request', () => {
  const floods: Record<string, Buffer> = {
    PING: frame(frameType.ping, 0, 0, Buffer.alloc(8)),
    SETTINGS: frame(frameType.settings, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(65535)])),
    'empty SETTINGS': frame(frameType.settings, 0, 0),
    PRIORITY: frame(frameType.priority, 0, 1, Buffer.of(0, 0, 0, 3, 1)),
    'WINDOW_UPDATE by zero': frame(frameType.windowUpdate, 0, 0, uint32(0)),
    'frames that nobody knows': frame(0xbe, 0, 0, Buffer.alloc(16)),
  }
  for (const [name, bytes] of Object.entries(floods)) {
    test(name, async () => assertExpelled(await FrameClient.connect(engine.port), piled(bytes), null))
  }

  test('WINDOW_UPDATE by one', async () => {
    const client = await FrameClient.connect(engine.port)
    await assertExpelled(client, piled(frame(frameType.windowUpdate, 0, 0, uint32(1))), 'http2_floods')
  })

  test('empty DATA', async () => {
    const client = await FrameClient.connect(engine.port)
    client.send(headers(1, [[':method', 'POST'], ...get('/x').slice(1)], 0))
    await assertExpelled(client, piled(frame(frameType.data, 0, 1)), null)
  })

  test('an error of the connection that comes in one read with a request', async () => {
    const request = headers(1, [[':method', 'POST'], ...get('/x').slice(1)], 0)
    for (const rest of [
      piled(frame(frameType.data, 0, 1)),
      frame(frameType.data, 0, 0, Buffer.from('a')),
      frame(frameType.ping, 0, 0, Buffer.alloc(3)),
      headers(2, get('/even')),
    ]) {
      const later = await FrameClient.connect(engine.port)
      later.send(request, rest)
      for (const client of [later, await FrameClient.begin(engine.port, request, rest)]) {
        await client.until(() => client.isClosed)
        assert.equal(client.isClosed, true)
      }
      await assertOthersAreServed()
    }
  })

  test('what a client of a download sends is within its allowance', async () => {
    const body = Buffer.alloc(32 * 1024 * 1024, 'a')
    await upstream.reset({ onRequest: (_request, connection) => connection.send(originAnswer(200, body)) })
    const session = http2.connect(`http://127.0.0.1:${engine.port}`)
    const stream = session.request({ ':path': '/large' })
    let received = 0
    for await (const chunk of stream) received += (chunk as Buffer).length
    assert.equal(received, body.length)
    session.close()
    await upstream.reset()
  })
})

suite('streams that end early', () => {
  test('reset by the client', async () => {
    const client = await FrameClient.connect(engine.port)
    const pieces: Buffer[] = []
    for (let id = 1; id < 4000; id += 2)
      pieces.push(headers(id, get('/reset')), frame(frameType.rstStream, 0, id, uint32(8)))
    client.send(...pieces)
    await client.until(() => client.isClosed)
    assert.equal(client.isClosed, true)
    assert.ok(upstream.requests.filter(({ target }) => target === '/reset').length <= 300)
    await assertOthersAreServed()
  })

  test('reset by the client one after the other', async () => {
    const before = engine.counts.get('http2_excess_resets')
    await upstream.reset({ onRequest: () => {} })
    const client = await FrameClient.connect(engine.port)
    for (let id = 1; id < 4000 && !client.isClosed; id += 2) {
      client.send(headers(id, get('/reset')))
      await sleep(1)
      client.send(frame(frameType.rstStream, 0, id, uint32(8)))
    }
    assert.equal(client.isClosed, true)
    assert.equal(engine.counts.get('http2_excess_resets'), before + 1)
    await upstream.reset()
    await assertOthersAreServed()
  })

  test('that the server is made to reset', async () => {
    await upstream.reset({ onRequest: () => {} })
    const client = await FrameClient.connect(engine.port)
    for (let id = 1; id < 4000 && !client.isClosed; id += 2) {
      client.send(headers(id, get('/made')))
      await sleep(1)
      // An increment of zero is an error of the stream (RFC 9113 6.9).
      client.send(frame(frameType.windowUpdate, 0, id, uint32(0)))
    }
    assert.equal(client.isClosed, true)
    await upstream.reset()
    await assertOthersAreServed()
  })

  test('more at once than are allowed are refused, and cost nobody anything', async () => {
    await upstream.reset({ onRequest: () => {} })
    const client = await FrameClient.connect(engine.port)
    for (let id = 1; id < 2 * 150; id += 2) client.send(headers(id, get('/many')))
    await client.until(() => client.frames.filter(({ type }) => type === frameType.rstStream).length >= 50)
    const refused = client.frames.filter(({ type }) => type === frameType.rstStream)
    assert.ok(refused.every(({ payload }) => payload.readUInt32BE(0) === 7))
    assert.ok(upstream.requests.filter(({ target }) => target === '/many').length <= 100)
    client.close()
    await upstream.reset()
  })
})

suite('heads', () => {
  test('a head that does not end in CONTINUATION', async () => {
    const client = await FrameClient.connect(engine.port)
    client.send(frame(frameType.headers, flag.endStream, 1, block(get('/x'))))
    await assertExpelled(client, frame(frameType.continuation, 0, 1, Buffer.alloc(0)), null)
  })

  test('a head of a megabyte', async () => {
    const client = await FrameClient.connect(engine.port)
    client.send(frame(frameType.headers, flag.endStream, 1, block(get('/x'))))
    const piece = block([['x-a', 'v'.repeat(16000)]])
    await assertExpelled(client, frame(frameType.continuation, 0, 1, piece), null)
  })

  test('a head whose few bytes stand for many', async () => {
    await upstream.reset()
    const client = await FrameClient.connect(engine.port)
    // A value of 3 KiB enters the table once, and is named again in one byte each.
    const entry = Buffer.concat([Buffer.of(0x40), text('x-bomb'), text('v'.repeat(3000))])
    const bomb = Buffer.concat([block(get('/bomb')), entry, Buffer.alloc(4000, 0xbe)])
    client.send(frame(frameType.headers, flag.endStream | flag.endHeaders, 1, bomb))
    await client.until(() => client.outcome(1).reset !== undefined || client.outcome(1).ended)
    const { status, reset } = client.outcome(1)
    assert.ok(client.isClosed || reset !== undefined || status === 431)
    assert.deepEqual(upstream.requests, [])
    client.close()
    await assertOthersAreServed()
  })

  test('more fields than are allowed are answered with 431', async () => {
    const client = await FrameClient.connect(engine.port)
    const many = Array.from({ length: 120 }, (_, index) => [`x-${index}`, 'v'] as const)
    client.send(headers(1, get('/x', ...many)))
    await client.until(() => client.outcome(1).ended)
    assert.equal(client.outcome(1).status, 431)
    client.close()
  })
})

suite('clients that wait', () => {
  test('one that opens no window is let go, stream by stream', async () => {
    const before = engine.counts.get('write_stalls')
    await upstream.reset({
      onRequest: (_request, connection) => connection.send(originAnswer(200, 'a'.repeat(300_000))),
    })
    const initialWindowSize = 4
    const client = await FrameClient.connect(engine.port, [[initialWindowSize, 0]])
    client.send(headers(1, get('/held')))
    await client.until(() => client.outcome(1).reset !== undefined)
    assert.equal(client.outcome(1).reset, 8)
    assert.ok(engine.counts.get('write_stalls') > before)
    client.close()
    await upstream.reset()
  })

  test('one that sends no more of a body is told', async () => {
    const client = await FrameClient.connect(engine.port)
    client.send(headers(1, [[':method', 'POST'], ...get('/slow').slice(1)], 0))
    client.send(frame(frameType.data, 0, 1, Buffer.from('abc')))
    await client.until(() => client.outcome(1).ended)
    assert.equal(client.outcome(1).status, 408)
    client.close()
  })

  test('one that says nothing more is let go', async () => {
    const client = await FrameClient.connect(engine.port)
    await client.until(() => client.isClosed)
    assert.equal(client.goaway, 0)
    const served = await FrameClient.connect(engine.port)
    served.send(headers(1, get('/once')))
    await served.until(() => served.isClosed)
    assert.equal(served.outcome(1).status, 200)
    assert.equal(served.goaway, 0)
  })
})

suite('a listener with limits of its own', () => {
  let strict: RunningEngine
  before(async () => {
    strict = await startEngine({
      upstreamPort: upstream.port,
      policies: [],
      listener:
        'http2_limits: { streams: 3, resets: 5, resets_per_second: 1, overhead: 1KiB, overhead_per_second: 1 }',
    })
    await upstream.reset({ onRequest: () => {} })
  })
  after(() => strict.close())

  test('refuses requests beyond those that there may be at once', async () => {
    const client = await FrameClient.connect(strict.port)
    for (let id = 1; id <= 9; id += 2) client.send(headers(id, get('/limited')))
    await client.until(() => client.outcome(9).reset !== undefined)
    // nghttp2 ends the connection of a client that has acknowledged the limit (RFC 9113 5.1.2 lets it refuse the request).
    assert.ok(client.isClosed || client.outcome(9).reset === 7)
    assert.ok(upstream.requests.filter(({ target }) => target === '/limited').length <= 3)
    client.close()
  })

  test('ends a connection whose requests end early', async () => {
    const client = await FrameClient.connect(strict.port)
    for (let id = 1; id < 40 && !client.isClosed; id += 2) {
      client.send(headers(id, get('/limited')))
      await sleep(1)
      client.send(frame(frameType.rstStream, 0, id, uint32(8)))
    }
    await client.until(() => client.isClosed)
    assert.equal(client.isClosed, true)
  })

  test('ends a connection with more than its bytes beside requests', async () => {
    const client = await FrameClient.connect(strict.port)
    assert.equal(await client.flood(piled(frame(frameType.windowUpdate, 0, 0, uint32(1)), 2048), 10), true)
  })
})
