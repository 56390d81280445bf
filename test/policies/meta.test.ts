/** The envelope `_meta` through the wire. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { policyGateway } from '../harness/policy-gateway.ts'

const { send, output } = policyGateway(
  () => `
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
`,
)

test('disable leaves a policy out, with whatever is written in it', async () => {
  assert.equal((await send('/plain')).status, 200)
})

suite('filter', () => {
  test('skips the policy where the condition does not hold', async () => {
    assert.equal((await send('/filtered?who=a')).status, 401)
    assert.equal((await send('/filtered?who=c')).status, 200)
    assert.equal((await send('/filtered?who=a', { headers: { 'x-open': 'yes' } })).status, 200)
    assert.equal((await send('/filtered?who=b', { headers: { apikey: 'jack-key' } })).status, 200)
  })

  test('of a policy of the second pass knows who calls', async () => {
    const call = (apikey: string) => send('/by-caller', { headers: { apikey } })
    assert.equal((await call('jill-key')).headers.get('x-ratelimit-limit'), null)
    assert.equal((await call('jack-key')).headers.get('x-ratelimit-limit'), '1')
    assert.equal((await call('jack-key')).status, 503)
    assert.equal((await call('jill-key')).status, 200)
  })

  test('holds for global rules too, also where no route is found', async () => {
    const allowed = async (path: string) =>
      (await send(path, { headers: { origin: 'https://global.example' } })).headers.get(
        'access-control-allow-origin',
      )
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
    const { status, text } = await send('/preflight', { headers: preflight, method: 'OPTIONS' })
    assert.deepEqual([status, text], [200, ''])
  })
})

test('priority changes the place in the chain', async () => {
  assert.equal((await send('/order')).text, 'key-auth was first')
})

test('a policy in shadow mode lets the request pass and tells what it would have answered', async () => {
  const { status, seen } = await send('/shadow', { headers: { apikey: 'wrong' } })
  assert.equal(status, 200)
  assert.equal(seen?.headers['x-consumer-username'], undefined)
  while (!/shadow policy would have answered/.test(output())) await setTimeout(10)
})
