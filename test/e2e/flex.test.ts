/** Configuration of Flex Gateway's local mode through a real gateway: where requests go, and what the upstream gets of them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { request } from 'undici'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'

interface Seen {
  target: string
  method: string
  headers: http.IncomingHttpHeaders
  /** Of the two upstreams. */
  name: string
}

let gateway: RunningGateway | undefined
const origins: http.Server[] = []
const seen: Seen[] = []
const ports = { plain: 0, rules: 0, contracts: 0 }

async function startOrigin(name: string): Promise<number> {
  const server = http.createServer((incoming, response) => {
    const { url: target = '', method = '', headers } = incoming
    seen.push({ target, method, headers, name })
    response.setHeader('X-Powered-By', name)
    response.end(name)
  })
  origins.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const api = (name: string, address: string, rest = '') => `---
apiVersion: gateway.mulesoft.com/v1alpha1
kind: ApiInstance
metadata: { name: ${name}, labels: { kind: ${name} } }
spec:
  address: ${address}
${rest}`

const binding = (name: string, target: string, policy: string, rest: string) => `---
apiVersion: gateway.mulesoft.com/v1alpha1
kind: PolicyBinding
metadata: { name: ${name} }
spec:
  targetRef: ${target}
  policyRef: { name: ${policy} }
${rest}`

/** Rows of the documentation's table: the base path, the rule, the destination, what comes in, what goes out. */
const rows = [
  ['', '/api/.*', '', '/api/foo/bar', '/api/foo/bar'],
  ['', '/api(/.*)', '', '/api/foo/bar', '/foo/bar'],
  ['', '/api/.*', '/orders', '/api/foo/bar', '/orders/api/foo/bar'],
  ['', '/api(/.*)', '/orders', '/api/foo/bar', '/orders/foo/bar'],
  ['/api', '/foo/.*', '', '/api/foo/bar', '/foo/bar'],
  ['/api', '/foo(/.*)', '', '/api/foo/bar', '/bar'],
  ['/api', '/foo/.*', '/orders', '/api/foo/bar', '/orders/foo/bar'],
  ['/api', '/foo(/.*)', '/orders', '/api/foo/bar', '/orders/bar'],
  ['/api', '/api/foo/.*', '/orders', '/api/foo/bar', undefined],
  // What the table leaves out: several groups, queries, encoded letters, a destination with slashes around it.
  ['', '/a(/[^/]+)/b(/.*)', '', '/a/one/b/two?q=1', '/one/two?q=1'],
  ['/api', '/x/.*', '/v1/', '/api/x/a%20b', '/v1/x/a%20b'],
  ['/api', '.*', '', '/api/', '/'],
  ['/api', '.*', '', '/api', undefined],
  ['/api', '.*', '', '/apis/a', undefined],
] as const

const rowPorts: number[] = []

before(async () => {
  const one = await startOrigin('one')
  const two = await startOrigin('two')
  ports.plain = await freePort()
  ports.rules = await freePort()
  for (const _ of rows) rowPorts.push(await freePort())
  const target = (name: string) => `{ kind: ApiInstance, name: ${name} }`
  const text = [
    'gateway: { workers: 1, metrics: { enabled: false }, control: { enabled: false } }\n',
    `---
apiVersion: gateway.mulesoft.com/v1alpha1
kind: Service
metadata: { name: one }
spec: { address: "http://127.0.0.1:${one}/" }
---
apiVersion: gateway.mulesoft.com/v1beta1
kind: Service
metadata: { name: two, namespace: others }
spec: { address: "http://127.0.0.1:${two}" }
`,
    ...rows.map(([base, path, destination], index) => {
      const name = `row-${index}`
      return (
        api(name, `"http://127.0.0.1:${rowPorts[index]}${base}"`) +
        binding(
          name,
          target(name),
          'route',
          `  rules: [{ path: '${path}' }]\n  config: { destinationRef: { name: one }${destination && `, destinationPath: ${destination}`} }\n`,
        )
      )
    }),
    api(
      'shop',
      `http://127.0.0.1:${ports.plain}/shop/`,
      `  services:
    orders:
      address: http://127.0.0.1:${one}
      routes:
        - rules: [{ path: "/orders(/.*)", methods: GET|PUT }]
          config: { destinationPath: /internal }
    rest: { address: "http://127.0.0.1:${two}" }
  policies:
    - policyRef: { name: header-injection-flex }
      config: { inboundHeaders: [{ key: X-Order, value: first }] }
    - policyRef: { name: header-injection-flex, namespace: default }
      config: { inboundHeaders: [{ key: X-Order, value: second }] }
      rules: [{ path: /orders/.*, methods: PUT }, { headers: { x-want: "y.s" } }]
    - policyRef: { name: header-removal }
      config: { outboundHeaders: [x-powered-by] }
`,
    ),
    api('halves', `http://127.0.0.1:${ports.plain}/halves`),
    binding(
      'halves',
      '{ name: halves }',
      'route-weighted',
      `  config:
    routes:
      - { weight: 75, destinationRef: { name: one }, destinationPath: /a }
      - { weight: 25, destinationRef: { name: two, namespace: others }, destinationPath: /b }
`,
    ),
    api('rules', `http://127.0.0.1:${ports.rules}`),
    binding(
      'late',
      target('rules'),
      'route',
      '  order: 60\n  config: { destinationRef: { name: two, namespace: others }, destinationPath: /late }\n',
    ),
    binding(
      'early',
      target('rules'),
      'route',
      `  order: 10
  rules: [{ host: "a\\\\.example" }, { headers: { X-Kind: "[0-9]+" } }, { methods: "P(OS|U)T" }]
  config: { destinationRef: { name: one }, destinationPath: /early }
`,
    ),
    binding(
      'automated',
      '{ kind: Selector, selector: { kind: ApiInstance, labels: { kind: rules } } }',
      'header-injection-flex',
      `  order: 900
  config: { inboundHeaders: [{ key: X-Seen, value: automated }], outboundHeaders: [{ key: X-Seen, value: automated }] }
`,
    ),
    binding(
      'own',
      target('rules'),
      'header-injection-flex',
      `  order: 1
  config: { inboundHeaders: [{ key: X-Seen, value: $FLEX_TEST_WORD }], outboundHeaders: [{ key: X-Seen, value: own }] }
`,
    ),
  ].join('')
  ports.contracts = await freePort()
  const contract = (name: string, id: string, tier: string, limit: number) => `---
apiVersion: gateway.mulesoft.com/v1alpha1
kind: Contract
metadata: { name: ${name} }
spec:
  apiId: contracts
  client: { id: "${id}", secret: of-${name} }
  sla: { name: ${tier}, limits: [{ maximumRequests: ${limit}, timePeriodInMilliseconds: 3600000 }] }
`
  const contracts =
    api(
      'contracts',
      `http://127.0.0.1:${ports.contracts}`,
      `  services: { one: { address: "http://127.0.0.1:${one}" } }
  policies:
    - policyRef: { name: rate-limiting-sla-based-flex }
      config: { exposeHeaders: true }
`,
    ) +
    contract('small', 'app-1', 'small', 1) +
    contract('large', 'app 2', 'large', 3)
  gateway = await startGateway(
    // It is waited for at a port of its own.
    (port) =>
      text +
      contracts +
      api(
        'ready',
        `http://127.0.0.1:${port}`,
        `  services: { one: { address: "http://127.0.0.1:${one}" } }\n`,
      ),
    { FLEX_TEST_WORD: 'own' },
  )
})

after(async () => {
  await gateway?.stop()
  for (const origin of origins) origin.close()
})

async function get(port: number, path: string, method = 'GET', headers: Record<string, string> = {}) {
  seen.length = 0
  const answer = await request(`http://127.0.0.1:${port}${path}`, { method: method as 'GET', headers })
  const text = await answer.body.text()
  return { status: answer.statusCode, headers: answer.headers, text, upstream: seen[0] }
}

suite('the path that a service gets', () => {
  for (const [index, [base, path, destination, incoming, outgoing]] of rows.entries()) {
    test(`${base || '-'} ${path} ${destination || '-'}: ${incoming} is ${outgoing ?? 'not found'}`, async () => {
      const { status, upstream } = await get(rowPorts[index]!, incoming)
      assert.equal(status, outgoing === undefined ? 404 : 200)
      assert.equal(upstream?.target, outgoing)
    })
  }
})

suite('services and policies inside of an instance', () => {
  test('the first service whose rules match gets the request', async () => {
    const orders = await get(ports.plain, '/shop/orders/7')
    assert.deepEqual([orders.upstream?.name, orders.upstream?.target], ['one', '/internal/7'])
    for (const [path, method] of [
      ['/shop/orders/7', 'POST'],
      ['/shop/other', 'GET'],
    ] as const) {
      const { upstream } = await get(ports.plain, path, method)
      assert.deepEqual([upstream?.name, upstream?.target], ['two', path.slice('/shop'.length)])
    }
  })

  test('a policy can stand there twice, and runs where its rules hold', async () => {
    const order = async (path: string, method: string, headers = {}) =>
      (await get(ports.plain, path, method, headers)).upstream?.headers['x-order']
    assert.equal(await order('/shop/orders/7', 'GET'), 'first')
    assert.equal(await order('/shop/orders/7', 'PUT'), 'first, second')
    assert.equal(await order('/shop/a', 'GET', { 'x-want': 'yes' }), 'first, second')
    assert.equal(await order('/shop/a', 'GET', { 'x-want': 'yess' }), 'first')
  })

  test('a policy is known without the end of its name too', async () => {
    assert.equal((await get(ports.plain, '/shop/a')).headers['x-powered-by'], undefined)
  })
})

test('instances share a port, and services a binding by weight', async () => {
  const names = { one: 0, two: 0 }
  for (let i = 0; i < 40; i++) {
    const { upstream } = await get(ports.plain, '/halves/x')
    assert.equal(upstream?.target, upstream?.name === 'one' ? '/a/x' : '/b/x')
    names[upstream!.name as 'one']++
  }
  assert.deepEqual(names, { one: 30, two: 10 })
})

suite('contracts', () => {
  const status = async (id: string, secret: string) => {
    const headers = { client_id: id, client_secret: secret }
    return (await get(ports.contracts, '/', 'GET', headers)).status
  }

  test('each client has what its tier says', async () => {
    assert.equal(await status('app-1', 'of-small'), 200)
    assert.equal(await status('app-1', 'of-small'), 429)
    for (const expected of [200, 200, 200, 429]) assert.equal(await status('app 2', 'of-large'), expected)
  })

  test('who has none gets nothing', async () => {
    for (const [id, secret] of [
      ['app-1', 'of-large'],
      ['app-3', 'of-small'],
      ['', ''],
    ] as const) {
      assert.equal(await status(id, secret), 401)
      assert.equal(seen.length, 0)
    }
  })

  test('the quota is told', async () => {
    const headers = { client_id: 'app-1', client_secret: 'of-small' }
    const answer = await get(ports.contracts, '/', 'GET', headers)
    assert.equal(answer.headers['x-ratelimit-limit'], '1')
    assert.equal(answer.text, '{"error":"Too Many Requests"}')
  })
})

suite('bindings', () => {
  const target = async (...sent: Parameters<typeof get> extends [unknown, ...infer Rest] ? Rest : never) =>
    (await get(ports.rules, ...sent)).upstream?.target

  test('the lowest order whose rules match wins; one of its rules is enough', async () => {
    assert.equal(await target('/x'), '/late/x')
    assert.equal(await target('/x', 'POST'), '/early/x')
    assert.equal(await target('/x', 'PUT'), '/early/x')
    assert.equal(await target('/x', 'PATCH'), '/late/x')
    assert.equal(await target('/x', 'GET', { 'x-kind': '42' }), '/early/x')
    assert.equal(await target('/x', 'GET', { 'x-kind': '42a' }), '/late/x')
    assert.equal(await target('/x', 'GET', { host: 'a.example' }), '/early/x')
    assert.equal(await target('/x', 'GET', { host: 'axexample' }), '/late/x')
  })

  test('policies of a selector run before those that name the instance, and see its answer after them', async () => {
    const { upstream, headers } = await get(ports.rules, '/x')
    assert.equal(upstream?.headers['x-seen'], 'automated, own')
    assert.deepEqual(headers['x-seen'], ['own', 'automated'])
  })
})
