/** Whose `Server` clients see. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { request } from 'undici'
import { startGateway } from '../harness/gateway.ts'
import { startOrigins } from '../harness/origins.ts'

for (const [replaced, seen] of [
  [false, 'origin'],
  [true, 'house'],
] as const) {
  test(`with replace_server: ${replaced}, clients see that of ${seen}`, async (t) => {
    const [origin] = await startOrigins(t, 1, (_, response) => {
      response.setHeader('Server', 'origin')
      response.end()
    })
    const gateway = await startGateway(
      (port) => `
gateway:
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { enabled: false }
  metrics: { enabled: false }
  server: house
  forwarding: { replace_server: ${replaced} }
upstreams: [{ id: u, nodes: { "127.0.0.1:${origin!.port}": 1 } }]
routes: [{ id: r, uri: /there, upstream_id: u }]
`,
    )
    t.after(() => gateway.stop())
    const { headers } = await request(`http://127.0.0.1:${gateway.port}/there`)
    assert.equal(headers.server, seen)
    assert.equal((await request(`http://127.0.0.1:${gateway.port}/elsewhere`)).headers.server, 'house')
  })
}
