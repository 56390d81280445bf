import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { clientApplications, credentialLine } from './clients.ts'
import { missingProgram } from './opponents/program.ts'
import { sendTraffic, smallGets, type Traffic } from './traffic.ts'
import { forwarding, routeHost, routePath, type Work } from './work.ts'

const skip = missingProgram('wrk') ?? missingProgram('taskset') ?? false

suite('the load script', { skip }, () => {
  test('sends no request twice: targets and trace ids differ', async (t) => {
    const requests = await record(t, smallGets, forwarding)
    assert.ok(requests.length > 100)
    assert.equal(new Set(requests.map(({ url }) => url)).size, requests.length)
    assert.equal(new Set(requests.map(({ headers }) => headers.traceparent)).size, requests.length)
    for (const { headers } of requests)
      assert.match(String(headers.traceparent), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  test('speaks for every client application', async (t) => {
    const requests = await record(t, smallGets, { ...forwarding, chain: 'client-id' })
    const presented = new Set(requests.map(({ headers }) => `Authorization: ${headers.authorization}`))
    assert.deepEqual(presented, new Set(clientApplications.map((it) => credentialLine(it, 'basic'))))
  })

  test('asks for every route of a table, by paths that these routes match', async (t) => {
    const requests = await record(t, smallGets, { ...forwarding, routes: 10 })
    const paths = new Set(requests.map(({ url }) => url.split('?')[0]!))
    assert.deepEqual(paths, new Set(Array.from({ length: 10 }, (_, index) => routePath(index))))
  })

  test('asks each host of a table for its routes', async (t) => {
    const requests = await record(t, smallGets, { ...forwarding, routes: 10, hosts: 5 })
    const asked = new Set(requests.map(({ url, headers }) => `${headers.host}${url.split('?')[0]!}`))
    assert.deepEqual(
      asked,
      new Set(Array.from({ length: 10 }, (_, index) => `${routeHost(index, 5)}${routePath(index)}`)),
    )
  })

  test('a body has the length that was asked for', async (t) => {
    const requests = await record(t, { ...smallGets, method: 'POST', body: 4096 }, forwarding)
    assert.ok(requests.every(({ method, length }) => method === 'POST' && length === 4096))
  })

  test('a connection for each request, when that is the scenario', async (t) => {
    const requests = await record(t, { ...smallGets, close: true }, forwarding)
    assert.equal(new Set(requests.map(({ connection }) => connection)).size, requests.length)
  })
})

interface Recorded {
  method: string
  url: string
  headers: IncomingHttpHeaders
  length: number
  /** Each has its own, while ports come back. */
  connection: object
}

/** A second of traffic over two connections, as a server sees it. */
async function record(t: TestContext, traffic: Traffic, work: Work): Promise<Recorded[]> {
  const requests: Recorded[] = []
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers, socket } = request
    const length = Buffer.concat(await request.toArray()).length
    if (requests.length < 2_000) requests.push({ method, url, headers, length, connection: socket })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-test-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
    server.closeAllConnections()
    server.close()
  })
  const cores = { gateway: '0', load: '0' }
  const certificate = { certFile: '', keyFile: '' }
  const site = { folder, cores, upstreamPort: 0, certificate, nodeArguments: [], stop: async () => {} }
  await sendTraffic(site, (server.address() as AddressInfo).port, { ...traffic, connections: 2 }, work, 1)
  return requests
}
