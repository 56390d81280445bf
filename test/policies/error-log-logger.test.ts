/** The gateway's own log on its way to a server: lines of data threads, through a real gateway that ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { request } from 'undici'
import { streamServer } from '../../src/policies/kit/logging/testing.ts'
import { freePort, startGateway } from '../harness/gateway.ts'

test('what a data thread logs reaches the server, at the latest when the gateway ends', async (t) => {
  const { port: logPort, messages } = await streamServer(t)
  const nobody = await freePort()
  const gateway = await startGateway(
    (port) => `
gateway:
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  workers: 1
  control: { enabled: false }
  metrics: { enabled: false }
plugin_metadata:
  - { id: error-log-logger, level: ERROR, inactive_timeout: 600, buffer_duration: 600, tcp: { host: 127.0.0.1, port: ${logPort} } }
routes:
  - id: r
    uri: /
    plugins: { oas-validator: { spec_url: "http://127.0.0.1:${nobody}/" } }
    upstream: { nodes: { "127.0.0.1:${nobody}": 1 } }
`,
  )
  try {
    const { statusCode, body } = await request(`http://127.0.0.1:${gateway.port}/`)
    await body.dump()
    assert.equal(statusCode, 500)
  } finally {
    await gateway.stop()
  }
  const lines = (await messages.next())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.ok(lines.some(({ message }) => message === 'there is no OpenAPI document to compare requests with'))
  assert.ok(lines.every(({ level }) => level === 'error'))
})
