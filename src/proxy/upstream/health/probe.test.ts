/** Probes against real endpoints: sound ones, and ones that lie, stall or die. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, type TestContext, test } from 'node:test'
import { TimerWheel } from '../../timer-wheel.ts'
import { type ProbeTarget, SocketProbe } from './probe.ts'

const wheel = new TimerWheel()
after(() => wheel.close())
// What a test waits for comes from a socket; nothing else keeps the process alive.
const alive = setInterval(() => {}, 1000)
after(() => clearInterval(alive))

async function listening(t: TestContext, server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

function probeOf(t: TestContext, port: number, target: Partial<ProbeTarget> = {}) {
  const probe = new SocketProbe(
    {
      address: '127.0.0.1',
      port,
      request: 'GET /status HTTP/1.1\r\nHost: foo.com\r\n\r\n',
      isHead: false,
      tls: null,
      ...target,
    },
    wheel,
  )
  t.after(() => probe.giveUp())
  const run = () =>
    new Promise<string>((resolve) =>
      probe.start((result, status) => resolve(result === 'status' ? String(status) : result)),
    )
  return { probe, run }
}

/** An endpoint that says these words to every request, whatever it is. */
function saying(t: TestContext, words: string, end = false): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('data', () => {
      socket.write(words, 'latin1')
      if (end) socket.end()
    })
  })
  return listening(t, server)
}

suite('a probe over HTTP', () => {
  test('sends its request as it is and gives back the status', async (t) => {
    const requests: string[] = []
    const server = http.createServer((request, response) => {
      requests.push(`${request.method} ${request.url} ${request.rawHeaders.join(' ')}`)
      response.statusCode = 503
      response.end('no')
    })
    const { run } = probeOf(t, await listening(t, server))
    assert.equal(await run(), '503')
    assert.deepEqual(requests, ['GET /status Host foo.com'])
  })

  test('uses its connection again, as long as the endpoint keeps it', async (t) => {
    let connections = 0
    const server = http.createServer((request, response) => {
      if (request.url === '/status') response.end('some body')
    })
    server.on('connection', () => connections++)
    const { run } = probeOf(t, await listening(t, server))
    for (let i = 0; i < 5; i++) assert.equal(await run(), '200')
    assert.equal(connections, 1)
  })

  test('uses it again after every kind of body that has an end', async (t) => {
    let connections = 0
    const bodies = ['chunked', 'none', 'length'] as const
    let at = 0
    const server = http.createServer((_request, response) => {
      const kind = bodies[at++ % bodies.length]
      if (kind === 'none') response.writeHead(204).end()
      else if (kind === 'length') response.end('x'.repeat(60_000))
      else {
        response.write('one')
        response.end('two')
      }
    })
    server.on('connection', () => connections++)
    const { run } = probeOf(t, await listening(t, server))
    assert.deepEqual([await run(), await run(), await run(), await run()], ['200', '204', '200', '200'])
    // A long body may still be on its way when the next probe is due: then that one takes a new connection.
    assert.ok(connections <= 2, `${connections} connections`)
  })

  test('takes a new connection when the endpoint closes each', async (t) => {
    let connections = 0
    const server = http.createServer((_request, response) => {
      response.setHeader('Connection', 'close')
      response.end()
    })
    server.on('connection', () => connections++)
    const { run } = probeOf(t, await listening(t, server))
    assert.deepEqual([await run(), await run()], ['200', '200'])
    assert.equal(connections, 2)
  })

  test('is not fooled by a kept connection that the endpoint has closed meanwhile', async (t) => {
    let connections = 0
    const server = net.createServer((socket) => {
      connections++
      // The first request of a connection is answered; the second finds it closed without an answer.
      let requests = 0
      socket.on('data', () => {
        if (++requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        else socket.destroy()
      })
    })
    const { run } = probeOf(t, await listening(t, server))
    assert.deepEqual([await run(), await run(), await run()], ['200', '200', '200'])
    assert.equal(connections, 3)
  })

  test('passes over interim answers', async (t) => {
    const { run } = probeOf(
      t,
      await saying(
        t,
        'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n',
      ),
    )
    assert.equal(await run(), '302')
  })

  test('reads an answer that arrives byte by byte', async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nServer: slow\r\nContent-Length: 2\r\n\r\nok'
    const server = net.createServer({ noDelay: true }, (socket) => {
      socket.once('data', async () => {
        for (const letter of answer) {
          socket.write(letter)
          await new Promise((resolve) => setImmediate(resolve))
        }
      })
    })
    const { run } = probeOf(t, await listening(t, server))
    assert.equal(await run(), '200')
  })

  test('expects no body after HEAD', async (t) => {
    let connections = 0
    const server = http.createServer((_request, response) => response.end('a body'))
    server.on('connection', () => connections++)
    const { run } = probeOf(t, await listening(t, server), {
      request: 'HEAD / HTTP/1.1\r\nHost: foo.com\r\n\r\n',
      isHead: true,
    })
    assert.deepEqual([await run(), await run()], ['200', '200'])
    assert.equal(connections, 1)
  })
})

suite('an endpoint that', () => {
  test('is not there', async (t) => {
    const server = net.createServer()
    const port = await listening(t, server)
    server.close()
    await once(server, 'close')
    const { run } = probeOf(t, port)
    assert.deepEqual([await run(), await run()], ['connect_failed', 'connect_failed'])
  })

  test('closes without a word', async (t) => {
    const { run } = probeOf(
      t,
      await listening(
        t,
        net.createServer((socket) => socket.end()),
      ),
    )
    assert.equal(await run(), 'closed')
  })

  test('breaks off in the middle of its head', async (t) => {
    const { run } = probeOf(t, await saying(t, 'HTTP/1.1 200 OK\r\nServer: ha', true))
    assert.equal(await run(), 'closed')
  })

  for (const [what, words] of [
    ['takes the request and says nothing', ''],
    ['stalls in the middle of its head', 'HTTP/1.1 200 OK\r\nServer: ha'],
  ] as const) {
    test(`${what} has no result, until it is given up`, async (t) => {
      let ended: () => void
      const gone = new Promise<void>((resolve) => {
        ended = resolve
      })
      let asked: () => void
      const request = new Promise<void>((resolve) => {
        asked = resolve
      })
      const server = net.createServer((socket) => {
        socket.on('data', () => {
          socket.write(words, () => asked())
        })
        socket.on('close', () => ended())
      })
      const { probe } = probeOf(t, await listening(t, server))
      const results: string[] = []
      probe.start((result) => results.push(result))
      await request
      probe.giveUp()
      await gone
      assert.deepEqual(results, [])
    })
  }

  test('stalls on a connection that worked before, and is not used again', async (t) => {
    let requests = 0
    let connections = 0
    let stalled: () => void
    const third = new Promise<void>((resolve) => {
      stalled = resolve
    })
    const server = http.createServer((_request, response) => {
      if (++requests === 3) stalled()
      else response.end()
    })
    server.on('connection', () => connections++)
    const { probe, run } = probeOf(t, await listening(t, server))
    assert.deepEqual([await run(), await run()], ['200', '200'])
    probe.start(() => assert.fail('it has no result'))
    await third
    probe.giveUp()
    assert.equal(await run(), '200')
    assert.equal(connections, 2)
  })

  test('stalls in the middle of its body', async (t) => {
    // The status is what was asked for. The connection is not used again.
    const { run } = probeOf(t, await saying(t, 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'))
    assert.deepEqual([await run(), await run()], ['200', '200'])
  })

  for (const [what, words] of [
    ['speaks another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['sends a doubtful head', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['sends an endless head', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`],
    ['sends too many fields', `HTTP/1.1 200 OK\r\n${'X: 1\r\n'.repeat(200)}\r\n`],
    ['sends interim answers without end', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(200)],
  ] as const) {
    test(what, async (t) => {
      const { run } = probeOf(t, await saying(t, words))
      assert.equal(await run(), 'bad_response')
    })
  }

  test('sends a body without end', async (t) => {
    let sent = 0
    let closed: () => void
    const gone = new Promise<void>((resolve) => {
      closed = resolve
    })
    const server = net.createServer((socket) => {
      const more = (error?: Error | null) => {
        sent += 16_384
        if (!error && socket.writable) socket.write('x'.repeat(16_384), more)
      }
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n', more)
      })
      socket.on('close', () => closed())
    })
    const { run } = probeOf(t, await listening(t, server))
    assert.equal(await run(), '200')
    await gone
    assert.ok(sent < 16 * 1024 * 1024, `${sent} bytes`)
  })

  test('sends more than it announced', async (t) => {
    let connections = 0
    const server = net.createServer((socket) => {
      connections++
      socket.on('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 500 No\r\n\r\n'),
      )
    })
    const { run } = probeOf(t, await listening(t, server))
    assert.deepEqual([await run(), await run()], ['200', '200'])
    assert.equal(connections, 2)
  })

  test('speaks on an idle connection', async (t) => {
    let connections = 0
    const server = net.createServer((socket) => {
      connections++
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        setImmediate(() => socket.write('HTTP/1.1 500 Surprise\r\n\r\n'))
      })
      socket.on('close', () => closed())
    })
    let closed = () => {}
    const gone = new Promise<void>((resolve) => {
      closed = resolve
    })
    const { run } = probeOf(t, await listening(t, server))
    assert.equal(await run(), '200')
    await gone
    assert.equal(await run(), '200')
    assert.equal(connections, 2)
  })
})

suite('a probe over TCP', () => {
  test('is content with a connection', async (t) => {
    let connections = 0
    const server = net.createServer(() => connections++)
    const { run } = probeOf(t, await listening(t, server), { request: null })
    assert.deepEqual([await run(), await run()], ['connected', 'connected'])
    assert.equal(connections, 2)
  })
})

suite('a probe over TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-probe-'))
  after(() => rmSync(folder, { recursive: true }))
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name)) as [string, string]
  const make = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=foo.com -keyout ${key} -out ${cert}`
  execFileSync('openssl', make.split(' '), { stdio: 'ignore' })
  const identity = { key: readFileSync(key), cert: readFileSync(cert) }

  test('asks for its host, and uses its connection again', async (t) => {
    const names: (string | false)[] = []
    const server = https.createServer(identity, (request, response) => {
      names.push((request.socket as unknown as { servername: string | false }).servername)
      response.end('ok')
    })
    let handshakes = 0
    server.on('secureConnection', () => handshakes++)
    const { run } = probeOf(t, await listening(t, server), { tls: { serverName: 'foo.com', verify: false } })
    assert.deepEqual([await run(), await run(), await run()], ['200', '200', '200'])
    assert.deepEqual(names, ['foo.com', 'foo.com', 'foo.com'])
    assert.equal(handshakes, 1)
  })

  test('names no server that is an address', async (t) => {
    const names: (string | false)[] = []
    const server = https.createServer(identity, (request, response) => {
      names.push((request.socket as unknown as { servername: string | false }).servername)
      response.end()
    })
    const { run } = probeOf(t, await listening(t, server), {
      tls: { serverName: '127.0.0.1', verify: false },
    })
    assert.equal(await run(), '200')
    assert.deepEqual(names, [false])
  })

  test('fails for a certificate that nobody vouches for, when that is asked for', async (t) => {
    const server = https.createServer(identity, (_request, response) => response.end())
    server.on('tlsClientError', () => {})
    const { run } = probeOf(t, await listening(t, server), { tls: { serverName: 'foo.com', verify: true } })
    assert.equal(await run(), 'tls_failed')
  })

  test('fails where no TLS is spoken', async (t) => {
    const server = http.createServer((_request, response) => response.end())
    const { run } = probeOf(t, await listening(t, server), { tls: { serverName: 'foo.com', verify: false } })
    assert.equal(await run(), 'tls_failed')
  })

  test('can be given up while the handshake stalls', async (t) => {
    let hello: () => void
    const greeted = new Promise<void>((resolve) => {
      hello = resolve
    })
    let ended: () => void
    const gone = new Promise<void>((resolve) => {
      ended = resolve
    })
    const server = net.createServer((socket) => {
      socket.once('data', () => hello())
      socket.on('close', () => ended())
    })
    const { probe } = probeOf(t, await listening(t, server), {
      tls: { serverName: 'foo.com', verify: false },
    })
    probe.start(() => assert.fail('it has no result'))
    await greeted
    probe.giveUp()
    await gone
  })
})
