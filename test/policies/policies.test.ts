/** The first policies through the wire: a gateway process with two data threads, a real upstream, real clients. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { freePort } from '../harness/gateway.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-policies-'))
after(() => rmSync(folder, { recursive: true }))
const metricsPort = await freePort()

const gateway = policyGateway(
  () => `
gateway:
  workers: 2
  metrics: { host: 127.0.0.1, port: ${metricsPort} }
consumers:
  - username: jack
    plugins:
      key-auth: { key: auth-one }
      basic-auth: { username: foo, password: bar }
      client-id-enforcement: { client_id: id-1, client_secret: s3cret }
  - username: jill
    plugins:
      client-id-enforcement: { client_id: id-2, client_secret: hunter2 }
contracts:
  - { id: c1, consumer: jack, route_id: sla, tier: silver }
global_rules:
  - id: observe
    plugins:
      prometheus: {}
      message-logging:
        sink: { type: file, path: ${join(folder, 'access.log')} }
        fields: { agent: $http_user_agent }
routes:
  - { id: key, uri: /key, upstream_id: u, plugins: { key-auth: { hide_credentials: true } } }
  - { id: basic, uri: /basic, upstream_id: u, plugins: { basic-auth: { hide_credentials: true } } }
  - id: client-id
    uri: /client-id
    upstream_id: u
    plugins: { client-id-enforcement: { credentialsOriginHasHttpBasicAuthenticationHeader: customExpression } }
  - id: limited
    uri: /limited
    upstream_id: u
    plugins: { limit-count: { count: 20, time_window: 60, key: http_x_test, rejected_code: 429, rejected_msg: slow } }
  - id: sla
    uri: /sla
    upstream_id: u
    plugins:
      client-id-enforcement: { credentialsOriginHasHttpBasicAuthenticationHeader: httpBasicAuthenticationHeader }
      sla-rate-limiting:
        tiers: [{ name: silver, limits: [{ maximumRequests: 2, timePeriodInMilliseconds: 60000 }] }]
  - id: cors
    uri: /cors
    upstream_id: u
    plugins:
      cors: { allow_origins: "https://app.example", allow_methods: "GET,POST", allow_headers: apikey }
      key-auth: {}
`,
  (_, response) => {
    response.setHeader('Vary', 'Via')
    return false
  },
)
const { send } = gateway

const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })

suite('key-auth', () => {
  test('a key in the header identifies its consumer and stays here', async () => {
    const { status, seen } = await send('/key?a=1', { headers: { apikey: 'auth-one' } })
    assert.equal(status, 200)
    assert.equal(seen?.headers['x-consumer-username'], 'jack')
    assert.equal(seen?.headers.apikey, undefined)
    assert.equal(seen?.target, '/key?a=1')
  })

  test('a key in the query stays here, and the rest of the query goes on', async () => {
    const { status, seen } = await send('/key?a=%2f&apikey=auth-one&b')
    assert.equal(status, 200)
    assert.equal(seen?.target, '/key?a=%2f&b')
    assert.equal((await send('/key?apikey=auth-one')).seen?.target, '/key')
  })

  test('nobody poses as a consumer', async () => {
    const headers = { apikey: 'auth-one', 'X-Consumer-Username': 'root', 'X-Credential-Identifier': 'x' }
    const { seen } = await send('/key', { headers })
    assert.equal(seen?.headers['x-consumer-username'], 'jack')
    assert.equal(seen?.headers['x-credential-identifier'], undefined)
  })

  test('without a key: 401, the challenge and the message', async () => {
    const { status, headers, text } = await send('/key')
    assert.equal(status, 401)
    assert.equal(headers.get('www-authenticate'), 'apikey realm="key"')
    assert.equal(text, '{"message":"Missing API key in request"}\n')
  })
})

test('basic-auth identifies, hides and rejects', async () => {
  const good = await send('/basic', { headers: basic('foo:bar') })
  assert.equal(good.seen?.headers['x-consumer-username'], 'jack')
  assert.equal(good.seen?.headers.authorization, undefined)
  const bad = await send('/basic', { headers: basic('foo:baz') })
  assert.equal(bad.status, 401)
  assert.equal(bad.headers.get('www-authenticate'), 'Basic realm="basic"')
  assert.equal(bad.text, '{"message":"Invalid user authorization"}\n')
})

test('client-id-enforcement admits registered applications, and asks for a contract where there are any', async () => {
  const jill = await send('/client-id', { headers: { client_id: 'id-2', client_secret: 'hunter2' } })
  assert.equal(jill.seen?.headers['x-consumer-username'], 'jill')
  const stranger = await send('/client-id', { headers: { client_id: 'id-3', client_secret: 'x' } })
  assert.equal(stranger.headers.get('www-authenticate'), 'Client-ID-Enforcement')
  const withoutContract = await send('/sla', { headers: basic('id-2:hunter2') })
  for (const { status, headers, text } of [stranger, withoutContract]) {
    assert.equal(status, 401)
    assert.equal(text, '{"error":"Authentication Attempt Failed"}')
    assert.equal(headers.get('content-type'), 'application/json')
  }
})

/** For requests that are sent side by side. */
async function ask(path: string, headers: Record<string, string>) {
  const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, { headers })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

test('limit-count lets exactly its count pass, whichever thread counts', async () => {
  const headers = { 'x-test': 'exact', connection: 'close' }
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask('/limited', headers)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 20)
  const refused = answers.filter(({ status }) => status === 429)
  assert.equal(refused.length, 40)
  assert.equal(refused[0]!.text, '{"error_msg":"slow"}\n')
  assert.equal(refused[0]!.headers.get('x-ratelimit-limit'), '20')
  assert.equal(refused[0]!.headers.get('x-ratelimit-remaining'), '0')
  assert.match(refused[0]!.headers.get('x-ratelimit-reset')!, /^\d+(\.\d{1,2})?$/)
  assert.match(refused[0]!.headers.get('retry-after')!, /^\d+$/)
})

test('sla-rate-limiting holds the tier of the contract', async () => {
  const request = { headers: basic('id-1:s3cret') }
  assert.equal((await send('/sla', request)).headers.get('x-ratelimit-remaining'), '1')
  assert.equal((await send('/sla', request)).headers.get('x-ratelimit-remaining'), '0')
  const refused = await send('/sla', request)
  assert.equal(refused.status, 429)
  assert.equal(refused.text, '{"error":"Too Many Requests"}')
  assert.equal(refused.headers.get('content-type'), 'application/json; charset=UTF-8')
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
})

suite('cors', () => {
  test('a preflight is answered before authentication', async () => {
    const { status, headers, text } = await send('/cors', {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
    })
    assert.equal(status, 200)
    assert.equal(text, '')
    assert.equal(headers.get('access-control-allow-origin'), 'https://app.example')
    assert.equal(headers.get('access-control-allow-methods'), 'GET,POST')
    assert.equal(headers.get('vary'), 'Origin')
  })

  test('a rejection of another policy can be read by the script', async () => {
    const { status, headers } = await send('/cors', { headers: { origin: 'https://app.example' } })
    assert.equal(status, 401)
    assert.equal(headers.get('access-control-allow-origin'), 'https://app.example')
  })

  test('the fields of the upstream stay, those of CORS join them', async () => {
    const allowed = await send('/cors', { headers: { origin: 'https://app.example', apikey: 'auth-one' } })
    assert.equal(allowed.headers.get('vary'), 'Via, Origin')
    const other = await send('/cors', { headers: { origin: 'https://evil.example', apikey: 'auth-one' } })
    assert.equal(other.headers.get('access-control-allow-origin'), null)
    assert.equal(other.headers.get('vary'), 'Via, Origin')
  })
})

test('message-logging tells every exchange once, with its extra fields, and no secret', async () => {
  await send('/key?mark=logged', { headers: { apikey: 'auth-one', 'user-agent': 'tester/1 "q"' } })
  await send('/nowhere')
  const file = join(folder, 'access.log')
  const lines = await eventually(async () => {
    const text = await readFile(file, 'utf8').catch(() => '')
    return text.includes('/nowhere') && text.includes('tester/1') ? text.trim().split('\n') : undefined
  })
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const entry = entries.find(({ agent }) => agent === 'tester/1 "q"')!
  assert.equal(entry['http.response.status_code'], 200)
  assert.equal(entry['url.path'], '/key')
  assert.equal(entry['sluice.route'], 'key')
  assert.equal(entry['sluice.consumer'], 'jack')
  assert.equal(entry['sluice.outcome'], 'complete')
  assert.ok((entry['event.duration'] as number) > 0)
  const lost = entries.find((candidate) => candidate['url.path'] === '/nowhere')!
  assert.equal(lost['http.response.status_code'], 404)
  assert.equal('sluice.route' in lost, false)
  assert.equal(new Set(entries.map((candidate) => candidate['http.request.id'])).size, entries.length)
  assert.doesNotMatch(lines.join('\n'), /auth-one|s3cret|hunter2|Basic /)
})

test('prometheus counts by route and consumer, also what no route matched', async () => {
  await send('/key', { headers: { apikey: 'auth-one' } })
  await send('/nowhere')
  const text = await eventually(async () => {
    const page = await (await fetch(`http://127.0.0.1:${metricsPort}/apisix/prometheus/metrics`)).text()
    return /http_status\{[^}]*code="404"[^}]*\} [1-9]/.test(page) ? page : undefined
  })
  assert.match(
    text,
    /apisix_http_status\{code="200",route="key",matched_uri="\/key",matched_host="",service="",consumer="jack",node="127\.0\.0\.1",request_type="traditional_http",request_llm_model="",llm_model="",response_source="upstream"\} [1-9]/,
  )
  assert.match(text, /apisix_http_status\{code="404",route="",[^}]*response_source="apisix"\} [1-9]/)
  assert.match(
    text,
    /apisix_http_latency_bucket\{[^}]*le="1000"[^}]*type="upstream"[^}]*\} [1-9]|type="upstream"[^}]*le="1000"/,
  )
  assert.match(text, /apisix_bandwidth\{type="egress",route="key"/)
})

/** Asks again until there is something; the test runner's own timeout bounds it. */
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await ask()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
