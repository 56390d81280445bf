/** The control and status ports of a running gateway. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { freePort, startGateway } from '../harness/gateway.ts'

async function started(t: TestContext) {
  const [control, status] = [await freePort(), await freePort()]
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { port: ${control} }
  status: { port: ${status}, enabled: true }
  metrics: { enabled: false }
routes: [{ id: a, uri: /a, upstream: { nodes: { "127.0.0.1:1": 1 } } }]
consumers: [{ username: jack, plugins: { key-auth: { key: sesame } } }]
`,
  )
  t.after(() => gateway.stop())
  return async (method: string, path: string, port = path.startsWith('/status') ? status : control) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
    return [response.status, await response.text()] as const
  }
}

test('answers what APISIX answers', async (t) => {
  const ask = await started(t)
  assert.deepEqual(await ask('GET', '/status'), [200, '{"status":"ok"}'])
  assert.deepEqual(await ask('GET', '/status/ready'), [200, '{"status":"ok"}'])
  assert.deepEqual(await ask('POST', '/v1/gc'), [200, ''])
  assert.deepEqual(await ask('PUT', '/v1/plugins/reload'), [200, 'done'])
  assert.equal((await ask('GET', '/v1/plugins/reload'))[0], 404)
  assert.equal((await ask('POST', '/v1/plugins/reload'))[0], 404)
  const [code, route] = await ask('GET', '/v1/route/a')
  assert.deepEqual([code, JSON.parse(route).value.upstream.nodes[0].port], [200, 1])
  const [, exported] = await ask('GET', '/v1/configuration')
  assert.equal(JSON.parse(exported).resources.consumers.jack.plugins['key-auth'].key, '<redacted>')
})
