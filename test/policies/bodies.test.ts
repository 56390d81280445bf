/** Policies that read or change bodies, or copy requests, through the wire. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { after, suite, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { request } from 'undici'
import { policyGateway } from '../harness/policy-gateway.ts'

const log = join(mkdtempSync(join(tmpdir(), 'sluice-bodies-')), 'log')
after(() => rmSync(dirname(log), { recursive: true }))

const content = { 'application/json': { schema: { type: 'object', required: ['name'] } } }
const description = JSON.stringify({
  openapi: '3.1.0',
  servers: [{ url: '/described' }],
  paths: { '/pets': { post: { requestBody: { required: true, content } } } },
})

const page = '<p>hello</p>'.repeat(10_000)

const gateway = policyGateway(
  (upstreamPort) => `
routes:
  - { id: gzip, uri: /gzip/*, upstream_id: u, plugins: { gzip: { vary: true } } }
  - { id: brotli, uri: /brotli, upstream_id: u, plugins: { brotli: { types: "*" } } }
  - { id: both, uri: /both, upstream_id: u, plugins: { gzip: { types: "*", vary: true }, brotli: { types: "*", vary: true } } }
  - { id: rewritten, uri: /rewritten, upstream_id: u, plugins: { gzip: { types: "*" }, response-rewrite: { body: "${'new '.repeat(20)}" } } }
  - { id: valid, uri: /valid, upstream_id: u, plugins: { request-validation: { body_schema: { type: object, required: [name], properties: { name: { type: string } } }, max_req_body_size: 100 } } }
  - { id: graphql, uri: /person, upstream_id: u, plugins: { degraphql: { query: "query ($name: String) { person(name: $name) { id } }", variables: [name] } } }
  - { id: masked, uri: /masked, upstream_id: u, plugins: { data-mask: { request: [{ type: header, name: x-card, action: regex, regex: "\\\\d+$", value: "****" }, { type: body, body_format: json, name: "$.pin", action: remove }] }, file-logger: { path: ${log}, include_req_body: true } } }
  - { id: made, uri: /made, upstream_id: u, plugins: { body-transformer: { request: { template: '<n>{{_escape_xml(name)}}</n>{% for _, t in ipairs(tags) do %}<t>{*t*}</t>{% end %}', input_format: json }, response: { template: '{"got":{*_escape_json(_body)*},"status":{{_ctx.var.status}}}', input_format: plain } } } }
  - { id: json, uri: /json, upstream_id: u, plugins: { json-threat-protection: { max_container_depth: 2 } } }
  - { id: xml, uri: /xml, upstream_id: u, plugins: { xml-threat-protection: { max_node_depth: 2 } } }
  - { id: described, uri: /described/*, upstream_id: u, plugins: { oas-validator: { spec: ${JSON.stringify(description)} } } }
  - { id: changed, uri: /changed, upstream_id: u, plugins: { degraphql: { query: "query ($name: String) { person(name: $name) { id } }", variables: [name] }, proxy-mirror: { host: "http://127.0.0.1:${upstreamPort}", path: /changed-copy } } }
  - { id: mirror, uri: /mirrored, upstream_id: u, plugins: { proxy-mirror: { host: "http://127.0.0.1:${upstreamPort}", path: /copy } } }
`,
  ({ target }, response) => {
    if (!target.startsWith('/gzip') && target !== '/brotli') return false
    response.writeHead(200, { 'Content-Type': 'text/html', ETag: '"1"' })
    response.end(page)
    return true
  },
)
const { send } = gateway

suite('gzip', () => {
  test('a large answer is compressed on its way', async () => {
    const answered = await request(`http://127.0.0.1:${gateway.port}/gzip/a`, {
      headers: { 'accept-encoding': 'gzip' },
    })
    const bytes = Buffer.from(await answered.body.arrayBuffer())
    assert.equal(answered.headers['content-encoding'], 'gzip')
    assert.equal(answered.headers['content-length'], undefined)
    assert.deepEqual([answered.headers.etag, answered.headers.vary], ['W/"1"', 'Accept-Encoding'])
    assert.ok(bytes.length < page.length / 10)
    assert.equal(gunzipSync(bytes).toString(), page)
  })

  test('clients that do not accept it get what the upstream said', async () => {
    const { headers, text } = await send('/gzip/a')
    assert.deepEqual([headers.get('content-encoding'), text.length], [null, page.length])
    assert.equal(headers.get('etag'), '"1"')
  })

  test('a body that another policy changed is compressed after that', async () => {
    const answered = await request(`http://127.0.0.1:${gateway.port}/rewritten`, {
      headers: { 'accept-encoding': 'gzip' },
    })
    assert.match(gunzipSync(Buffer.from(await answered.body.arrayBuffer())).toString(), /^(new ){20}$/)
  })
})

test('data-mask: the upstream gets all, and the log what is left', async () => {
  const { seen } = await send('/masked', {
    method: 'POST',
    headers: { 'x-card': '1234-5678' },
    body: '{"pin":"4711","a":1}',
  })
  assert.deepEqual([seen?.headers['x-card'], seen?.body.toString()], ['1234-5678', '{"pin":"4711","a":1}'])
  const text = await logged()
  assert.equal(JSON.parse(text).request.headers['x-card'], '1234-****')
  assert.equal(JSON.parse(text).request.body, '{"a":1}')
  assert.doesNotMatch(text, /4711|5678/)
})

suite('oas-validator', () => {
  const post = (body: string) =>
    send('/described/pets', { method: 'POST', headers: { 'content-type': 'application/json' }, body })

  test('a request that fits reaches the upstream as it is', async () => {
    assert.equal((await post('{ "name": "a" }')).seen?.body.toString(), '{ "name": "a" }')
  })

  test('the upstream does not see one that does not fit', async () => {
    const { status, text, seen } = await post('{}')
    assert.deepEqual([status, seen], [400, undefined])
    assert.equal(text, '{"message":"failed to validate request. "}\n')
  })
})

suite('gzip and brotli: clients get what they want more', () => {
  const cases: [wanted: string, coding: string | null][] = [
    ['gzip, br', 'br'],
    ['gzip, br;q=0.5', 'gzip'],
    ['gzip;q=0.2, br;q=0.5', 'br'],
    ['gzip', 'gzip'],
    ['br', 'br'],
    ['*', 'br'],
    ['*, br;q=0', 'gzip'],
    ['identity', null],
  ]
  for (const [wanted, coding] of cases) {
    test(wanted, async () => {
      const answered = await request(`http://127.0.0.1:${gateway.port}/both`, {
        headers: { 'accept-encoding': wanted },
      })
      const bytes = Buffer.from(await answered.body.arrayBuffer())
      assert.equal(answered.headers['content-encoding'] ?? null, coding)
      assert.equal(answered.headers.vary, 'Accept-Encoding')
      const plain =
        coding === 'br' ? brotliDecompressSync(bytes) : coding === 'gzip' ? gunzipSync(bytes) : bytes
      assert.equal(JSON.parse(plain.toString()).target, '/both')
    })
  }
})

test('brotli: a compressed answer', async () => {
  const { headers } = await send('/brotli', { headers: { 'accept-encoding': 'br' } })
  assert.equal(headers.get('content-encoding'), 'br')
})

suite('request-validation', () => {
  const post = (body: string) => send('/valid', { method: 'POST', body })

  test('what fits reaches the upstream as it was read', async () => {
    const { seen } = await post('{ "name": 1, "name": "a", "n": 1.10 }')
    assert.equal(seen?.body.toString(), '{"name":"a","n":1.10}')
    assert.equal(seen?.headers['content-length'], '21')
  })

  test('what does not fit reaches nobody', async () => {
    for (const body of ['{"name":1}', 'name', '', `{"name":"${'x'.repeat(100)}"}`]) {
      const { status, seen } = await post(body)
      assert.deepEqual([status, seen], [400, undefined])
    }
    assert.equal((await post('{}')).text, 'property "name" is required')
  })
})

suite('threat protection', () => {
  const post = (path: string, type: string, body: string) =>
    send(path, { method: 'POST', headers: { 'content-type': type }, body })

  test('what is within the limits reaches the upstream byte for byte', async () => {
    assert.equal(
      (await post('/json', 'application/json', '{"a" : [1.10]}')).seen?.body.toString(),
      '{"a" : [1.10]}',
    )
    assert.equal((await post('/xml', 'text/xml', '<a >\n<b/></a>')).seen?.body.toString(), '<a >\n<b/></a>')
  })

  test('what is not reaches nobody, however it is sent', async () => {
    const bodies = ['[[[]]]', '{"a":1,"a":2}', '{', '\ufeff{}', '['.repeat(100_000)]
    for (const body of bodies) {
      const { status, seen } = await post('/json', 'application/json', body)
      assert.deepEqual([status, seen], [400, undefined])
    }
    for (const body of ['<a><b><c/></b></a>', '<!DOCTYPE a><a/>', '<a>&b;</a>', '<a>']) {
      const { status, seen, text } = await post('/xml', 'application/soap+xml', body)
      assert.deepEqual([status, seen], [400, undefined])
      assert.match(text, /^\{"message":"The body was refused: it .*"\}\n$/)
    }
  })

  test('a chunked body is read whole before the upstream gets any of it', async () => {
    async function* pieces() {
      for (const piece of ['[[', '"a', '"],', '[']) yield piece
    }
    const before = gateway.received.length
    const url = `http://127.0.0.1:${gateway.port}/json`
    const answered = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Readable.from(pieces()),
    })
    await answered.body.dump()
    assert.deepEqual([answered.statusCode, gateway.received.length], [400, before])
  })
})

suite('threat protection of a large body, which is looked at on its way', () => {
  const large = `[${'"a",'.repeat(100_000)}"a"]`
  const head = (path: string, type: string, length: number) =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`

  /** What is answered to a request of which nothing more follows. */
  async function answerTo(text: string): Promise<string> {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.write(text)
    let answer = ''
    for await (const piece of socket) {
      answer += piece
      if (answer.includes('"}\n')) break
    }
    return answer
  }

  test('a sound one reaches the upstream byte for byte', async () => {
    const { status, seen } = await send('/json', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: large,
    })
    assert.equal(status, 200)
    assert.equal(seen?.body.toString(), large)
    const xml = `<a>${'<b/>'.repeat(50_000)}</a>`
    const sent = { method: 'POST', headers: { 'content-type': 'text/xml' }, body: xml }
    assert.equal((await send('/xml', sent)).seen?.body.toString(), xml)
  })

  test('what is wrong is answered at once, while the rest is still to come', async () => {
    const before = gateway.received.length
    const wrong = [
      [head('/json', 'application/json', 10_000_000), large.slice(0, 100_001), '[[['],
      [head('/xml', 'text/xml', 10_000_000), `<a>${'<b/>'.repeat(20_000)}`, '<b><c>'],
    ]
    for (const pieces of wrong) assert.match(await answerTo(pieces.join('')), /^HTTP\/1.1 400 .*too deeply"/s)
    assert.equal(gateway.received.length, before, 'no request reached the upstream as a whole')
  })

  test('one that ends too early is stopped before its last byte', async () => {
    const before = gateway.received.length
    const { status } = await send('/json', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: large.slice(0, -1),
    })
    assert.deepEqual([status, gateway.received.length], [400, before])
  })
})

suite('body-transformer', () => {
  const post = (body: string) => send('/made', { method: 'POST', body })

  test('the upstream gets the body that the template makes, and the client the answer', async () => {
    const { seen, text, headers } = await post('{"name":"é","tags":[1,"b"]}')
    assert.equal(seen?.body.toString(), '<n>é</n><t>1</t><t>b</t>')
    assert.equal(seen?.headers['content-length'], String(seen?.body.length))
    const { got, status } = JSON.parse(text) as { got: string; status: number }
    assert.deepEqual([JSON.parse(got).method, status], ['POST', 200])
    assert.equal(headers.get('transfer-encoding'), 'chunked')
  })

  test('a body that cannot be read reaches nobody', async () => {
    for (const [body, expected] of [
      ['{"name"', 400],
      ['{"name":"a","tags":1}', 503],
    ] as const) {
      const { status, seen } = await post(body)
      assert.deepEqual([status, seen], [expected, undefined])
    }
  })
})

test('degraphql: the upstream gets a GraphQL request', async () => {
  const { seen } = await send('/person', { method: 'POST', body: '{"name":"jack"}' })
  assert.deepEqual(JSON.parse(String(seen?.body)).variables, { name: 'jack' })
  assert.equal(seen?.headers['content-type'], 'application/json')
  assert.equal((await send('/person', { method: 'DELETE' })).status, 405)
})

test('proxy-mirror: the copy arrives beside the request', async () => {
  const answered = await request(`http://127.0.0.1:${gateway.port}/mirrored?a=b`, {
    method: 'POST',
    body: 'hello',
  })
  assert.match(await answered.body.text(), /"target":"\/mirrored\?a=b"/)
  const copy = () => gateway.received.find(({ target }) => target === '/copy?a=b')
  while (copy() === undefined) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([copy()!.method, copy()!.body.toString()], ['POST', 'hello'])
})

test('proxy-mirror: the copy has the body that the upstream gets', async () => {
  const answered = await request(`http://127.0.0.1:${gateway.port}/changed`, {
    method: 'POST',
    body: '{"name":"jack"}',
  })
  await answered.body.dump()
  const got = (path: string) => gateway.received.find(({ target }) => target === path)
  while (got('/changed-copy') === undefined) await new Promise((resolve) => setImmediate(resolve))
  const [original, copy] = [got('/changed')!, got('/changed-copy')!]
  assert.deepEqual(JSON.parse(copy.body.toString()).variables, { name: 'jack' })
  assert.equal(copy.body.toString(), original.body.toString())
  assert.equal(copy.headers['content-length'], original.headers['content-length'])
})

/** What the gateway wrote to its log, once it has. */
async function logged(): Promise<string> {
  while (!existsSync(log) || !readFileSync(log, 'utf8').endsWith('\n')) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return readFileSync(log, 'utf8')
}
