/** What policies tell servers of logs about exchanges, through the wire; and what becomes of traffic when those servers fail. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { freePort } from '../harness/gateway.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-loggers-'))
/** Entries that the server took. */
const entries: Record<string, never>[] = []
let failing = false
let logs: Server
/** Takes connections and says nothing. */
let stalled: ReturnType<typeof createTcpServer>
const held: Socket[] = []
const [logPort, stalledPort, metricsPort, deadPort] = await Promise.all([
  freePort(),
  freePort(),
  freePort(),
  freePort(),
])

before(async () => {
  logs = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += piece
    if (!failing) entries.push(...[JSON.parse(body)].flat())
    response.writeHead(failing ? 500 : 200).end()
  })
  stalled = createTcpServer((socket) => {
    held.push(socket)
    socket.pause().on('error', () => {})
  })
  await new Promise<void>((resolve) => logs.listen(logPort, '127.0.0.1', resolve))
  await new Promise<void>((resolve) => stalled.listen(stalledPort, '127.0.0.1', resolve))
})
after(() => {
  for (const socket of held) socket.destroy()
  stalled.close()
  logs.closeAllConnections()
  logs.close()
  rmSync(folder, { recursive: true })
})

const gateway = policyGateway(
  () => `
gateway:
  metrics: { host: 127.0.0.1, port: ${metricsPort} }
plugin_metadata:
  - { id: http-logger, max_pending_entries: 50 }
routes:
  - id: one
    uri: /one
    upstream_id: u
    plugins: { http-logger: { uri: "http://127.0.0.1:${logPort}/?token=s3cret", batch_max_size: 1, include_req_body: true, include_resp_body: true } }
  - id: rejected
    uri: /rejected
    upstream_id: u
    plugins: { key-auth: {}, http-logger: { uri: "http://127.0.0.1:${logPort}/", batch_max_size: 1, include_req_body: true, include_resp_body: true } }
  - id: stalled
    uri: /stalled
    upstream_id: u
    plugins: { http-logger: { uri: "http://127.0.0.1:${stalledPort}/", batch_max_size: 10, timeout: 600 } }
  - id: dead
    uri: /dead
    upstream_id: u
    plugins: { tcp-logger: { host: 127.0.0.1, port: ${deadPort}, batch_max_size: 1, max_retry_count: 2, retry_delay: 0 } }
  - id: file
    uri: /file
    upstream_id: u
    plugins: { file-logger: { path: "${join(folder, 'access.log')}", log_format: { uri: $uri, type: $sent_http_content_type, status: $status } } }
global_rules:
  - { id: counted, plugins: { prometheus: {} } }
`,
)

/** The value of one series; 0 when it is not there. */
async function metric(series: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? 0 : Number(line.slice(series.length + 1))
}

const outcome = (policy: string, name: string) =>
  metric(`sluice_log_entries_total{policy="${policy}",outcome="${name}"}`)

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10))
}

type Entry = {
  request: { body?: string; headers: Record<string, string> }
  response: { body?: string; headers: Record<string, string>; status: number; size: number }
  route_id: string
  upstream?: string
}

suite('loggers', () => {
  test('an entry has the bodies as they went by, and the answer stays what it was', async () => {
    const { headers, text, seen } = await gateway.send('/one', {
      method: 'POST',
      headers: { authorization: 'Bearer s3cret', 'x-custom': 'a' },
      body: 'hello',
    })
    assert.equal(seen!.body.toString(), 'hello')
    await eventually(() => entries.length === 1)
    const { request, response, upstream } = entries.pop() as unknown as Entry
    assert.deepEqual([request.body, response.body], ['hello', text])
    assert.deepEqual([request.headers['x-custom'], request.headers.authorization], ['a', '***'])
    assert.equal(upstream, `127.0.0.1:${gateway.upstreamPort}`)
    assert.equal(response.headers['content-type'], 'application/json')
    assert.equal(headers.get('content-length'), response.headers['content-length'] ?? null)
  })

  test('an answer of the gateway itself is logged with the fields and the body that the client got', async () => {
    const { status, headers, text, seen } = await gateway.send('/rejected', { method: 'POST', body: 'hello' })
    assert.deepEqual([status, seen], [401, undefined])
    await eventually(() => entries.length === 1)
    const { request, response, upstream } = entries.pop() as unknown as Entry
    assert.deepEqual([response.status, response.body, upstream], [401, text, undefined])
    assert.equal(response.headers['content-type'], headers.get('content-type'))
    assert.equal(response.headers['www-authenticate'], headers.get('www-authenticate') ?? undefined)
    assert.equal(request.body, undefined, 'nobody read it')
  })

  test('a server that refuses loses entries, and gets them again when it is back', async () => {
    const before = await outcome('http-logger', 'delivered')
    failing = true
    await gateway.send('/one')
    await eventually(async () => (await outcome('http-logger', 'failed')) === 1)
    failing = false
    await gateway.send('/one')
    await eventually(async () => (await outcome('http-logger', 'delivered')) === before + 1)
    entries.length = 0
  })

  test('a server that stalls costs no traffic, holds no more than it may, and every loss is counted', async () => {
    for (let n = 0; n < 80; n++) assert.equal((await gateway.send('/stalled')).status, 200)
    await eventually(async () => (await outcome('http-logger', 'discarded')) === 30)
    assert.match(gateway.output(), /log entries are discarded, because too many wait/)
  })

  test('a server that is not there costs tries and then the entry', async () => {
    for (let n = 0; n < 5; n++) assert.equal((await gateway.send('/dead')).status, 200)
    await eventually(async () => (await outcome('tcp-logger', 'failed')) === 5)
    assert.equal(gateway.output().match(/log entries cannot be delivered[^\n]*/g)?.length, 2)
  })

  test('a file is written at once, and opened anew when it was rotated', async () => {
    const path = join(folder, 'access.log')
    await gateway.send('/file')
    await eventually(async () => (await readFile(path, 'utf8').catch(() => '')) !== '')
    assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), {
      uri: '/file',
      type: 'application/json',
      status: 200,
      route_id: 'file',
    })
    await rename(path, `${path}.1`)
    gateway.signal('SIGUSR2')
    await eventually(async () => {
      await gateway.send('/file')
      return (await readFile(path, 'utf8').catch(() => '')) !== ''
    })
  })

  test('what a server is told with stays out of the log', () => {
    assert.doesNotMatch(gateway.output(), /s3cret/)
  })
})
