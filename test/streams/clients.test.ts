/** Real clients of other protocols through TCP and UDP listeners: Redis, PostgreSQL, DNS. */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { Resolver } from 'node:dns/promises'
import type net from 'node:net'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { startDnsServer } from '../harness/dns-server.ts'
import { RedisServer, withoutRedis } from '../harness/redis-server.ts'
import { startStreams, tcpServer } from '../harness/stream-engine.ts'

const run = promisify(execFile)

const engineFor = (protocol: 'tcp' | 'udp', port: number) =>
  startStreams(`
gateway: { listeners: [{ name: in, protocol: ${protocol}, host: 127.0.0.1, port: 0 }] }
stream_routes: [{ id: r, upstream: { scheme: ${protocol}, nodes: { "127.0.0.1:${port}": 1 } } }]
`)

suite('Redis', { skip: withoutRedis }, () => {
  test('commands, pipelines, large values and subscriptions', async (t) => {
    const server = await RedisServer.start()
    t.after(() => server.stop())
    const engine = await engineFor('tcp', server.port)
    t.after(() => engine.close())
    const clients = [1, 2].map(() => new Redis({ port: engine.ports.in!, host: '127.0.0.1' }))
    t.after(() => {
      for (const client of clients) client.disconnect()
    })
    const [client, listener] = clients as [Redis, Redis]
    const large = 'v'.repeat(3_000_000)
    assert.equal(await client.set('large', large), 'OK')
    assert.equal(await client.get('large'), large)
    const pipeline = client.pipeline()
    for (let n = 0; n < 1000; n++) pipeline.incr('count')
    const answers = await pipeline.exec()
    assert.deepEqual(answers?.at(-1), [null, 1000])
    await listener.subscribe('news')
    const heard = new Promise((resolve) => listener.once('message', (_, text) => resolve(text)))
    await client.publish('news', 'hello')
    assert.equal(await heard, 'hello')
  })
})

suite('PostgreSQL', { skip: isInstalled('psql') ? false : 'psql is not installed' }, () => {
  test('psql asks, and is answered with its own words', async (t) => {
    const server = await tcpServer(answerQueries)
    t.after(() => server.close())
    const engine = await engineFor('tcp', server.port)
    t.after(() => engine.close())
    const address = `host=127.0.0.1 port=${engine.ports.in} user=anybody dbname=any connect_timeout=10`
    const { stdout } = await run('psql', ['-X', '-A', '-t', '-c', "select 'hello'", address])
    assert.equal(stdout, "select 'hello'\n")
  })
})

suite('DNS', () => {
  test('a resolver finds what its server knows', async (t) => {
    const server = await startDnsServer(t, { 'one.test': { a: ['192.0.2.1', '192.0.2.2'] } })
    const engine = await engineFor('udp', Number(server.address.split(':')[1]))
    t.after(() => engine.close())
    const resolver = new Resolver({ timeout: 5000, tries: 2 })
    resolver.setServers([`127.0.0.1:${engine.ports.in}`])
    assert.deepEqual((await resolver.resolve4('one.test')).sort(), ['192.0.2.1', '192.0.2.2'])
    await assert.rejects(resolver.resolve4('none.test'), { code: 'ENOTFOUND' })
  })
})

/** Enough of PostgreSQL's protocol (version 3, "Message Flow") for a simple query, whose text is the answer. */
function answerQueries(socket: net.Socket): void {
  let pending = Buffer.alloc(0)
  let isStarted = false
  socket.on('end', () => socket.end())
  socket.on('data', (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes])
    for (;;) {
      const from = isStarted ? 1 : 0
      if (pending.length < from + 4) return
      const length = from + pending.readInt32BE(from)
      if (pending.length < length) return
      const body = pending.subarray(from + 4, length)
      const type = isStarted ? String.fromCharCode(pending[0]!) : ''
      pending = pending.subarray(length)
      // A question whether TLS, or GSSAPI, is spoken.
      if (!isStarted && body.length === 4) socket.write('N')
      else if (!isStarted) {
        isStarted = true
        socket.write(Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]))
      } else if (type === 'Q') socket.write(answerTo(body.subarray(0, -1)))
      else if (type === 'X') socket.end()
    }
  })
}

function answerTo(query: Buffer): Buffer {
  const column = Buffer.concat([Buffer.from('q\0'), Buffer.alloc(6), Buffer.of(0, 0, 0, 25, 0xff, 0xff)])
  return Buffer.concat([
    message('T', Buffer.concat([Buffer.of(0, 1), column, Buffer.of(0xff, 0xff, 0xff, 0xff, 0, 0)])),
    message('D', Buffer.concat([Buffer.of(0, 1), int32(query.length), query])),
    message('C', Buffer.from('SELECT 1\0')),
    message('Z', Buffer.from('I')),
  ])
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function isInstalled(program: string): boolean {
  try {
    execFileSync('which', [program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
