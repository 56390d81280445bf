/** An operator clears what a running gateway has learnt, and sees it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { freePort, startGateway } from '../harness/gateway.ts'

const cached = '{ cache_strategy: memory, cache_zone: memory_cache, cache_ttl: 3600 }'
const limit = '{ count: 1, time_window: 3600, rejected_code: 429 }'

async function started(t: TestContext) {
  const upstream = createServer((_request, response) => response.end('hello'))
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  t.after(() => upstream.close())
  const node = `127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const [control, metrics] = [await freePort(), await freePort()]
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { port: ${control} }
  metrics: { port: ${metrics} }
routes:
  - { id: a, uri: /a, upstream_id: u, plugins: { limit-count: ${limit}, prometheus: {} } }
  - { id: b, uri: /b, upstream_id: u, plugins: { limit-count: ${limit}, prometheus: {} } }
  - { id: kept, uri: /kept, upstream_id: u, plugins: { proxy-cache: ${cached} } }
  - { id: other, uri: /other, service_id: s }
services: [{ id: s, upstream_id: u, plugins: { proxy-cache: ${cached} } }]
upstreams: [{ id: u, nodes: { "${node}": 1 } }]
`,
  )
  t.after(() => gateway.stop())
  const status = async (path: string) => (await fetch(`http://127.0.0.1:${gateway.port}${path}`)).status
  const cacheStatus = async (path: string) =>
    (await fetch(`http://127.0.0.1:${gateway.port}${path}`)).headers.get('apisix-cache-status')
  const ask = async (method: string, path: string) => {
    const response = await fetch(`http://127.0.0.1:${control}${path}`, { method })
    return JSON.parse(await response.text())
  }
  const metric = async (pattern: RegExp) => {
    const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
    return pattern.exec(text)?.[0]
  }
  return { status, cacheStatus, ask, metric }
}

test('counters of one route, and everything at once', async (t) => {
  const { status, ask, metric } = await started(t)
  assert.deepEqual([await status('/a'), await status('/a'), await status('/b')], [200, 429, 200])
  assert.equal((await ask('GET', '/v1/state')).limits.entries, 2)

  assert.equal((await ask('DELETE', '/v1/state?kind=limits&resource=routes/a')).cleared.limits, 1)
  assert.deepEqual([await status('/a'), await status('/b')], [200, 429])
  assert.match((await metric(/^apisix_http_status\{.*route="a".*$/m)) ?? 'none', / [12]$/)

  const { metrics, ...others } = (await ask('DELETE', '/v1/state?resource=routes/b')).cleared
  assert.deepEqual([others.limits, metrics], [1, 0])
  assert.equal(await status('/b'), 200)
  assert.match((await metric(/^apisix_http_status\{.*route="a".*$/m)) ?? 'none', / [12]$/)

  const { cleared } = await ask('POST', '/v1/state/clear')
  assert.equal(cleared.limits, 2)
  assert.equal(await metric(/^apisix_http_status\{.*$/m), undefined)
  assert.equal(await metric(/^sluice_state_clears_total .*$/m), 'sluice_state_clears_total 3')
  assert.deepEqual([await status('/a'), await status('/b'), await status('/b')], [200, 200, 429])
  assert.match((await metric(/^apisix_http_status\{code="200".*route="a".*$/m)) ?? 'none', / 1$/)
})

test('stored answers of one resource, and of all', async (t) => {
  const { cacheStatus, ask } = await started(t)
  const statuses = async () => [await cacheStatus('/kept'), await cacheStatus('/other')]
  assert.deepEqual(await statuses(), ['MISS', 'MISS'])
  assert.deepEqual(await statuses(), ['HIT', 'HIT'])
  const { cleared } = await ask('DELETE', '/v1/state?kind=caches&resource=routes/kept')
  assert.ok(cleared.caches > 0)
  assert.deepEqual(await statuses(), ['MISS', 'HIT'])
  await ask('DELETE', '/v1/state?kind=caches&resource=services/s')
  assert.deepEqual(await statuses(), ['HIT', 'MISS'])
  await ask('DELETE', '/v1/state?kind=caches')
  assert.deepEqual(await statuses(), ['MISS', 'MISS'])
})
