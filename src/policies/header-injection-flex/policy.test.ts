import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const inbound = (key: string, value: string) => ({ inboundHeaders: [{ key, value }] })

test('fields are put beside those that are there', async () => {
  const { run } = bindPolicy(policy, {
    config: {
      ...inbound('X-A', 'of the gateway'),
      outboundHeaders: [{ key: 'X-B', value: "#['was ' ++ attributes.statusCode]" }],
    },
  })
  const { upstream, answer } = await run(
    { headers: { 'x-a': 'of the client' } },
    { headers: { 'x-b': 'theirs' } },
  )
  assert.equal(upstream?.headers['x-a'], 'of the client, of the gateway')
  assert.match(answer.headers['x-b'] ?? '', /was 200/)
})

test('fields that exist once are replaced', async () => {
  const { run } = bindPolicy(policy, { config: inbound('Content-Type', 'text/plain') })
  const { upstream } = await run({
    method: 'POST',
    body: 'a',
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(upstream?.headers['content-type'], 'text/plain')
})

test('values come from expressions; none is an empty field', async () => {
  const { run } = bindPolicy(policy, {
    config: {
      inboundHeaders: [
        { key: 'X-Method', value: '#[lower(attributes.method)]' },
        { key: 'X-Query', value: "#[attributes.queryParams['q'] default 'none']" },
        { key: 'X-None', value: "#[attributes.headers['not-there']]" },
        { key: 'X-Client', value: '#[attributes.clientAddress.ip]' },
        { key: 'X-Uri', value: '#[attributes.requestUri]' },
        { key: 'X-Text', value: 'attributes.method' },
      ],
    },
  })
  const { upstream } = await run({ target: '/a/b?q=%C3%A9', address: '203.0.113.9' })
  const { headers } = upstream!
  assert.equal(headers['x-method'], 'get')
  assert.equal(headers['x-query'], Buffer.from('é').toString('latin1'))
  assert.equal(headers['x-none'], '')
  assert.equal(headers['x-client'], '203.0.113.9')
  assert.equal(headers['x-uri'], '/a/b?q=%C3%A9')
  assert.equal(headers['x-text'], 'attributes.method')
})

test('a value that would break the message, or an expression that fails, is 500 and reaches nobody', async () => {
  for (const value of ["#[attributes.queryParams['q']]", '#[attributes.method and true]']) {
    const { run, logged } = bindPolicy(policy, { config: inbound('X-A', value) })
    const { answer, upstream } = await run({ target: '/?q=a%0d%0aX-Evil:%201' })
    assert.equal(upstream, undefined, value)
    assert.equal(answer.status, 500)
    assert.equal(answer.body, '{"error":"A header could not be worked out"}')
    assert.equal(logged.length, 1)
  }
})

test('a value can come from the body', async () => {
  const { run } = bindPolicy(policy, { config: inbound('X-User', '#[payload.user.name]') })
  const { upstream } = await run({
    method: 'POST',
    body: '{"user":{"name":"Ada"}}',
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(upstream?.headers['x-user'], 'Ada')
  assert.equal(upstream?.body, '{"user":{"name":"Ada"}}')
})

test('what it does not take', () => {
  for (const config of [
    {},
    { inboundHeaders: [], outboundHeaders: [] },
    inbound('', 'a'),
    inbound('a b', 'a'),
    inbound('Content-Length', '1'),
    inbound('Transfer-Encoding', 'chunked'),
    inbound('Host', 'a'),
    inbound('X-A', '#[attributes.statusCode]'),
    { outboundHeaders: [{ key: 'X-A', value: '#[payload.a]' }] },
    { outboundHeaders: [{ key: 'X-A', value: '#[nothing]' }] },
    { inboundHeaders: [{ key: 'X-A' }] },
    { ...inbound('X-A', 'a'), other: 1 },
  ]) {
    assert.throws(() => bindPolicy(policy, { config: config as never }), JSON.stringify(config))
  }
})
