/** Policies that answer, send elsewhere or tell more of a request, through the wire: what client and upstream got. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

const { send } = policyGateway(
  () => `
gateway:
  https_port: 8443
consumers:
  - { username: jack, plugins: { key-auth: { key: auth-one } } }
plugin_metadata:
  - { id: error-page, enable: true, error_404: { body: "<p>nothing here</p>" }, error_503: { body: "{}", content_type: application/json } }
global_rules:
  - { id: pages, plugins: { error-page: {} } }
routes:
  - { id: fixed, uri: /fixed/*, upstream_id: u, plugins: { redirect: { uri: "$uri/new", ret_code: 301, append_query_string: true } } }
  - { id: regex, uris: [/test/*, /other], upstream_id: u, plugins: { redirect: { regex_uri: ["^/test/(.*)", "https://test.example/$1"], encode_uri: true } } }
  - { id: https, uri: /secure, upstream_id: u, plugins: { redirect: { http_to_https: true } } }
  - { id: id, uri: /id, upstream_id: u, plugins: { request-id: {}, response-rewrite: { headers: { set: { X-Seen: "$apisix_request_id" } } } } }
  - { id: real, uri: /real, upstream_id: u, plugins: { real-ip: { source: http_xff }, response-rewrite: { headers: { set: { X-Client: "$remote_addr $remote_port $realip_remote_addr" } } } } }
  - { id: only, uri: /only, upstream_id: u, plugins: { real-ip: { source: arg_ip, trusted_addresses: [127.0.0.0/8] }, ip-restriction: { whitelist: [1.1.1.1] } } }
  - { id: mock, uri: /mock, plugins: { key-auth: {}, mocking: { response_example: "hello $consumer_name", content_type: text/plain, response_status: 202 } } }
  - { id: metrics, uri: /metrics, plugins: { key-auth: {}, public-api: { uri: /apisix/prometheus/metrics } } }
  - { id: status, uri: /apisix/status, plugins: { public-api: {} } }
  - { id: echo, uri: /echo, upstream_id: u, plugins: { echo: { before_body: "<", after_body: ">", headers: { X-Echo: 1 } } } }
  - { id: nothing, uri: /nowhere, upstream: { nodes: {} }, plugins: { server-info: {} } }
`,
  (_, response) => {
    response.setHeader('ETag', '"1"')
    return false
  },
)

suite('redirect', () => {
  test('to a URI with variables, without the upstream', async () => {
    const { status, headers, seen } = await send('/fixed/a?x=%20')
    assert.deepEqual([status, headers.get('location'), seen], [301, '/fixed/a/new?x=%20', undefined])
  })

  test('what the client encoded is encoded again and ends no field', async () => {
    assert.equal(
      (await send('/test/a%20b%0d%0aX:%20y')).headers.get('location'),
      'https://test.example/a%20b%0D%0AX:%20y',
    )
    assert.equal((await send('/fixed/%0d%0aX:y')).headers.get('location'), '/fixed/%0D%0AX:y/new')
    assert.ok((await send('/other')).seen)
  })

  test('to https, whatever a peer that is not trusted says about its scheme', async () => {
    const answer = await send('/secure?a=1', {
      headers: { host: 'foo.com:99', 'x-forwarded-proto': 'https' },
    })
    assert.deepEqual(
      [answer.status, answer.headers.get('location')],
      [301, 'https://foo.com:8443/secure?a=1'],
    )
    assert.equal((await send('/secure', { method: 'POST', body: 'x' })).status, 308)
  })
})

test('request-id: upstream, client and variables share one id', async () => {
  const { headers, seen } = await send('/id')
  const id = headers.get('x-request-id')
  assert.match(String(id), /^[\da-f-]{36}$/)
  assert.equal(seen?.headers['x-request-id'], id)
  assert.equal(headers.get('x-seen'), id)
  assert.equal(
    (await send('/id', { headers: { 'x-request-id': 'mine' } })).headers.get('x-request-id'),
    'mine',
  )
})

suite('real-ip', () => {
  test('the address stands in variables and in what the upstream gets', async () => {
    const { headers, seen } = await send('/real', { headers: { xff: '[2001:db8::1]:70' } })
    assert.equal(headers.get('x-client'), '2001:db8::1 70 127.0.0.1')
    assert.deepEqual(
      [seen?.headers['x-real-ip'], seen?.headers['x-forwarded-for']],
      ['2001:db8::1', '2001:db8::1'],
    )
  })

  test('what is no address changes nothing', async () => {
    const { headers } = await send('/real', { headers: { xff: 'evil.example' } })
    assert.match(String(headers.get('x-client')), /^127\.0\.0\.1 \d+ 127\.0\.0\.1$/)
  })

  test('later policies judge by it', async () => {
    assert.equal((await send('/only?ip=1.1.1.1')).status, 200)
    const refused = await send('/only?ip=1.1.1.2')
    assert.deepEqual([refused.status, refused.seen], [403, undefined])
  })
})

test('mocking: an answer without an upstream, after authentication', async () => {
  assert.equal((await send('/mock')).status, 401)
  const { status, headers, text } = await send('/mock', { headers: { apikey: 'auth-one' } })
  assert.deepEqual([status, text], [202, 'hello jack'])
  assert.deepEqual([headers.get('content-type'), headers.get('x-mock-by')], ['text/plain', 'sluice'])
})

test('node-status: connections and requests of the whole gateway through a route', async () => {
  const read = async () => JSON.parse((await send('/apisix/status')).text)
  const first = await read()
  assert.match(first.id, /^[0-9a-f-]{36}$/)
  assert.deepEqual(Object.keys(first.status).sort(), [
    'accepted',
    'active',
    'handled',
    'reading',
    'total',
    'waiting',
    'writing',
  ])
  for (const count of Object.values(first.status)) assert.match(count as string, /^[0-9]+$/)
  const second = await read()
  assert.equal(second.id, first.id)
  assert.ok(Number(second.status.total) > Number(first.status.total))
  assert.ok(Number(second.status.active) >= 1)
  assert.equal((await send('/apisix/status', { method: 'POST' })).status, 404)
})

test('public-api: the metrics through a route, for callers who may', async () => {
  assert.equal((await send('/metrics')).status, 401)
  const { status, text, seen } = await send('/metrics', { headers: { apikey: 'auth-one' } })
  assert.deepEqual([status, seen], [200, undefined])
  assert.match(text, /^# HELP /m)
  assert.equal((await send('/apisix/prometheus/metrics')).status, 404)
})

test('echo: texts around the body of the upstream', async () => {
  const { headers, text } = await send('/echo')
  assert.match(text, /^<\{.*\}>$/s)
  assert.deepEqual(
    [headers.get('etag'), headers.get('x-echo'), headers.get('content-length')],
    [null, '1', null],
  )
})

test('error-page: pages for the gateway’s own errors', async () => {
  const missing = await send('/no/such/route')
  assert.deepEqual([missing.status, missing.text], [404, '<p>nothing here</p>'])
  assert.equal(missing.headers.get('content-type'), 'text/html')
  const broken = await send('/nowhere')
  assert.deepEqual(
    [broken.status, broken.text, broken.headers.get('content-type')],
    [503, '{}', 'application/json'],
  )
})
