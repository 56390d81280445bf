/** Policies that choose the upstream, through the wire. The name of an upstream is the host that it asks for. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { freePort } from '../harness/gateway.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const control = await freePort()
const dead = await freePort()

const gateway = policyGateway((port) => {
  const named = (name: string, more = '') =>
    `pass_host: rewrite, upstream_host: ${name}.example, nodes: { "127.0.0.1:${port}": 1 }${more}`
  return `
gateway:
  control: { host: 127.0.0.1, port: ${control} }
upstreams:
  - { id: base, ${named('base')} }
  - { id: green, ${named('green')} }
consumers:
  - { username: jack, plugins: { key-auth: { key: jack-key } } }
routes:
  - id: weights
    uri: /weights
    upstream_id: base
    plugins:
      traffic-split:
        rules: [{ weighted_upstreams: [{ upstream: { ${named('canary')} }, weight: 2 }, { upstream_id: green }, { weight: 1 }] }]
  - id: vars
    uri: /vars
    upstream_id: base
    plugins:
      key-auth: {}
      traffic-split:
        rules: [{ match: [{ vars: [[consumer_name, ==, jack], [arg_new, ==, "1"]] }], weighted_upstreams: [{ upstream_id: green }] }]
  - id: chash
    uri: /chash
    upstream_id: base
    plugins:
      traffic-split:
        rules: [{ weighted_upstreams: [{ upstream: { type: chash, key: arg_k, ${named('hashed')} } }] }]
  - id: retries
    uri: /retries
    upstream_id: base
    plugins:
      traffic-split:
        rules: [{ weighted_upstreams: [{ upstream: { pass_host: rewrite, upstream_host: retried.example, nodes: { "127.0.0.1:${dead}": 1000, "localhost:${port}": 1 } } }] }]
  - { id: example, uri: /example, plugins: { example-plugin: { i: 1, ip: 127.0.0.1, port: ${port} } } }
  - id: refused
    uri: /refused
    upstream_id: base
    timeout: { connect: 1, send: 1, read: 1 }
    plugins:
      traffic-split: { rules: [{ weighted_upstreams: [{ upstream: { nodes: { "127.0.0.1:${dead}": 1 } } }] }] }
`
})

const destination = async (path: string, headers: Record<string, string> = {}) =>
  (await gateway.send(path, { headers })).seen?.headers.host

test('example-plugin sends requests to the node that it names, on a route without an upstream', async () => {
  const { status, seen } = await gateway.send('/example')
  assert.deepEqual([status, seen?.target], [200, '/example'])
})

suite('traffic-split', () => {
  test('sends every upstream its share', async () => {
    const sent: (string | undefined)[] = []
    for (let i = 0; i < 8; i++) sent.push(await destination('/weights'))
    const cycle = ['canary.example', 'green.example', 'base.example', 'canary.example']
    assert.deepEqual(sent, [...cycle, ...cycle])
  })

  test('follows conditions, also on the consumer', async () => {
    const apikey = 'jack-key'
    assert.equal(await destination('/vars?new=1', { apikey }), 'green.example')
    assert.equal(await destination('/vars?new=2', { apikey }), 'base.example')
    assert.equal((await gateway.send('/vars?new=1')).status, 401)
  })

  test('an upstream in place balances, retries and fails as any other', async () => {
    assert.equal(await destination('/chash?k=1'), 'hashed.example')
    assert.equal(await destination('/retries'), 'retried.example')
    assert.equal((await gateway.send('/refused')).status, 502)
  })

  test('is explained with the upstream that it chose', async () => {
    const answer = await fetch(`http://127.0.0.1:${control}/v1/explain`, {
      method: 'POST',
      body: JSON.stringify({ method: 'GET', url: '/chash?k=1' }),
    })
    const text = await answer.text()
    assert.match(text, /route:chash\/traffic-split\/rules\.0\.weighted_upstreams\.0\.upstream/)
    assert.match(text, /Host: hashed\.example/)
  })
})
