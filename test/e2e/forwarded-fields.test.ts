/** What upstreams are told of the client and of what it asked for, with and without a proxy in front. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { type TestContext, test } from 'node:test'
import { startGateway } from '../harness/gateway.ts'
import { startOrigins } from '../harness/origins.ts'

/** @returns asks with these lines, and gives what the upstream got: the fields about the way there, by lower-case name */
async function started(t: TestContext, trusted: string) {
  const [upstream] = await startOrigins(t, 1, ({ headers }, response) => {
    response.end(JSON.stringify(headers))
  })
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 1
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { enabled: false }
  metrics: { enabled: false }
  trusted_addresses: [${trusted}]
routes: [{ uri: /, upstream: { nodes: { "127.0.0.1:${upstream!.port}": 1 } } }]
`,
  )
  t.after(() => gateway.stop())
  const socket = net.connect(gateway.port, '127.0.0.1')
  t.after(() => socket.destroy())
  const ask = async (...lines: string[]) => {
    socket.write(`GET / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`)
    let text = ''
    while (!text.endsWith('}')) {
      text += await new Promise<Buffer>((resolve) => socket.once('data', resolve))
    }
    const fields = JSON.parse(text.slice(text.indexOf('{'))) as Record<string, string>
    const {
      'x-forwarded-host': host,
      'x-forwarded-port': port,
      'x-forwarded-proto': proto,
      forwarded,
    } = fields
    return { host, port, proto, ...(forwarded !== undefined && { forwarded }) }
  }
  return { ask, own: String(gateway.port) }
}

test('what the client named, with its port and as it wrote it', async (t) => {
  const { ask, own } = await started(t, '')
  assert.deepEqual(await ask('Host: Example.com:8443'), {
    host: 'Example.com:8443',
    port: '8443',
    proto: 'http',
  })
  assert.deepEqual(await ask('Host: example.com'), { host: 'example.com', port: own, proto: 'http' })
  assert.deepEqual(await ask('Host: [::1]'), { host: '[::1]', port: own, proto: 'http' })
  assert.deepEqual(await ask('Host: [::1]:81'), { host: '[::1]:81', port: '81', proto: 'http' })
})

test('nothing that a client says itself', async (t) => {
  const { ask, own } = await started(t, '')
  const said = ['X-Forwarded-Host: evil.example', 'X-Forwarded-Port: 1', 'X-Forwarded-Proto: https']
  assert.deepEqual(await ask('Host: a.example', ...said, 'Forwarded: for=1.2.3.4;host=evil.example'), {
    host: 'a.example',
    port: own,
    proto: 'http',
  })
})

test('what a trusted proxy says, and what was seen where it says nothing', async (t) => {
  const { ask, own } = await started(t, '127.0.0.1')
  const said = ['X-Forwarded-Host: shop.example', 'X-Forwarded-Port: 8443', 'X-Forwarded-Proto: https']
  const forwarded = 'for=1.2.3.4;host=shop.example;proto=https'
  assert.deepEqual(await ask('Host: a.example', ...said, `Forwarded: ${forwarded}`), {
    host: 'shop.example',
    port: '8443',
    proto: 'https',
    forwarded,
  })
  assert.deepEqual(await ask('Host: A.example:81'), { host: 'A.example:81', port: '81', proto: 'http' })
  assert.deepEqual(await ask('Host: a.example', 'X-Forwarded-Proto:', 'X-Forwarded-Port: '), {
    host: 'a.example',
    port: own,
    proto: 'http',
  })
})
