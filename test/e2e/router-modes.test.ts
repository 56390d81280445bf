/** The three routers of APISIX, as requests find them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, test } from 'node:test'
import { request } from 'undici'
import { startGateway } from '../harness/gateway.ts'

const routes = `
  - { id: by-host, host: shop.test, uri: /*, upstream_id: echo, plugins: { cors: { expose_headers: by-host } } }
  - { id: exact, uri: /users/list, upstream_id: echo, plugins: { cors: { expose_headers: exact } } }
  - { id: parameter, uri: '/users/:id/orders', upstream_id: echo, plugins: { cors: { expose_headers: parameter } } }
`

const expected: Record<string, [host: string, path: string, route: string][]> = {
  radixtree_host_uri: [
    ['shop.test', '/users/list', 'by-host'],
    ['other.test', '/users/list', 'exact'],
    ['other.test', '/users/7/orders', 'none'],
    ['other.test', '/users/:id/orders', 'parameter'],
  ],
  radixtree_uri: [
    ['shop.test', '/users/list', 'exact'],
    ['shop.test', '/else', 'by-host'],
    ['other.test', '/else', 'none'],
  ],
  radixtree_uri_with_parameter: [
    ['other.test', '/users/7/orders', 'parameter'],
    ['other.test', '/users/7/8/orders', 'none'],
    ['shop.test', '/users/7/orders', 'parameter'],
  ],
}

for (const [router, cases] of Object.entries(expected)) {
  suite(router, () => {
    test('requests find their routes', async (t) => {
      const upstream = http.createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1')
      await once(upstream, 'listening')
      t.after(() => {
        upstream.closeAllConnections()
        upstream.close()
      })
      const gateway = await startGateway(
        (port) => `
gateway:
  workers: 1
  router: ${router}
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { enabled: false }
upstreams:
  - { id: echo, nodes: { '127.0.0.1:${(upstream.address() as AddressInfo).port}': 1 } }
routes:${routes}`,
      )
      t.after(() => gateway.stop())
      for (const [host, path, route] of cases) {
        const response = await request(`http://127.0.0.1:${gateway.port}${path}`, { headers: { host } })
        await response.body.dump()
        const found = response.headers['access-control-expose-headers'] ?? 'none'
        assert.equal(found, route, `${host}${path}`)
        assert.equal(response.statusCode, route === 'none' ? 404 : 200, `${host}${path}`)
      }
    })
  })
}
