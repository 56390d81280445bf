import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const uri = 'http://127.0.0.1:1/'
const at_once = { batch_max_size: 1 }

suite('http-logger', () => {
  test('an entry tells the whole exchange', async (t) => {
    const { url, requests } = await logServer(t)
    const bound = bindPolicy(policy, { config: { uri: `${url}/in?a=1`, ...at_once, auth_header: 'Basic x' } })
    await bound.run(
      {
        method: 'POST',
        target: '/orders?id=7&id=8&flag&apikey=s3cret',
        headers: [
          ['User-Agent', 'tester'],
          ['Authorization', 'Bearer s3cret'],
          ['X-Many', 'a'],
          ['X-Many', 'b'],
        ],
        consumer: 'jack',
        body: 'hello',
      },
      {
        status: 201,
        headers: { 'Content-Type': 'text/plain', 'Set-Cookie': 's3cret=1' },
        body: 'made',
        duration: 9,
        upstreamDuration: 4,
      },
    )
    const { method, target, headers, body } = await requests.next()
    assert.deepEqual(
      [method, target, headers['content-type'], headers.authorization],
      ['POST', '/in?a=1', 'application/json', 'Basic x'],
    )
    assert.doesNotMatch(body, /s3cret/)
    const entry = JSON.parse(body)
    assert.deepEqual(entry.request, {
      url: 'http://api.example:9080/orders?id=7&id=8&flag&apikey=***',
      uri: '/orders?id=7&id=8&flag&apikey=***',
      method: 'POST',
      headers: {
        'user-agent': 'tester',
        authorization: '***',
        'x-many': ['a', 'b'],
        'x-consumer-username': 'jack',
      },
      querystring: { id: ['7', '8'], flag: true, apikey: '***' },
      size: 5,
    })
    assert.deepEqual(entry.response, {
      status: 201,
      headers: { 'content-type': 'text/plain', 'set-cookie': '***' },
      size: 4,
    })
    const { request: _, response: __, start_time: start, ...others } = entry
    assert.equal(start, Date.UTC(2026, 0, 1))
    assert.deepEqual(others, {
      server: { hostname: 'gateway.example', version: '1.2.3' },
      upstream: '192.0.2.1:8080',
      service_id: 's1',
      route_id: 'r1',
      consumer: { username: 'jack' },
      client_ip: '203.0.113.7',
      latency: 9,
      upstream_latency: 4,
      apisix_latency: 5,
    })
  })

  test('an answer of the gateway itself names no upstream', async (t) => {
    const { url, requests } = await logServer(t)
    const bound = bindPolicy(policy, { config: { uri: url, ...at_once } })
    await bound.run({}, { notProxied: true, status: 503, duration: 2 })
    const entry = JSON.parse((await requests.next()).body)
    assert.deepEqual(
      [entry.upstream, entry.upstream_latency, entry.apisix_latency],
      [undefined, undefined, 2],
    )
  })

  test('a batch is a list, or an entry a line', async (t) => {
    const { url, requests } = await logServer(t)
    for (const [concat_method, type, pattern] of [
      ['json', 'application/json', /^\[\{.*\},\{.*\}\]$/],
      ['new_line', 'text/plain', /^\{.*\}\n\{.*\}$/],
    ] as const) {
      const bound = bindPolicy(policy, { config: { uri: url, batch_max_size: 2, concat_method } })
      await bound.run()
      await bound.run()
      const { headers, body } = await requests.next()
      assert.equal(headers['content-type'], type)
      assert.match(body, pattern)
      assert.equal(headers.authorization, undefined)
    }
  })

  test('log_format takes the place of the entry: variables, constants, and maps in maps', async (t) => {
    const { url, requests } = await logServer(t)
    const log_format = {
      host: '$host',
      kind: 'constant',
      n: 7,
      missing: '$http_nothing',
      client: { ip: '$remote_addr', deep: { agent: '$http_user_agent' } },
      a: { b: { c: { d: { e: { f: 'too deep' } } } } },
    }
    const bound = bindPolicy(policy, { config: { uri: url, ...at_once, log_format } })
    await bound.run({ headers: { 'user-agent': '\u00c3\u00a4' } })
    assert.deepEqual(JSON.parse((await requests.next()).body), {
      host: 'api.example',
      kind: 'constant',
      n: 7,
      client: { ip: '203.0.113.7', deep: { agent: 'ä' } },
      a: { b: { c: { d: { e: {} } } } },
      route_id: 'r1',
      service_id: 's1',
    })
  })

  test('the format of the metadata is used where the configuration has none; extra fields take no place', async (t) => {
    const { url, requests } = await logServer(t)
    const entryOf = async (config: object, given: object) => {
      const metadata = { max_pending_entries: 10, ...given }
      await bindPolicy(policy, { config: { uri: url, ...at_once, ...config }, metadata }).run()
      return JSON.parse((await requests.next()).body)
    }
    const metadata = { log_format: { from: 'metadata' } }
    assert.equal((await entryOf({}, metadata)).from, 'metadata')
    assert.equal((await entryOf({ log_format: { from: 'route' } }, metadata)).from, 'route')
    assert.equal((await entryOf({}, { log_format: {} })).request.method, 'GET')
    const extra = await entryOf({}, { log_format_extra: { more: '$host', route_id: 'other' } })
    assert.deepEqual([extra.more, extra.route_id, extra.request.method], ['api.example', 'r1', 'GET'])
    const both = await entryOf({ log_format: { from: 'route' }, log_format_extra: { more: 'x' } }, {})
    assert.deepEqual(both, { from: 'route', route_id: 'r1', service_id: 's1' })
  })

  test('bodies are logged as far as they may, under their conditions', async (t) => {
    const { url, requests } = await logServer(t)
    const bound = bindPolicy(policy, {
      config: {
        uri: url,
        ...at_once,
        include_req_body: true,
        include_req_body_expr: [['request_method', '==', 'POST']],
        include_resp_body: true,
        include_resp_body_expr: [['status', '==', '200']],
        max_req_body_bytes: 5,
        max_resp_body_bytes: 7,
      },
    })
    const bodies = async (method: string, status: number) => {
      await bound.run({ method, body: 'a request' }, { status, body: 'an answer' })
      const { request, response } = JSON.parse((await requests.next()).body)
      return [request.body, response.body]
    }
    assert.deepEqual(await bodies('POST', 200), ['a req', 'an answ'])
    assert.deepEqual(await bodies('PUT', 404), [undefined, undefined])
  })

  test('$request_body in a format has the body held for it', async (t) => {
    const { url, requests } = await logServer(t)
    const bound = bindPolicy(policy, { config: { uri: url, ...at_once, log_format: { b: '$request_body' } } })
    await bound.run({ method: 'POST', body: 'hi' })
    assert.equal(JSON.parse((await requests.next()).body).b, 'hi')
  })

  test('what is not taken is counted', async (t) => {
    const { url, requests } = await logServer(t, () => ({ status: 500 }))
    const bound = bindPolicy(policy, { config: { uri: url, ...at_once } })
    await bound.run()
    await requests.next()
    while (bound.logged.length === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.ok(bound.series().includes('sluice_log_entries_total{policy="http-logger",outcome="failed"} 1'))
  })

  for (const [config, finding] of [
    [{}, /uri/],
    [{ uri: 'nowhere' }, /uri: must be an address/],
    [{ uri: 'ftp://a/' }, /uri: must be an address of http or https/],
    [{ uri: 'http://user:pass@host/' }, /uri/],
    [{ uri, timeout: 0 }, /timeout/],
    [{ uri, concat_method: 'xml' }, /concat_method/],
    [{ uri, batch_max_size: 0 }, /batch_max_size/],
    [{ uri, max_retry_count: -1 }, /max_retry_count/],
    [{ uri, include_req_body_expr: [] }, /include_req_body_expr/],
    [{ uri, include_resp_body: true, include_resp_body_expr: [['a', '<>', 'b']] }, /include_resp_body_expr/],
    [{ uri, log_format: 'x' }, /log_format/],
  ] as const) {
    test(`is refused: ${JSON.stringify(config)}`, () => {
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding)
    })
  }
})

test('a compressed answer is logged as what it says, also when its end is missing', async () => {
  const { LogEntries } = await import('../kit/logging/index.ts')
  const text = 'the quick brown fox '.repeat(100)
  const host = {
    variable: () => () => undefined,
    condition: () => () => true,
    gateway: { hostname: '', version: '' },
    metadata: undefined,
  }
  for (const cut of [0, 10]) {
    const entries = new LogEntries({ include_resp_body: true }, host)
    const run = await bindPolicy(policy, { config: { uri } }).run(
      {},
      { headers: { 'Content-Encoding': 'gzip' } },
    )
    const bytes = gzipSync(text)
    entries.bodyHandlers.responseBody!(run.exchange, bytes.subarray(0, bytes.length - cut))
    const body = (entries.read(run.exchange).response as { body: string }).body
    assert.ok(body.length > 0 && text.startsWith(body), `without its last ${cut} bytes`)
  }
})
