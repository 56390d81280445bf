/** HTTP/2 by real clients through a real gateway: curl, nghttp, h2load and node:http2, with TLS and without. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import http from 'node:http'
import http2 from 'node:http2'
import type net from 'node:net'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { Authority, pemBlock } from '../harness/certificates.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'

const run = promisify(execFile)
const authority = new Authority()
const certificate = authority.issue({ names: ['one.test'] })
let gateway: RunningGateway
let secure = 0
let old = 0
let metrics = 0

const origin = http.createServer((incoming, response) => {
  response.setHeader('x-protocol', `${incoming.headers['x-protocol']}`)
  incoming.pipe(response)
})

before(async () => {
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
  const { port: originPort } = origin.address() as net.AddressInfo
  ;[secure, old, metrics] = await Promise.all([freePort(), freePort(), freePort()])
  gateway = await startGateway(
    (port) => `
gateway:
  listeners:
    - { host: 127.0.0.1, port: ${port} }
    - { host: 127.0.0.1, port: ${secure}, protocol: https }
    - { host: 127.0.0.1, port: ${old}, protocol: https, http2: false }
  workers: 1
  control: { enabled: false }
  metrics: { host: 127.0.0.1, port: ${metrics} }
ssls:
  - sni: one.test
    cert: ${pemBlock(certificate.cert, 6)}
    key: ${pemBlock(certificate.key, 6)}
routes:
  - id: r
    uri: /*
    upstream: { type: roundrobin, nodes: { "127.0.0.1:${originPort}": 1 } }
    plugins:
      proxy-rewrite: { headers: { set: { x-protocol: $server_protocol $ssl_alpn_protocol } } }
`,
  )
})
after(async () => {
  await gateway?.stop()
  origin.close()
  authority.remove()
})

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await run('curl', ['-s', '-k', '-o', '-', '-D', '-', '-m', '10', ...args])
  return stdout
}
const named = (port: number) => ['--resolve', `one.test:${port}:127.0.0.1`, `https://one.test:${port}/x`]

suite('curl', () => {
  test('with prior knowledge', async () => {
    const answer = await curl('--http2-prior-knowledge', '-d', 'hello', `http://127.0.0.1:${gateway.port}/x`)
    assert.match(answer, /^HTTP\/2 200 /)
    assert.match(answer, /^x-protocol: HTTP\/2\.0 *\r$/m)
    assert.match(answer, /hello$/)
  })

  test('over TLS, by its own choice and by that of the listener', async () => {
    const chosen = await curl('--http2', ...named(secure))
    assert.match(chosen, /^HTTP\/2 200 /)
    assert.match(chosen, /^x-protocol: HTTP\/2\.0 h2\r$/m)
    assert.match(await curl('--http1.1', ...named(secure)), /^HTTP\/1\.1 200 /)
    assert.match(await curl('--http2', ...named(old)), /^HTTP\/1\.1 200 /)
  })

  test('an upgrade from HTTP/1.1 is not taken', async () => {
    assert.match(await curl('--http2', `http://127.0.0.1:${gateway.port}/x`), /^HTTP\/1\.1 200 /)
  })
})

test('nghttp, with TLS and without', async () => {
  const secured = await run('nghttp', [
    '-v',
    '-y',
    `https://127.0.0.1:${secure}/x`,
    '-H',
    ':authority: one.test',
  ])
  assert.match(secured.stdout, /:status: 200/)
  const plain = await run('nghttp', ['-v', `http://127.0.0.1:${gateway.port}/x`])
  assert.match(plain.stdout, /:status: 200/)
})

test('h2load: many requests over few connections, all answered', async () => {
  const { stdout } = await run('h2load', [
    '-n',
    '3000',
    '-c',
    '3',
    '-m',
    '50',
    `http://127.0.0.1:${gateway.port}/x`,
  ])
  assert.match(stdout, /3000 succeeded, 0 failed, 0 errored/)
})

test('node:http2 over TLS, several requests at once, and the counters', async () => {
  const session = http2.connect(`https://127.0.0.1:${secure}`, { ca: authority.cert, servername: 'one.test' })
  const bodies = await Promise.all(
    ['a', 'b', 'c'].map(async (letter) => {
      const stream = session.request({ ':method': 'POST', ':path': `/${letter}`, ':authority': 'one.test' })
      stream.end(letter.repeat(100_000))
      let body = ''
      for await (const chunk of stream) body += chunk
      return body
    }),
  )
  assert.deepEqual(
    bodies,
    ['a', 'b', 'c'].map((letter) => letter.repeat(100_000)),
  )
  session.close()
  const response = await fetch(`http://127.0.0.1:${metrics}/metrics`)
  const [, connections] = /^sluice_http2_connections_total (\d+)$/m.exec(await response.text())!
  assert.ok(Number(connections) >= 4)
})
