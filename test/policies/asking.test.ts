/** Policies that ask another service, through the wire: what it got, what the upstream got, and how failures end. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

const asked: { path: string; headers: http.IncomingHttpHeaders; body: string }[] = []
const service = http.createServer(async (request, response) => {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  const body = Buffer.concat(pieces).toString()
  asked.push({ path: request.url!, headers: request.headers, body })
  if (request.url === '/v1/data/example') {
    const { input } = JSON.parse(body)
    const result = {
      allow: input.request.headers.role === 'admin',
      headers: { 'X-User': 'jack' },
      reason: 'no',
    }
    response.end(JSON.stringify({ result }))
  } else if (request.headers.authorization === 'good') {
    response.setHeader('X-User', 'jack').end()
  } else {
    response.writeHead(302, { Location: 'https://login.example', 'X-Internal': '1' }).end('moved')
  }
})
await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`

const gateway = policyGateway(
  () => `
routes:
  - { id: forward, uri: /forward, upstream_id: u, plugins: { forward-auth: { uri: "${url}/check", request_headers: [Authorization], upstream_headers: [X-User], client_headers: [Location], request_method: POST } } }
  - { id: nobody, uri: /nobody, upstream_id: u, plugins: { forward-auth: { uri: "http://127.0.0.1:1/", status_on_error: 503 } } }
  - { id: lax, uri: /lax, upstream_id: u, plugins: { forward-auth: { uri: "http://127.0.0.1:1/", allow_degradation: true, upstream_headers: [X-User] } } }
  - { id: opa, uri: /opa, upstream_id: u, plugins: { opa: { host: "${url}", policy: example, send_headers_upstream: [X-User] } } }
`,
)
before(() => {
  asked.length = 0
})
after(() => {
  service.closeAllConnections()
  service.close()
})

suite('forward-auth', () => {
  test('a request that may pass goes on with what the service says, and with its body', async () => {
    const headers = { authorization: 'good', 'x-user': 'root' }
    const { status, seen } = await gateway.send('/forward?a=1', { method: 'POST', headers, body: 'hello' })
    assert.equal(status, 200)
    assert.equal(seen?.headers['x-user'], 'jack')
    assert.equal(seen?.body.toString(), 'hello')
    const question = asked.at(-1)!
    assert.equal(question.body, 'hello')
    assert.equal(question.headers['x-forwarded-uri'], '/forward?a=1')
    assert.equal(question.headers['x-forwarded-method'], 'POST')
    assert.equal(question.headers['x-user'], undefined)
  })

  test('a rejection is the answer of the service; the upstream gets nothing', async () => {
    const { status, text, headers, seen } = await gateway.send('/forward', {
      headers: { authorization: 'bad' },
    })
    assert.deepEqual([status, text, seen], [302, 'moved', undefined])
    assert.equal(headers.get('location'), 'https://login.example')
    assert.equal(headers.get('x-internal'), null)
  })

  test('without a service the request is rejected, or passes where it may', async () => {
    const { status, seen } = await gateway.send('/nobody')
    assert.deepEqual([status, seen], [503, undefined])
    const lax = await gateway.send('/lax', { headers: { 'x-user': 'root' } })
    assert.equal(lax.status, 200)
    assert.equal(lax.seen?.headers['x-user'], undefined)
  })
})

test('opa decides by what it is told of the request', async () => {
  const allowed = await gateway.send('/opa', { headers: { role: 'admin', 'x-user': 'root' } })
  assert.equal(allowed.seen?.headers['x-user'], 'jack')
  const { status, text, headers, seen } = await gateway.send('/opa', { headers: { role: 'guest' } })
  assert.deepEqual([status, text, seen], [403, 'no', undefined])
  assert.equal(headers.get('x-user'), 'jack')
})
