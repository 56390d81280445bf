/** Limits through a real gateway: what passes, what the upstream gets of it, and that all threads count together. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../harness/gateway.ts'
import { policyGateway } from '../harness/policy-gateway.ts'
import { RedisServer, withoutRedis } from '../harness/redis-server.ts'

/** `LIMIT_RUNS=100 node --test test/policies/limits.test.ts` repeats what has to be exact. */
const runs = Number(process.env.LIMIT_RUNS ?? 2)

let redis: RedisServer | undefined
let metricsPort: number
/** Requests for the path `/slow/*`, which are answered when `letGo` is called. */
const held: http.ServerResponse[] = []

function letGo(): void {
  for (const response of held.splice(0)) response.end('late')
}

after(async () => {
  letGo()
  await redis?.stop()
})

async function configuration(): Promise<string> {
  metricsPort = await freePort()
  if (withoutRedis === false) redis = await RedisServer.start()
  return `
gateway:
  workers: 2
  metrics: { host: 127.0.0.1, port: ${metricsPort} }
routes:
  - id: exact
    uri: /exact/*
    upstream_id: u
    plugins: { limit-count: { count: 1000, time_window: 3600, key: http_x_run } }
  - id: shared
    uri: /shared/*
    upstream_id: u
    plugins:
      limit-count:
        { count: 1000, time_window: 3600, key: http_x_run, policy: redis, redis_host: 127.0.0.1, redis_port: ${redis?.port ?? 1}, redis_timeout: 20000 }
  - id: away
    uri: /away/*
    upstream_id: u
    plugins:
      limit-count:
        { count: 1, time_window: 3600, key: http_x_run, policy: redis, redis_host: 127.0.0.1, redis_port: 1, absent_store: local }
  - id: rate
    uri: /rate/*
    upstream_id: u
    plugins: { limit-req: { rate: 0.001, burst: 1, key: http_x_run, rejected_code: 429 } }
  - id: conn
    uri: /slow/*
    upstream_id: u
    plugins: { limit-conn: { conn: 2, burst: 0, default_conn_delay: 1, key: http_x_run, rejected_code: 429 } }
  - { id: size, uri: /size/*, upstream_id: u, plugins: { client-control: { max_body_size: 5 }, proxy-control: {} } }
  - { id: graphql, uri: /graphql/*, upstream_id: u, plugins: { graphql-limit-count: { count: 4, time_window: 3600 } } }
  - id: spike
    uri: /spike/*
    upstream_id: u
    plugins: { spike-control: { timePeriodInMilliseconds: 3600000, delayTimeInMillis: 1, queuingLimit: 1 } }
  - { id: bytes, uri: /bytes/*, upstream_id: u, plugins: { bandwidth-limit: { rate: 1000000, burst: 1 } } }
`
}

const gateway = policyGateway(configuration, ({ target }, response) => {
  if (target.startsWith('/slow/')) held.push(response)
  else response.end('ok')
  return true
})

/** Paths that the upstream got, in order. */
const seen = () => gateway.received.map(({ target }) => target)
const bodyOf = (path: string) => gateway.received.find(({ target }) => target === path)?.body.toString()

/** Sends requests over connections of their own, each as soon as the answer before is there. @returns statuses */
async function flood(
  path: string,
  run: string,
  connections: number,
  each: number,
): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  const head = `GET ${path} HTTP/1.1\r\nHost: h\r\nX-Run: ${run}\r\n\r\n`
  const one = async () => {
    const socket = net.connect({ port: gateway.port, host: '127.0.0.1', noDelay: true })
    let text = ''
    let left = each
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject)
      socket.on('connect', () => socket.write(head))
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1')
        for (let end = endOf(text); end > 0; end = endOf(text)) {
          const status = Number(text.slice(9, 12))
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          text = text.slice(end)
          if (--left > 0) socket.write(head)
          else resolve()
        }
      })
    })
    socket.destroy()
  }
  await Promise.all(Array.from({ length: connections }, one))
  return statuses
}

/** Where the first answer ends; 0: it is not complete. */
function endOf(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return 0
  const length = /content-length: (\d+)/i.exec(text.slice(0, headEnd))
  const end = headEnd + 4 + Number(length?.[1] ?? 0)
  if (length === null && !/\r\n0\r\n\r\n/.test(text)) return 0
  return text.length >= end ? end : 0
}

suite('64 connections over all threads against a count of 1000', () => {
  for (let run = 0; run < runs; run++) {
    test(`local, run ${run}`, async () => {
      const before = seen().length
      const statuses = await flood('/exact/x', `local-${run}`, 64, 20)
      assert.deepEqual(Object.fromEntries(statuses), { 200: 1000, 503: 280 })
      assert.equal(seen().length - before, 1000, 'the upstream got no other')
    })

    test(`in Redis, run ${run}`, { skip: withoutRedis }, async () => {
      const statuses = await flood('/shared/x', `redis-${run}`, 64, 20)
      assert.deepEqual(Object.fromEntries(statuses), { 200: 1000, 503: 280 })
    })
  }
})

test('while Redis is away the node counts alone, and metrics tell so', async () => {
  const statuses = await flood('/away/x', 'away', 1, 3)
  assert.deepEqual(Object.fromEntries(statuses), { 200: 1, 503: 2 })
  for (;;) {
    const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    if (/sluice_shared_limit_decisions_total\{policy="limit-count",decision="local"\} 3/.test(page)) return
    await sleep(20)
  }
})

test('a request that waits and whose client goes away never reaches the upstream', async () => {
  assert.deepEqual(Object.fromEntries(await flood('/rate/first', 'r', 1, 1)), { 200: 1 })
  const socket = net.connect({ port: gateway.port, host: '127.0.0.1' })
  socket.write('GET /rate/gone HTTP/1.1\r\nHost: h\r\nX-Run: r\r\n\r\n')
  await sleep(50)
  const refused = await fetch(`http://127.0.0.1:${gateway.port}/rate/refused`, { headers: { 'x-run': 'r' } })
  assert.equal(refused.status, 429)
  assert.match(refused.headers.get('retry-after')!, /^\d+$/)
  socket.resetAndDestroy()
  await flood('/exact/y', 'other', 1, 1)
  assert.deepEqual(
    seen().filter((path) => path.startsWith('/rate/')),
    ['/rate/first'],
  )
})

test('requests under way are counted over all threads, until their answer or the end of their client', async () => {
  const client = () => {
    const request = http.get({ port: gateway.port, path: '/slow/x', agent: false, headers: { 'x-run': 'c' } })
    request.on('error', () => {})
    return request
  }
  const first = client()
  const second = client()
  while (held.length < 2) await sleep(5)
  const refused = await flood('/slow/x', 'c', 8, 2)
  assert.deepEqual(Object.fromEntries(refused), { 429: 16 })
  assert.equal(held.length, 2)
  const answered = once(second, 'response')
  first.socket!.resetAndDestroy()
  // The gateway learns of its end a moment later.
  while (held.length < 3) {
    const statuses = flood('/slow/x', 'c', 1, 1)
    while (held.length < 3 && (await Promise.race([statuses, sleep(5)])) === undefined);
  }
  letGo()
  const [response] = (await answered) as [http.IncomingMessage]
  assert.equal(response.statusCode, 200)
  response.resume()
})

const post = (path: string, body: string | ReadableStream, type = 'text/plain') =>
  fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': type },
    ...(typeof body !== 'string' && { duplex: 'half' }),
  })

/** Sent in chunks. */
const chunks = (text: string) => new Blob([text]).stream()

test('a body that is too large goes no further, one that is not arrives whole', async () => {
  assert.equal((await post('/size/fits', '12345')).status, 200)
  assert.equal((await post('/size/chunked', chunks('12345'))).status, 200)
  assert.equal((await post('/size/large', '123456')).status, 413)
  assert.equal((await post('/size/endless', chunks('123456'))).status, 413)
  assert.equal(bodyOf('/size/fits'), '12345')
  assert.equal(bodyOf('/size/chunked'), '12345')
  assert.equal(seen().includes('/size/large'), false)
  assert.equal(bodyOf('/size/endless'), undefined, 'never as a request that is complete')
})

test('a GraphQL query is charged by its depth, and goes on as it came', async () => {
  const body = JSON.stringify({ query: '{ a { b { c } } }' })
  const first = await post('/graphql/first', body, 'application/json')
  assert.equal(first.status, 200)
  assert.equal(first.headers.get('x-graphql-query-cost'), '3')
  assert.equal(first.headers.get('x-ratelimit-remaining'), '1')
  assert.equal(bodyOf('/graphql/first'), body)
  assert.equal((await post('/graphql/dear', body, 'application/json')).status, 503)
  assert.equal((await post('/graphql/broken', '{', 'application/json')).status, 400)
  assert.deepEqual(
    seen().filter((path) => path.startsWith('/graphql/')),
    ['/graphql/first'],
  )
})

test('a spike waits in the queue as often as it may, then is rejected', async () => {
  assert.equal((await fetch(`http://127.0.0.1:${gateway.port}/spike/first`)).status, 200)
  const refused = await fetch(`http://127.0.0.1:${gateway.port}/spike/second`)
  assert.equal(refused.status, 429)
  assert.equal(await refused.text(), '{"error":"Too Many Requests"}')
  assert.equal(seen().includes('/spike/second'), false)
})

test('an answer that is slowed down arrives whole', async () => {
  for (let n = 0; n < 3; n++)
    assert.equal(await (await fetch(`http://127.0.0.1:${gateway.port}/bytes/x`)).text(), 'ok')
})
