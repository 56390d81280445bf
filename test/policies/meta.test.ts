/** The envelope `_meta` through the wire. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'

let upstream: http.Server
let gateway: RunningGateway

before(async () => {
  upstream = http.createServer((request, response) => {
    request.resume()
    response.end(JSON.stringify(request.headers))
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  gateway = await startGateway((port) => configuration(port, (upstream.address() as AddressInfo).port))
})
after(async () => {
  await gateway?.stop()
  upstream.close()
})

const configuration = (port: number, upstreamPort: number) => `
gateway:
  workers: 1
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { enabled: false }
upstreams: [{ id: u, nodes: { "127.0.0.1:${upstreamPort}": 1 } }]
consumers:
  - { username: jack, plugins: { key-auth: { key: jack-key } } }
  - { username: jill, plugins: { key-auth: { key: jill-key } } }
global_rules:
  - id: g
    plugins:
      cors: { allow_origins: https://global.example, _meta: { filter: [[arg_cors, ==, global]] } }
routes:
  - id: plain
    uri: /plain
    upstream_id: u
    plugins: { key-auth: { realm: 7, _meta: { disable: true } } }
  - id: filtered
    uri: /filtered
    upstream_id: u
    plugins: { key-auth: { _meta: { filter: [[http_x_open, "~=", "yes"], [arg_who, in, [a, b]]] } } }
  - id: by-caller
    uri: /by-caller
    upstream_id: u
    plugins:
      key-auth: {}
      limit-count: { count: 1, time_window: 60, key_type: constant, key: all, _meta: { filter: [[consumer_name, ==, jack]] } }
  - id: text
    uri: /text
    upstream_id: u
    plugins: { key-auth: { _meta: { error_response: go away } } }
  - id: object
    uri: /object
    upstream_id: u
    plugins: { key-auth: { _meta: { error_response: { message: Missing credential in request } } } }
  - id: preflight
    uri: /preflight
    upstream_id: u
    plugins: { cors: { _meta: { error_response: nothing to do with it } }, key-auth: {} }
  - id: order
    uri: /order
    upstream_id: u
    plugins:
      key-auth: { _meta: { error_response: key-auth was first } }
      basic-auth: { _meta: { error_response: basic-auth was first, priority: 2499 } }
  - id: shadow
    uri: /shadow
    upstream_id: u
    plugins: { key-auth: { _meta: { mode: shadow } } }
`

async function send(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, { headers, method })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

test('disable leaves a policy out, with whatever is written in it', async () => {
  assert.equal((await send('/plain')).status, 200)
})

suite('filter', () => {
  test('skips the policy where the condition does not hold', async () => {
    assert.equal((await send('/filtered?who=a')).status, 401)
    assert.equal((await send('/filtered?who=c')).status, 200)
    assert.equal((await send('/filtered?who=a', { 'x-open': 'yes' })).status, 200)
    assert.equal((await send('/filtered?who=b', { apikey: 'jack-key' })).status, 200)
  })

  test('of a policy of the second pass knows who calls', async () => {
    const call = (apikey: string) => send('/by-caller', { apikey })
    assert.equal((await call('jill-key')).headers.get('x-ratelimit-limit'), null)
    assert.equal((await call('jack-key')).headers.get('x-ratelimit-limit'), '1')
    assert.equal((await call('jack-key')).status, 503)
    assert.equal((await call('jill-key')).status, 200)
  })

  test('holds for global rules too, also where no route is found', async () => {
    const allowed = async (path: string) =>
      (await send(path, { origin: 'https://global.example' })).headers.get('access-control-allow-origin')
    assert.equal(await allowed('/plain?cors=global'), 'https://global.example')
    assert.equal(await allowed('/plain?cors=no'), null)
    assert.equal(await allowed('/nowhere?cors=global'), 'https://global.example')
  })
})

suite('error_response', () => {
  test('takes the place of the body of a rejection, as text or as JSON', async () => {
    const text = await send('/text')
    assert.deepEqual([text.status, text.text], [401, 'go away'])
    assert.equal(text.headers.get('www-authenticate'), 'apikey realm="key"')
    const object = await send('/object')
    assert.deepEqual([object.status, object.text], [401, '{"message":"Missing credential in request"}\n'])
  })

  test('does not touch an answer below 400', async () => {
    const preflight = { origin: 'https://app.example', 'access-control-request-method': 'GET' }
    const { status, text } = await send('/preflight', preflight, 'OPTIONS')
    assert.deepEqual([status, text], [200, ''])
  })
})

test('priority changes the place in the chain', async () => {
  assert.equal((await send('/order')).text, 'key-auth was first')
})

test('a policy in shadow mode lets the request pass and tells what it would have answered', async () => {
  const { status, text } = await send('/shadow', { apikey: 'wrong' })
  assert.equal(status, 200)
  assert.equal(JSON.parse(text)['x-consumer-username'], undefined)
  while (!/shadow policy would have answered/.test(gateway.output())) await setTimeout(10)
})
