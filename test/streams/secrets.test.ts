/** Listeners of streams whose certificates are secrets: in the environment, and in a manager. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import tls from 'node:tls'
import { Authority } from '../harness/certificates.ts'
import { startFakeManager } from '../harness/fake-manager.ts'
import { freePort, startGateway } from '../harness/gateway.ts'
import { tcpServer } from '../harness/stream-engine.ts'

const authority = new Authority()
after(() => authority.remove())

async function ask(port: number, servername: string): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', servername, ca: [authority.cert] })
  await once(socket, 'secureConnect')
  socket.write('hello')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return answer.toString()
}

test('a TLS session is ended with a certificate out of the environment, and out of a manager', async (t) => {
  const [one, two] = ['one.test', 'two.test'].map((name) => authority.issue({ names: [name] }))
  const vault = await startFakeManager(t, ({ headers }) =>
    headers['x-vault-token'] === 'token'
      ? { status: 200, body: { data: { cert: two!.cert, key: two!.key } } }
      : { status: 403, body: {} },
  )
  const server = await tcpServer((socket) => socket.pipe(socket))
  t.after(() => server.close())
  const port = await freePort()
  const gateway = await startGateway(
    (http) => `
gateway:
  workers: 1
  listeners:
    - { name: http, host: 127.0.0.1, port: ${http} }
    - { name: streams, protocol: tls, host: 127.0.0.1, port: ${port} }
  metrics: { port: 0 }
  control: { enabled: false }
ssls:
  - { id: one, sni: one.test, cert: "$ENV://STREAM_CERT", key: "$ENV://STREAM_KEY" }
  - { id: two, sni: two.test, cert: "$secret://vault/1/streams/cert", key: "$secret://vault/1/streams/key" }
secrets: [{ id: vault/1, uri: "${vault.address}", prefix: kv, token: token }]
stream_routes: [{ id: r, upstream: { nodes: { "127.0.0.1:${server.port}": 1 } } }]
`,
    { STREAM_CERT: one!.cert, STREAM_KEY: one!.key },
  )
  t.after(() => gateway.stop())
  assert.equal(await ask(port, 'one.test'), 'hello')
  assert.equal(await ask(port, 'two.test'), 'hello')
})
