/** What routes ask of a request beside host, path and method, over sockets: addresses, variables, and the body. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import { request } from 'undici'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { converse } from '../harness/raw-client.ts'

let origin: http.Server
let gateway: RunningGateway

/** The route that served a request is the one whose policy exposes its name. */
const route = (id: string, conditions: string, more = '') =>
  `  - { id: ${id}, ${conditions}, upstream_id: origin, plugins: { cors: { expose_headers: ${id} } }${more} }\n`

before(async () => {
  origin = http.createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const { method, url, headers, trailers } = incoming
    response.end(
      JSON.stringify({ method, url, headers, trailers, body: Buffer.concat(chunks).toString('latin1') }),
    )
  })
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  const { port: originPort } = origin.address() as AddressInfo
  gateway = await startGateway(
    (port) => `
gateway:
  workers: 1
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { enabled: false }
  trusted_addresses: [127.0.0.1]
  limits: { post_args: 4MiB, graphql: 1KiB, held_bodies: 3500KiB }
upstreams:
  - { id: origin, nodes: { "127.0.0.1:${originPort}": 1 } }
routes:
${route('argument', 'uri: /vars, vars: [[arg_k, "==", v]]')}\
${route('cookie', 'uri: /vars, vars: [[cookie_k, "~~", "^[0-9]+$"], [http_x_level, ">", 5]]')}\
${route('claim', 'uri: /vars, vars: [[jwt_tier, "==", gold]]')}\
${route('inside', 'uri: /address, remote_addrs: [10.0.0.0/8, "fd00::/8"]')}\
${route('single', 'uri: /address, remote_addr: 192.0.2.7')}\
${route('openai', 'uri: /body, vars: [[post_arg.model, "==", openai]]')}\
${route('images', 'uri: /body, vars: [["post_arg.messages[*].type", has, image_url]]')}\
${route('form', 'uri: /body, vars: [[post_arg_kind, in, [a, b]]]')}\
${route('anything', 'uri: /body*, priority: -1')}\
${route('mutation', 'uri: /graphql, vars: [[graphql_operation, "==", mutation]]')}\
${route('query', 'uri: /graphql, vars: [[graphql_root_fields, has, owner]]')}\
${route('graphs', 'uri: /graphql*, priority: -1')}\
  - id: filtered
    uri: /filtered
    upstream_id: origin
    plugins: { cors: { expose_headers: filtered, _meta: { filter: [[post_arg.tell, "==", true]] } } }
${route('checked', 'uri: /only, vars: [[http_x_a, "==", "1"], [post_arg.a, "==", 1]]')}`,
  )
})
after(async () => {
  await gateway.stop()
  origin.closeAllConnections()
  origin.close()
})

interface Echo {
  method: string
  url: string
  headers: Record<string, string>
  trailers: Record<string, string>
  body: string
}

async function send(path: string, options: Parameters<typeof request>[1] = {}) {
  const answer = await request(`http://127.0.0.1:${gateway.port}${path}`, options)
  const text = await answer.body.text()
  const served = answer.headers['access-control-expose-headers'] ?? `none, ${answer.statusCode}`
  return { served, echo: (answer.statusCode === 200 ? JSON.parse(text) : undefined) as Echo | undefined }
}

/** A body of unknown length. */
function inPieces(body: string): Readable {
  return Readable.from(
    Array.from({ length: Math.ceil(body.length / 100_000) }, (_, i) =>
      body.slice(i * 100_000, (i + 1) * 100_000),
    ),
  )
}

const post = (path: string, type: string, body: string, headers: Record<string, string> = {}) =>
  send(path, { method: 'POST', headers: { 'content-type': type, ...headers }, body })

suite('a route is chosen', () => {
  test('by variables', async () => {
    assert.equal((await send('/vars?k=v')).served, 'argument')
    assert.equal((await send('/vars?k=w')).served, 'none, 404')
    const token = (tier: string) => `e30.${Buffer.from(JSON.stringify({ tier })).toString('base64url')}.sig`
    for (const authorization of [`Bearer ${token('gold')}`, token('gold')]) {
      assert.equal((await send('/vars', { headers: { authorization } })).served, 'claim')
    }
    assert.equal((await send('/vars', { headers: { authorization: token('tin') } })).served, 'none, 404')
    assert.equal((await send('/vars', { headers: { cookie: 'k=12', 'x-level': '6' } })).served, 'cookie')
    assert.equal((await send('/vars', { headers: { cookie: 'k=12', 'x-level': '5' } })).served, 'none, 404')
    assert.equal((await send('/vars', { headers: { cookie: 'k=a', 'x-level': '6' } })).served, 'none, 404')
  })

  test("by the client's address, as trusted peers say it", async () => {
    const from = async (address: string) =>
      (await send('/address', { headers: { 'x-forwarded-for': address } })).served
    assert.equal(await from('10.1.2.3'), 'inside')
    assert.equal(await from('fd12::1'), 'inside')
    assert.equal(await from('192.0.2.7'), 'single')
    assert.equal(await from('192.0.2.8'), 'none, 404')
    assert.equal((await send('/address')).served, 'none, 404')
  })

  test('by its body, which goes on unchanged', async () => {
    const json = '{"model": "openai",\n "x": "\u00e9"}'
    const { served, echo } = await post('/body', 'application/json', json)
    assert.equal(served, 'openai')
    assert.equal(Buffer.from(echo!.body, 'latin1').toString(), json)
    assert.equal(echo!.headers['content-length'], String(Buffer.byteLength(json)))
    assert.equal(
      (await post('/body', 'application/json', '{"messages":[{"type":"text"},{"type":"image_url"}]}')).served,
      'images',
    )
    assert.equal((await post('/body', 'application/x-www-form-urlencoded', 'kind=b')).served, 'form')
    assert.equal((await post('/body', 'application/x-www-form-urlencoded', 'model=openai')).served, 'openai')
    assert.equal((await post('/body', 'text/plain', '{"model":"openai"}')).served, 'anything')
    assert.equal((await post('/body', 'application/json', '{"model"')).served, 'anything')
    assert.equal((await send('/body')).served, 'anything')
  })

  test('by GraphQL in a body or in the query', async () => {
    assert.equal(
      (await post('/graphql', 'application/json', '{"query":"mutation { a }"}')).served,
      'mutation',
    )
    assert.equal((await post('/graphql', 'application/graphql', '{ owner { name } }')).served, 'query')
    assert.equal((await send('/graphql?query={owner}')).served, 'query')
    assert.equal((await post('/graphql', 'application/graphql', '{ repo }')).served, 'graphs')
  })

  test('without its body where another condition fails first', async () => {
    // The body never comes: the answer does not wait for it.
    const head = 'POST /only HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 7\r\n'
    const refused = await converse({
      port: gateway.port,
      methods: ['POST'],
      steps: [`${head}\r\n`, { answers: 1, within: 5000 }],
    })
    assert.equal(refused.answers[0]?.status, 404)
    const served = await converse({
      port: gateway.port,
      methods: ['POST'],
      steps: [
        `${head}X-A: 1\r\n\r\n`,
        { wait: 20 },
        '{"a"',
        { wait: 20 },
        ':1}',
        { answers: 1, within: 5000 },
      ],
    })
    assert.equal(served.answers[0]?.status, 200)
  })
})

suite('a body that decides', () => {
  const padded = (size: number) => `{"model":"openai","pad":"${'x'.repeat(size)}"}`

  test('may be large and come in pieces of unknown number', async () => {
    const body = padded(3 << 20)
    const { served, echo } = await send('/body', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: inPieces(body),
    })
    assert.equal(served, 'openai')
    assert.equal(echo!.body, body)
    assert.equal(echo!.headers['transfer-encoding'], 'chunked')
  })

  test('beyond the limit is not looked at, and goes on whole', async () => {
    const body = padded(5 << 20)
    const declared = await post('/body', 'application/json', body)
    assert.deepEqual([declared.served, declared.echo!.body.length], ['anything', body.length])
    const document = `mutation { a } #${'x'.repeat(1 << 20)}`
    const chunked = await send('/graphql', { method: 'POST', body: inPieces(document) })
    assert.deepEqual([chunked.served, chunked.echo!.body], ['graphs', document])
  })

  test('can decide about a policy too', async () => {
    const { served, echo } = await post('/filtered', 'application/json', '{"tell":true}')
    assert.deepEqual([served, echo!.body], ['filtered', '{"tell":true}'])
    assert.equal((await post('/filtered', 'application/json', '{"tell":false}')).served, 'none, 200')
    assert.equal((await send('/filtered')).served, 'none, 200')
  })

  test('keeps its trailers', async () => {
    const { answers } = await converse({
      port: gateway.port,
      methods: ['POST'],
      steps: [
        'POST /body HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
          '12\r\n{"model":"openai"}\r\n0\r\nX-Sum: 7\r\n\r\n',
        { answers: 1, within: 5000 },
      ],
    })
    const echo = JSON.parse(answers[0]!.body.toString()) as Echo
    assert.deepEqual(echo.trailers, { 'x-sum': '7' })
    assert.equal(echo.body, '{"model":"openai"}')
  })

  test('is asked for with 100, once, when the client waits for that', async () => {
    const head =
      'POST /body HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 18\r\nExpect: 100-continue\r\n\r\n'
    const { answers, interim } = await converse({
      port: gateway.port,
      methods: ['POST'],
      steps: [head, { interim: 1, within: 5000 }, '{"model":"openai"}', { answers: 1, within: 5000 }],
    })
    assert.deepEqual(
      interim.map(({ status }) => status),
      [100],
    )
    const echo = JSON.parse(answers[0]!.body.toString()) as Echo
    assert.deepEqual([echo.body, echo.headers.expect], ['{"model":"openai"}', undefined])
  })

  test('ends where the next request begins', async () => {
    const one =
      'POST /body HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{"model":"openai"}'
    const { answers } = await converse({
      port: gateway.port,
      methods: ['POST', 'POST', 'GET'],
      steps: [`${one}${one}GET /vars?k=v HTTP/1.1\r\nHost: a\r\n\r\n`, { answers: 3, within: 5000 }],
    })
    assert.deepEqual(
      answers.map(({ body }) => (JSON.parse(body.toString()) as Echo).url),
      ['/body', '/body', '/vars?k=v'],
    )
  })

  test('is refused when a thread holds too much already', async () => {
    const { served } = await post('/body', 'application/json', padded(3_900_000))
    assert.equal(served, 'none, 503')
    assert.equal((await post('/body', 'application/json', padded(3 << 20))).served, 'openai')
  })
})
