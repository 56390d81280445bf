import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { command } from './bench.ts'
import { UsageError } from './command.ts'

suite('sluice bench', () => {
  test('sends exactly as many requests as were asked for, and counts their answers', async (t) => {
    let seen = 0
    const url = await serve(t, (_request, response) => {
      seen++
      response.end('hello')
    })
    const { code, report } = await bench(url, '-n', '200', '-c', '4')
    assert.equal(code, 0)
    assert.equal(seen, 200)
    assert.deepEqual(report.statuses, { 200: 200 })
    assert.deepEqual(report.requests, { sent: 200, unsent: 0, answered: 200, failed: 0 })
    assert.equal(
      report.latency.histogram.reduce((sum, { count }) => sum + count, 0),
      200,
    )
    assert.ok(report.latency.min <= report.latency.p50 && report.latency.p50 <= report.latency.max)
  })

  test('uses that many connections, and each again and again', async (t) => {
    const server = createServer((_request, response) => response.end())
    let connections = 0
    server.on('connection', () => connections++)
    const url = await listen(t, server)
    await bench(url, '-n', '100', '-c', '3')
    assert.equal(connections, 3)
  })

  test('stops when the time is over', async (t) => {
    const url = await serve(t, (_request, response) => response.end())
    const { code, report } = await bench(url, '-d', '200ms', '-c', '2')
    assert.equal(code, 0)
    assert.ok(report.requests.answered > 0)
    assert.equal(report.requests.answered, report.requests.sent)
  })

  test('method, headers and body arrive as they were given; the query too', async (t) => {
    const requests: { request: IncomingMessage; body: string }[] = []
    const url = await serve(t, async (request, response) => {
      requests.push({ request, body: (await request.toArray()).join('') })
      response.end()
    })
    const given = ['-X', 'put', '-H', 'X-Team: a', '-H', 'User-Agent: mine', '--body', '{"a":1}']
    await bench(`${url}orders?page=2`, '-n', '1', '-c', '1', ...given)
    const { request, body } = requests[0]!
    assert.equal(request.method, 'PUT')
    assert.equal(request.url, '/orders?page=2')
    assert.equal(request.headers['x-team'], 'a')
    assert.equal(request.headers['user-agent'], 'mine')
    assert.equal(body, '{"a":1}')
  })

  test('a body from a file, with POST as its method', async (t) => {
    const file = temporaryFile(t, Buffer.from([0, 255, 10]))
    const bodies: Buffer[] = []
    const url = await serve(t, async (request, response) => {
      if (request.method === 'POST') bodies.push(Buffer.concat(await request.toArray()))
      response.end()
    })
    await bench(url, '-n', '1', '-c', '1', '--body-file', file)
    assert.deepEqual(bodies, [Buffer.from([0, 255, 10])])
  })

  test('a mix sends the requests of several clients', async (t) => {
    const file = temporaryFile(
      t,
      '{"headers":{"apikey":"one"}}\n{"headers":{"apikey":"two"},"path":"/two"}\n',
    )
    const seen = new Set<string>()
    const url = await serve(t, (request, response) => {
      seen.add(`${request.headers.apikey} ${request.url}`)
      response.end()
    })
    await bench(url, '-n', '200', '-c', '2', '--mix', file)
    assert.deepEqual([...seen].toSorted(), ['one /', 'two /two'])
  })

  test('a redirect is counted and not followed', async (t) => {
    let strayed = 0
    const elsewhere = await serve(t, (_request, response) => {
      strayed++
      response.end()
    })
    const url = await serve(t, (_request, response) => response.writeHead(302, { Location: elsewhere }).end())
    const { code, report } = await bench(url, '-n', '5', '-c', '1')
    assert.equal(code, 0)
    assert.deepEqual(report.statuses, { 302: 5 })
    assert.equal(strayed, 0)
  })

  test('statuses are told apart; when none is a success the exit code is 1', async (t) => {
    let turn = 0
    const url = await serve(t, (_request, response) => response.writeHead(turn++ % 2 ? 429 : 503).end())
    const { code, report } = await bench(url, '-n', '10', '-c', '1')
    assert.equal(code, 1)
    assert.deepEqual(report.statuses, { 429: 5, 503: 5 })
  })

  test('nobody listens: exit code 1, and the errors are named', async (t) => {
    const server = createServer()
    const url = await listen(t, server)
    server.close()
    const { code, report } = await bench(url, '-n', '3', '-c', '1')
    assert.equal(code, 1)
    assert.deepEqual(report.errors, { 'connection refused': 3 })
    assert.equal(report.requests.failed, 3)
  })

  test('a connection that breaks off is an error of its own, and the next request is sent', async (t) => {
    let turn = 0
    const url = await serve(t, (request, response) => {
      if (turn++ === 0) request.socket.destroy()
      else response.end()
    })
    const { code, report } = await bench(url, '-n', '2', '-c', '1')
    assert.equal(code, 0)
    assert.deepEqual(report.errors, { 'connection closed': 1 })
    assert.deepEqual(report.statuses, { 200: 1 })
  })

  test('an answer that never comes ends with the timeout', async (t) => {
    const url = await serve(t, () => {})
    const { code, report } = await bench(url, '-n', '1', '-c', '1', '--timeout', '50ms')
    assert.equal(code, 1)
    assert.equal(report.requests.failed, 1)
    assert.equal(report.requests.answered, 0)
  })

  test('an answer without end does not keep the test from ending', async (t) => {
    const url = await serve(t, (_request, response) => {
      const drip = setInterval(() => response.write('.'), 10)
      response.on('close', () => clearInterval(drip))
    })
    const { code, report } = await bench(url, '-d', '100ms', '-c', '1', '--timeout', '200ms')
    assert.equal(code, 1)
    assert.deepEqual(report.errors, { 'unfinished at the end': 1 })
  })
})

suite('sluice bench at a fixed rate', () => {
  test('sends no faster than asked', async (t) => {
    const url = await serve(t, (_request, response) => response.end())
    const { report } = await bench(url, '-r', '100', '-d', '300ms', '-c', '4')
    assert.equal(report.requests.sent + report.requests.unsent, 30)
    assert.equal(report.rate, 100)
  })

  test('a stall counts for every request that was due in it, not only for the one that met it', async (t) => {
    let turn = 0
    const url = await serve(t, async (_request, response) => {
      if (turn++ === 0) await sleep(300)
      response.end()
    })
    // One connection, 100 requests due in the first 200 ms, all behind the first one, which takes 300 ms.
    const { report } = await bench(url, '-r', '500', '-n', '100', '-d', '2s', '-c', '1')
    assert.equal(report.requests.answered, 100)
    assert.ok(report.latency.p50 > 90, `half of them waited ${report.latency.p50} ms`)
  })

  test('what was due and found no connection is reported', async (t) => {
    const url = await serve(t, async (_request, response) => {
      await sleep(150)
      response.end()
    })
    const { report } = await bench(url, '-r', '1000', '-d', '200ms', '-c', '1')
    assert.equal(report.requests.sent + report.requests.unsent, 200)
    assert.ok(report.requests.unsent > 190)
  })
})

suite('what sluice bench prints', () => {
  test('the text names throughput, statuses and latencies', async (t) => {
    const url = await serve(t, (_request, response) => response.end('hello'))
    const { stdout, stderr } = await run([url, '-n', '20', '-c', '2'])
    assert.match(stdout, /^Requests {4}20 sent, 20 answered \([\d.]+\/s\)$/m)
    assert.match(stdout, /^Statuses {4}200 OK: 20$/m)
    assert.match(stdout, /^ {2}p99 {10,}/m)
    assert.equal(stderr, '')
  })

  test('on a terminal, progress is shown and cleared', async (t) => {
    const url = await serve(t, (_request, response) => response.end('hello'))
    const { stderr } = await run([url, '-d', '700ms', '-c', '1'], true)
    assert.match(stderr, /\d+ answered/)
    assert.ok(stderr.endsWith('\r\x1b[K'))
  })
})

suite('sluice bench refuses', () => {
  for (const [what, argv] of Object.entries({
    'no URL': [],
    'two URLs': ['http://127.0.0.1/', 'http://127.0.0.2/'],
    'something that is no URL': ['127.0.0.1:9080/users'],
    'another scheme': ['ftp://127.0.0.1/'],
    'credentials in the URL': ['http://a:b@127.0.0.1/'],
    'more than 10 000 connections': ['http://127.0.0.1/', '-c', '10001'],
    'no connection': ['http://127.0.0.1/', '-c', '0'],
    'more than ten minutes': ['http://127.0.0.1/', '-d', '601s'],
    'a duration without unit': ['http://127.0.0.1/', '-d', '10'],
    'half a request': ['http://127.0.0.1/', '-n', '0.5'],
    'a header without colon': ['http://127.0.0.1/', '-H', 'apikey'],
    'two bodies': ['http://127.0.0.1/', '--body', 'a', '--body-file', 'b'],
    'a body file that is not there': ['http://127.0.0.1/', '--body-file', 'not-there'],
    CONNECT: ['http://127.0.0.1/', '-X', 'CONNECT'],
    'an unknown format': ['http://127.0.0.1/', '--format', 'xml'],
  })) {
    test(what, async () => {
      await assert.rejects(run(argv), UsageError)
    })
  }
})

interface JsonReport {
  rate: number | null
  requests: { sent: number; unsent: number; answered: number; failed: number }
  statuses: Record<string, number>
  errors: Record<string, number>
  latency: { min: number; p50: number; max: number; histogram: { count: number }[] }
}

async function bench(url: string, ...options: string[]): Promise<{ code: number; report: JsonReport }> {
  const { code, stdout } = await run([url, ...options, '--format', 'json'])
  return { code, report: JSON.parse(stdout) }
}

async function run(argv: string[], isTTY = false): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' }
  const sink = (name: 'stdout' | 'stderr') => ({
    write(text: string) {
      written[name] += text
    },
  })
  const io = { stdout: sink('stdout'), stderr: sink('stderr'), env: {}, cwd: process.cwd(), isTTY }
  const code = await command.run(argv, io)
  return { code, ...written }
}

/** A server for one test; gives its URL. */
function serve(t: TestContext, listener: RequestListener): Promise<string> {
  return listen(t, createServer(listener))
}

async function listen(t: TestContext, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

function temporaryFile(t: TestContext, content: string | Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'file')
  writeFileSync(path, content)
  return path
}
