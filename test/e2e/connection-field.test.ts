/** What upstreams see of the client's Connection field, as with APISIX. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { startGateway } from '../harness/gateway.ts'
import { startOrigins } from '../harness/origins.ts'

async function exchangeBytes(port: number, request: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.end(request.replaceAll('\n', '\r\n'))
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

test('upstreams see close where connections may be upgraded, and nowhere else', async (t) => {
  const [origin] = await startOrigins(t, 1, (request, response) => {
    response.end(request.rawHeaders.filter((_, n, all) => n % 2 === 1 && all[n - 1] === 'Connection').join())
  })
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 1
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { enabled: false }
upstreams: [{ id: u, nodes: { "127.0.0.1:${origin!.port}": 1 } }]
routes:
  - { id: open, uri: /open, enable_websocket: true, upstream_id: u }
  - { id: plain, uri: /plain, upstream_id: u }
`,
  )
  t.after(() => gateway.stop())
  const seen = async (path: string, connection: string) => {
    const answer = await exchangeBytes(
      gateway.port,
      `GET ${path} HTTP/1.1\nHost: a\nConnection: ${connection}\n\n`,
    )
    return answer.split('\r\n\r\n')[1]
  }
  assert.equal(await seen('/open', 'close'), 'close')
  assert.equal(await seen('/open', 'x-other, Close'), 'close')
  assert.equal(await seen('/open', 'x-other'), '')
  assert.equal(await seen('/plain', 'close'), '')
})
