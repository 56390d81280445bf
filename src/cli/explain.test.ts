import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import type { Explanation } from '../proxy/explain/explanation.ts'
import { runProgram } from './program.ts'

const configuration = `\
gateway:
  listeners:
    - { name: http, port: 9080 }
    - { name: inner, host: 127.0.0.1, port: 9081 }
  trusted_addresses: [10.0.0.0/8]
routes:
  - id: beta
    uri: /orders/*
    priority: 10
    vars: [[http_x_version, "==", "2"]]
    service_id: shop
  - id: create
    uri: /orders/*
    priority: 5
    methods: [POST]
    remote_addrs: [192.0.2.0/24]
    service_id: shop
  - id: orders
    name: Orders
    uri: /orders/*
    service_id: shop
    plugins:
      limit-count: { count: 5, time_window: 60, rejected_code: 429 }
  - id: admin
    uri: /orders/*
    host: admin.test
    service_id: shop
services:
  - id: shop
    name: Shop
    path_prefix: /shop
    upstream: { type: chash, key: arg_user, nodes: { "10.1.0.1:80": 1, "10.1.0.2:80": 1 } }
    plugins:
      limit-count: { count: 1, time_window: 60 }
      key-auth: {}
      cors: { _meta: { disable: true } }
consumers:
  - username: jack
    plugins:
      key-auth: { key: sesame-open }
      limit-count: { count: 9, time_window: 1 }
global_rules:
  - id: everywhere
    plugins:
      cors: { _meta: { filter: [[request_method, "==", OPTIONS]] } }
      prometheus: {}
`

async function explain(t: TestContext, text: string, ...argv: string[]) {
  const cwd = await mkdtemp(join(tmpdir(), 'sluice-explain-'))
  t.after(() => rm(cwd, { recursive: true }))
  await writeFile(join(cwd, 'sluice.yaml'), text)
  const output = { stdout: '', stderr: '' }
  const code = await runProgram(['explain', ...argv], {
    stdout: { write: (chunk) => (output.stdout += chunk) },
    stderr: { write: (chunk) => (output.stderr += chunk) },
    env: { JACKS_KEY: 'from-the-environment' },
    cwd,
    isTTY: false,
  })
  return { code, ...output }
}

async function explanation(t: TestContext, ...argv: string[]): Promise<Explanation> {
  const { stdout, stderr } = await explain(t, configuration, ...argv, '--format', 'json')
  t.assert.equal(stderr, '')
  return JSON.parse(stdout) as Explanation
}

const url = 'http://127.0.0.1:9080/shop/orders/7?user=ann'

suite('sluice explain', () => {
  test('tells a request from its listener to its upstream', async (t) => {
    const { code, stdout } = await explain(t, configuration, url, '-H', 'apikey: sesame-open')
    t.assert.match(stdout, /^ {4}by default: .*key_type "var"/m)
    t.assert.equal(
      stdout.replace(/^ {4}by default: .*\n/gm, ''),
      `\
GET /shop/orders/7?user=ann

listener  http on 0.0.0.0:9080
client    127.0.0.1
host      127.0.0.1
path      /shop/orders/7, query user=ann
route     orders (Orders) as /shop/orders/*  (./sluice.yaml:18)
service   shop (Shop)  (./sluice.yaml:29)
consumer  jack

looked at before
  beta as /shop/orders/*, priority 10  (./sluice.yaml:7)
    vars: ["http_x_version","==","2"]: there is no http_x_version
  create as /shop/orders/*, priority 5  (./sluice.yaml:12)
    methods: it takes POST, not GET
    remote_addrs: 127.0.0.1 is in none of 192.0.2.0/24

of other hosts
  admin as admin.test/shop/orders/*  (./sluice.yaml:24)
    hosts: it takes admin.test, not 127.0.0.1

policies, in the order of their turn
  cors: skipped: its filter does not hold
    ["request_method","==","OPTIONS"]: request_method is "GET"
    of global_rule everywhere  (./sluice.yaml:45), stage transform, priority 4000
    also takes part in respond
    _meta.filter: [["request_method","==","OPTIONS"]]  (./sluice.yaml:45)
  prometheus: has no say in it
    of global_rule everywhere  (./sluice.yaml:46), stage transform, priority 500
    also takes part in observe
  key-auth: lets it pass
    of service shop  (./sluice.yaml:35), stage identify, priority 2500
  limit-count: lets it pass
    of consumer jack  (./sluice.yaml:41), stage limit, priority 1002
    in place of that of service shop, route orders
    count: 9  (./sluice.yaml:41)
    time_window: 1  (./sluice.yaml:41)
  cors: off
    _meta.disable is true
    of service shop  (./sluice.yaml:36), stage transform, priority 4000
    _meta.disable: true  (./sluice.yaml:36)

upstream of service shop  (./sluice.yaml:32): chash, by vars arg_user: "ann"
  pass_host pass, 1 retries, timeouts 60 s to connect, 60 s to send, 60 s to read
  10.1.0.1:80  weight 1  next
  10.1.0.2:80  weight 1

forwarded as
  GET /orders/7?user=ann HTTP/1.1
  Host: 127.0.0.1:9080
  apikey: <redacted>
  X-Real-IP: 127.0.0.1
  X-Forwarded-For: 127.0.0.1
  X-Forwarded-Proto: http
  X-Forwarded-Port: 9080
  X-Forwarded-Host: 127.0.0.1:9080
  X-Consumer-Username: jack

fields of the answer
  X-RateLimit-Limit: 9
  X-RateLimit-Remaining: 8
  X-RateLimit-Reset: 1
`,
    )
    t.assert.equal(code, 0)
  })

  test('no secret is in it, neither of the configuration nor of the request', async (t) => {
    for (const key of ['sesame-open', 'sesame-shut']) {
      const { stdout } = await explain(t, configuration, url, '-H', `apikey: ${key}`, '--format', 'json')
      t.assert.doesNotMatch(stdout, /sesame/)
    }
  })

  test('a policy that answers, and those that are not reached', async (t) => {
    const { outcome, policies } = await explanation(t, url)
    t.assert.deepEqual(outcome, {
      kind: 'answered',
      status: 401,
      by: 'key-auth',
      body: { message: 'Missing API key in request' },
    })
    const verdicts = Object.fromEntries(policies.map(({ name, verdict }) => [name, verdict]))
    t.assert.equal(verdicts['key-auth'], 'answers')
    t.assert.equal(verdicts['limit-count'], 'not reached')
  })

  test('method, headers, address and host are those that are given', async (t) => {
    const { route, candidates, client, listener, other_hosts } = await explanation(
      t,
      ...[
        '-X',
        'POST',
        '--from',
        '10.9.9.9',
        '-H',
        'X-Forwarded-For: 192.0.2.7',
        '-H',
        'Host: admin.test:99',
      ],
      'http://127.0.0.1:9081/shop/orders/7',
    )
    t.assert.equal(route?.id, 'admin')
    t.assert.equal(route?.host, 'admin.test')
    t.assert.deepEqual(candidates.length, 1)
    t.assert.deepEqual(client, { address: '192.0.2.7', peer: '10.9.9.9', trusted: true })
    t.assert.deepEqual(listener, { name: 'inner', host: '127.0.0.1', port: 9081, chosen: 'port' })
    t.assert.deepEqual(other_hosts, [])
    const created = await explanation(t, '-X', 'POST', '--from', '192.0.2.1', '/shop/orders/7')
    t.assert.equal(created.route?.id, 'create')
    t.assert.equal(created.listener.chosen, 'first')
    t.assert.equal((await explanation(t, '-H', 'X-Version: 2', url)).route?.id, 'beta')
    t.assert.equal((await explanation(t, '--listener', 'inner', '/')).listener.chosen, 'name')
    t.assert.equal((await explanation(t, '--listener', 'none', '/')).listener.chosen, 'other')
    t.assert.equal((await explanation(t, 'http://localhost/')).listener.chosen, 'other')
  })

  test('a request that no route takes, and what is nearly there', async (t) => {
    const { outcome, hints, policies, route } = await explanation(t, '/SHOP/orders/7')
    t.assert.equal(route, null)
    t.assert.deepEqual(outcome, {
      kind: 'answered',
      status: 404,
      by: '',
      body: '{"error_msg":"404 Route Not Found"}\n',
    })
    t.assert.deepEqual(hints, ['the route orders takes /shop/orders/7 (/shop/orders/*)'])
    t.assert.deepEqual(
      policies.map(({ owner, name }) => `${owner} ${name}`),
      ['global_rule:everywhere cors', 'global_rule:everywhere prometheus'],
    )
    const { stdout } = await explain(t, configuration, '/none')
    t.assert.match(stdout, /\nno route takes it\n/)
    t.assert.match(stdout, /\nanswered by the gateway with 404 /)
  })

  test('a request that is refused before it is routed, and why', async (t) => {
    const refusals: [argv: string[], status: number, why: RegExp][] = [
      [['/a%2Fb'], 400, /%2F, which gateway\.paths\.encoded_slash refuses/],
      [['/a%'], 400, /a % without two hexadecimal digits/],
      [['-H', 'Host: a b', '/'], 400, /Host field/],
      [['-X', 'TRACE', '/'], 405, /TRACE is never let through/],
      [['-H', 'Expect: more', '/'], 417, /expects something/],
      [['-X', 'WHAT', '/'], 501, /cannot be read/],
      [['/shop/orders/7;admin'], 0, /./],
    ]
    for (const [argv, status, why] of refusals) {
      const { outcome } = await explanation(t, ...argv)
      if (status === 0) t.assert.notEqual(outcome.kind, 'refused')
      else if (outcome.kind !== 'refused') t.assert.fail(`${argv}: ${outcome.kind}`)
      else {
        t.assert.equal(outcome.status, status, String(argv))
        t.assert.match(outcome.why, why)
      }
    }
  })

  test('a path that is canonical, and one that would lead elsewhere without its parameters', async (t) => {
    const { request } = await explanation(t, 'http://127.0.0.1:9080/shop/./x/../orders//%37?a=%20')
    t.assert.deepEqual(request, {
      method: 'GET',
      target: '/shop/./x/../orders//%37?a=%20',
      host: '127.0.0.1',
      path: '/shop/orders/7',
      query: 'a=%20',
    })
    const open =
      'routes: [{ id: a, uri: /a, upstream: &u { nodes: { "10.0.0.1:80": 1 } } }, { id: b, uri: /*, upstream: *u }]'
    const { stdout } = await explain(t, open, '/a;x')
    t.assert.match(stdout, /refused with 400 \(bad_target\): the path has parameters/)
  })

  test('a condition on the body', async (t) => {
    const text = `
routes:
  - { id: ann, uri: /*, priority: 1, vars: [[post_arg_name, "==", "ann"]], upstream: { nodes: { "10.0.0.1:80": 1 } } }
  - { id: all, uri: /*, upstream: { nodes: { "10.0.0.1:80": 1 } } }
`
    const type = 'Content-Type: application/x-www-form-urlencoded'
    const ann = await explain(t, text, '-d', 'name=ann', '-H', type, '/')
    t.assert.match(ann.stdout, /^route {5}ann as /m)
    t.assert.match(ann.stdout, /^POST \/\n/)
    const bob = await explain(t, text, '-d', 'name=bob', '-H', type, '/')
    t.assert.match(bob.stdout, /post_arg_name is "bob"/)
    t.assert.match(bob.stdout, /^route {5}all as /m)
  })

  test('a policy that only watches', async (t) => {
    const text = `
routes:
  - id: a
    uri: /*
    plugins: { key-auth: { _meta: { mode: shadow } } }
    upstream: { nodes: { "10.0.0.1:80": 1 } }
`
    const { stdout } = await explain(t, text, '/')
    t.assert.match(stdout, /key-auth: would answer, but only watches 401 /)
    t.assert.match(stdout, /^forwarded as$/m)
  })

  test('secrets of the environment are in their places, those of managers only when asked for', async (t) => {
    const text = `
secrets: [{ id: file/keys, path: . }]
routes:
  - { id: a, uri: /a, plugins: { key-auth: {} }, upstream: { nodes: { "10.0.0.1:80": 1 } } }
  - { id: b, uri: /b, plugins: { key-auth: { realm: $secret://file/keys/realm } }, upstream: { nodes: { "10.0.0.1:80": 1 } } }
consumers: [{ username: jack, plugins: { key-auth: { key: $env://JACKS_KEY } } }]
`
    const jack = await explain(t, text, '/a', '-H', 'apikey: from-the-environment')
    t.assert.match(jack.stdout, /^consumer {2}jack$/m)
    t.assert.match(jack.stdout, /^forwarded as$/m)
    const unasked = await explain(t, text, '/b', '-H', 'apikey: from-the-environment')
    t.assert.match(
      unasked.stdout,
      /key-auth: fails\n {4}a secret that it needs is not there, or was not looked up/,
    )
    t.assert.doesNotMatch(jack.stdout + unasked.stdout, /from-the-environment/)
  })

  test('a configuration with errors: they are printed, exit 3', async (t) => {
    const { code, stdout, stderr } = await explain(t, 'routes: [{ id: a, uri: /a }]', '/a')
    t.assert.deepEqual([code, stdout], [3, ''])
    t.assert.match(stderr, /error route-without-upstream/)
  })

  test('takes a wrong option for a mistake of usage', async (t) => {
    const mistakes = [
      [],
      ['/a', '/b'],
      ['a'],
      ['ftp://a/'],
      ['https://a/'],
      ['/a', '-H', 'x'],
      ['/a', '-H', 'a b: c'],
      ['/a', '-H', 'a: b\r\nc: d'],
      ['/a', '--from', 'here'],
      ['/a', '--gateway', 'http://x', '-c', 'y'],
    ]
    for (const argv of mistakes)
      t.assert.equal((await explain(t, configuration, ...argv)).code, 2, String(argv))
  })
})
