/** Requests and answers that policies change, through the wire: what the upstream got, and what the client saw. */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { suite, test } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { request } from 'undici'
import { policyGateway, type Received } from '../harness/policy-gateway.ts'

const large = Buffer.alloc(3_000_000, 'The quick brown fox. ')

function answer({ target }: Received, response: ServerResponse): boolean {
  const { pathname } = new URL(target, 'http://upstream')
  response.setHeader('ETag', '"1"')
  switch (pathname) {
    case '/gzip':
      response.setHeader('Content-Encoding', 'gzip')
      response.end(gzipSync('hello world, hello moon'))
      return true
    case '/br':
      response.setHeader('Content-Encoding', 'br')
      response.end(brotliCompressSync('hello world, hello moon'))
      return true
    case '/text':
      response.end('hello world, hello moon')
      return true
    case '/large':
      response.end(large)
      return true
    case '/none':
      response.writeHead(204).end()
      return true
    default:
      return false
  }
}

const gateway = policyGateway(
  (upstreamPort) => `
upstreams:
  - { id: named, pass_host: node, nodes: { "127.0.0.1:${upstreamPort}": 1 } }
routes:
  - { id: fixed, uri: /fixed/*, upstream_id: u, plugins: { proxy-rewrite: { uri: "/other?from=$arg_name", host: api.internal:8080, method: POST, headers: { X-Kind: "$http_user_agent" } } } }
  - { id: copy, uri: /copy/*, upstream_id: u, plugins: { proxy-rewrite: { uri: "/was$uri" } } }
  - { id: regex, uri: /users/*, upstream_id: u, plugins: { proxy-rewrite: { regex_uri: ["^/users/(.*)/(.*)", "/$2/$1", "^/users/(x.*)", "/x?y=$1"], headers: { set: { X-One: "$1-$arg_q" }, add: { X-Many: [a, b] }, remove: [X-Gone] } } } }
  - { id: forwarded, uri: /forwarded, upstream_id: u, plugins: { proxy-rewrite: { headers: { set: { X-Forwarded-Proto: https, X-Forwarded-Port: 10080, X-Forwarded-For: 192.0.2.7, X-Real-IP: 192.0.2.8 }, remove: [X-Forwarded-Host] } } } }
  - { id: unsaid, uri: /unsaid, upstream_id: u, plugins: { proxy-rewrite: { headers: { remove: [X-Forwarded-For, X-Forwarded-Host] } } } }
  - { id: node, uri: /node, upstream_id: named, plugins: { proxy-rewrite: { host: never.seen } } }
  - { id: head, uri: /as-head, upstream_id: u, plugins: { proxy-rewrite: { method: HEAD, uri: /text } } }
  - { id: body, uri: /body, upstream_id: u, plugins: { response-rewrite: { body: "new", status_code: 201, headers: { set: { X-Server: "$balancer_port", Content-Type: text/x }, add: ["Set-Cookie: a=1", "Set-Cookie: b=2"], remove: [ETag] } } } }
  - { id: to204, uri: /to204, upstream_id: u, plugins: { proxy-rewrite: { uri: /text }, response-rewrite: { status_code: 204 } } }
  - { id: from204, uri: /from204, upstream_id: u, plugins: { proxy-rewrite: { uri: /none }, response-rewrite: { status_code: 200, body: "filled" } } }
  - { id: filters, uris: [/text, /gzip, /br, /large], upstream_id: u, plugins: { response-rewrite: { filters: [{ regex: "hello", scope: global, replace: "bye" }, { regex: "(moo)n", replace: "$1" }, { regex: "FOX", options: i, scope: global, replace: "dog" }] } } }
  - { id: own, uri: /own, upstream_id: u, plugins: { key-auth: {}, response-rewrite: { vars: [["status", "==", 401]], body: "log in first", headers: { set: { Content-Type: text/plain } } } } }
`,
  answer,
)
const get = (path: string, options: object = {}) =>
  request(`http://127.0.0.1:${gateway.port}${path}`, options)

/** Everything that comes back over one connection. */
function exchangeRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('latin1')
    socket.on('data', (piece) => {
      answer += piece
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', reject)
  })
}

async function seen(path: string, headers: Record<string, string> = {}) {
  const { method, target, fields } = (await gateway.send(path, { headers })).seen!
  const all = (name: string) => fields.filter(([known]) => known === name).map(([, value]) => value)
  return { method, target, all }
}

suite('proxy-rewrite', () => {
  test('path, query, method, host and fields are those of the configuration', async () => {
    const { method, target, all } = await seen('/fixed/a?name=j%3Fk&z=1', {
      'user-agent': 'tester/1',
    })
    assert.equal(method, 'POST')
    assert.equal(target, '/other?from=j%3Fk&name=j%3Fk&z=1')
    assert.deepEqual(all('host'), ['api.internal:8080'])
    assert.deepEqual(all('x-kind'), ['tester/1'])
  })

  test('the first pair of regex_uri that matches is used, and its groups are known to header values', async () => {
    const first = await seen('/users/jack/cart?q=7', { 'x-gone': '1', 'x-one': 'sent' })
    assert.equal(first.target, '/cart/jack?q=7')
    assert.deepEqual(first.all('x-one'), ['jack-7'])
    assert.deepEqual(first.all('x-many'), ['a', 'b'])
    assert.deepEqual(first.all('x-gone'), [])
    assert.equal((await seen('/users/xyz')).target, '/x?y=xyz')
    assert.equal((await seen('/users/none')).target, '/users/none')
  })

  test('what the client encoded is encoded again, and ends no request line', async () => {
    assert.equal((await seen('/users/a%20b%22/c%3Fd')).target, '/c%3Fd/a%20b%22')
    assert.equal((await seen('/copy/a%0d%0aX:%20y%25')).target, '/was/copy/a%0D%0AX:%20y%25')
  })

  test('what the client encoded twice is decoded once', async () => {
    assert.equal((await seen('/copy/a%2541%253Fb')).target, '/was/copy/a%2541%253Fb')
    assert.equal((await seen('/users/a%2541/%253F')).target, '/%253F/a%2541')
  })

  test('what it says of the way here takes the place of what the gateway says, but for the last hop', async () => {
    const lies = { 'x-forwarded-for': '203.0.113.1', 'x-forwarded-host': 'evil.example' }
    const { all } = await seen('/forwarded', lies)
    assert.deepEqual([all('x-forwarded-proto'), all('x-forwarded-port')], [['https'], ['10080']])
    assert.deepEqual(all('x-forwarded-for'), ['192.0.2.7, 127.0.0.1'])
    assert.deepEqual([all('x-real-ip'), all('x-forwarded-host')], [['127.0.0.1'], []])
    const unsaid = await seen('/unsaid', lies)
    assert.deepEqual([unsaid.all('x-forwarded-for'), unsaid.all('x-forwarded-host')], [['127.0.0.1'], []])
  })

  test('the host of a node stays where the upstream asks for it', async () => {
    const { all } = await seen('/node')
    assert.deepEqual(all('host'), [`127.0.0.1:${gateway.upstreamPort}`])
  })

  test('a GET that became a HEAD gets a complete answer without a body', async () => {
    const response = await get('/as-head')
    assert.equal(response.statusCode, 200)
    assert.equal(await response.body.text(), '')
    assert.equal((await get('/body')).statusCode, 201)
  })
})

suite('response-rewrite', () => {
  test('status, fields and body', async () => {
    const response = await get('/body')
    assert.equal(response.statusCode, 201)
    assert.equal(await response.body.text(), 'new')
    assert.deepEqual(response.headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(response.headers['content-type'], 'text/x')
    assert.equal(response.headers['x-server'], String(gateway.upstreamPort))
    assert.equal(response.headers.etag, undefined)
    assert.equal(response.headers['content-length'], undefined)
  })

  test('to an HTTP/1.0 client the body ends with the connection', async () => {
    const answer = await exchangeRaw(gateway.port, 'GET /body HTTP/1.0\r\nHost: a\r\n\r\n')
    assert.match(answer, /^HTTP\/1\.1 201 /)
    assert.match(answer, /\r\nConnection: close\r\n/)
    assert.match(answer, /\r\n\r\nnew$/)
  })

  test('HEAD has no body, and no length of the old one', async () => {
    const response = await get('/body', { method: 'HEAD' })
    assert.equal(response.statusCode, 201)
    assert.equal(await response.body.text(), '')
    assert.equal(response.headers['content-length'], undefined)
  })

  test('a status without content takes the body away, and one with content may have one', async () => {
    const answer = await exchangeRaw(
      gateway.port,
      'GET /to204 HTTP/1.1\r\nHost: a\r\n\r\nGET /from204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    assert.match(
      answer,
      /^HTTP\/1\.1 204 No Content\r\n(?:(?!Content-Length)[^\r]+\r\n)*\r\nHTTP\/1\.1 200 OK\r\n/,
    )
    assert.match(answer, /\r\n6\r\nfilled\r\n0\r\n\r\n$/)
  })

  for (const path of ['/text', '/gzip', '/br']) {
    test(`filters read ${path} and send plain text`, async () => {
      const response = await get(path)
      assert.equal(await response.body.text(), 'bye world, bye moo')
      assert.equal(response.headers['content-encoding'], undefined)
      assert.equal(response.headers.etag, undefined)
    })
  }

  test('a body of many reads is changed as a whole', async () => {
    const response = await get('/large')
    assert.equal(await response.body.text(), large.toString().replaceAll('fox', 'dog'))
  })

  test('a client that leaves while a filter works takes nothing with it', async () => {
    for (let i = 0; i < 20; i++) {
      const response = await get('/large')
      response.body.on('error', () => {})
      response.body.destroy()
    }
    assert.equal(await (await get('/text')).body.text(), 'bye world, bye moo')
  })

  test('answers of the gateway itself are changed like others', async () => {
    const response = await get('/own')
    assert.equal(response.statusCode, 401)
    assert.equal(await response.body.text(), 'log in first')
    assert.equal(response.headers['content-length'], '12')
    assert.equal(response.headers['content-type'], 'text/plain')
  })
})
