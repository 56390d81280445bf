import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import type { SupervisorStatus } from '../proxy/supervisor.ts'
import { Exposition } from '../telemetry/exposition.ts'
import { createThreadGaugeMemory } from '../telemetry/thread-gauges.ts'
import { controlEndpoints } from './control.ts'
import { refuseForeign } from './foreign-requests.ts'
import { healthEndpoints } from './health.ts'
import { metricsEndpoints } from './metrics.ts'
import { AdminServer, type AdminServerOptions, type Endpoints, text } from './server.ts'

async function served(t: TestContext, endpoints: Endpoints, options: AdminServerOptions = {}) {
  const errors: string[] = []
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (_: object, message: string) => errors.push(message),
  }
  const server = new AdminServer(endpoints, log, options)
  const port = await server.listen({ host: '127.0.0.1', port: 0, enabled: true })
  t.after(() => server.close())
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return { status: response.status, headers: response.headers, body: await response.text() }
  }
  return { ask, errors, server, port }
}

const running: SupervisorStatus = {
  state: 'running',
  version: 4,
  appliedAt: 1_700_000_000_000,
  threads: [
    { threadId: 1, listening: true },
    { threadId: 2, listening: true },
  ],
  restarts: 0,
  connectionsLost: 0,
  ports: new Map([['http', 9080]]),
  openConnections: 0,
  limiterEvictions: 0,
}

test('an endpoint answers GET and HEAD, and nothing else', async (t) => {
  const { ask } = await served(t, {
    'GET /thing': ({ query }) => text(200, `thing ${query.get('of')}\n`),
  })
  const got = await ask('/thing?of=beauty')
  assert.deepEqual([got.status, got.body], [200, 'thing beauty\n'])
  const head = await ask('/thing?of=beauty', { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.get('content-length'), head.body], [200, '13', ''])
  const post = await ask('/thing', { method: 'POST', body: 'x' })
  assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD'])
})

test('an endpoint has its own method, the rest of its path, fields and a body', async (t) => {
  const { ask } = await served(t, {
    'GET /things/*': ({ rest }) => text(200, `one ${rest}`),
    'GET /things/new/*': ({ rest }) => text(200, `new ${rest}`),
    'GET /things': () => text(200, 'all'),
    'PUT /things/*': ({ rest, body, headers }) => text(200, `${rest} ${headers['content-type']} ${body}`),
  })
  assert.equal((await ask('/things')).body, 'all')
  assert.equal((await ask('/things/a%20b')).body, 'one a b')
  assert.equal((await ask('/things/a/b')).body, 'one a/b')
  assert.equal((await ask('/things/new/x')).body, 'new x')
  assert.equal((await ask('/things/%E0%A4%A')).body, 'one %E0%A4%A')
  const put = await ask('/things/a', { method: 'PUT', body: '{}', headers: { 'content-type': 'a/b' } })
  assert.equal(put.body, 'a a/b {}')
  const other = await ask('/things/a', { method: 'DELETE' })
  assert.deepEqual([other.status, other.headers.get('allow')], [405, 'GET, HEAD, PUT'])
})

test('a body has an end', async (t) => {
  const { ask } = await served(t, { 'POST /things': ({ body }) => text(200, String(body.length)) })
  const large = await ask('/things', { method: 'POST', body: 'x'.repeat(9 * 1024 * 1024) })
  assert.equal(large.status, 413)
  assert.equal((await ask('/things', { method: 'POST', body: 'x'.repeat(1024 * 1024) })).body, '1048576')
})

test('where APISIX answers 404 for another method, so do we', async (t) => {
  const { ask } = await served(t, { 'PUT /thing': () => text(200, '') }, { wrongMethod: 404 })
  const { status, headers } = await ask('/thing')
  assert.deepEqual([status, headers.get('allow')], [404, null])
})

suite('requests that a web page makes a browser send are refused', () => {
  const cases: [title: string, status: number, fields: Record<string, string>][] = [
    ['a tool under an address', 200, {}],
    ['a tool under a name of the machine', 200, { host: 'localhost:9090' }],
    ['a tool under an IPv6 address', 200, { host: '[::1]:9090' }],
    ['a name that leads to this machine', 403, { host: 'rebound.example.com:9090' }],
    ['a page of another site', 403, { host: '127.0.0.1', origin: 'https://example.com' }],
    ['a page that hides where it is from', 403, { host: '127.0.0.1', origin: 'null' }],
    ['a page of our own', 200, { host: '127.0.0.1:9090', origin: 'http://127.0.0.1:9090' }],
    ['an image of another site', 403, { host: '127.0.0.1', 'sec-fetch-site': 'cross-site' }],
    ['an address typed into a browser', 200, { host: '127.0.0.1', 'sec-fetch-site': 'none' }],
  ]
  for (const [title, expected, headers] of cases) {
    test(`${title}: ${expected}`, async (t) => {
      const { port } = await served(t, { 'POST /thing': () => text(200, '') }, { guard: refuseForeign })
      const status = await new Promise((resolve, reject) => {
        const sent = request({ host: '127.0.0.1', port, path: '/thing', method: 'POST', headers })
        sent.on('response', (response) => resolve(response.resume().statusCode))
        sent.on('error', reject)
        sent.end()
      })
      assert.equal(status, expected)
    })
  }
})

test('an unknown path says what there is', async (t) => {
  const { ask } = await served(t, { 'GET /thing': () => text(200, '') })
  for (const path of ['/other', '/toString', '/']) {
    const { status, body } = await ask(path)
    assert.equal(status, 404)
    assert.match(body, /\/thing/)
  }
})

test('an endpoint that throws answers 500, without its reason, and logs it', async (t) => {
  const { ask, errors } = await served(t, {
    'GET /broken': () => {
      throw new Error('a secret path')
    },
  })
  const { status, body } = await ask('/broken')
  assert.equal(status, 500)
  assert.doesNotMatch(body, /secret/)
  assert.equal(errors.length, 1)
})

test('closing does not wait for a client that keeps its connection', async (t) => {
  const { server, port } = await served(t, {})
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await server.close()
  await closed
})

test('health of a gateway that runs', async (t) => {
  const { ask } = await served(
    t,
    healthEndpoints(() => running),
  )
  for (const path of ['/livez', '/readyz', '/startupz']) assert.equal((await ask(path)).status, 200, path)
  const { body } = await ask('/readyz?verbose')
  assert.equal(
    body,
    '[+] plan applied: version 4\n[+] listening: 2 of 2 data threads\n[+] not draining: running\n',
  )
})

test('health while starting, without listeners, and while draining', async (t) => {
  let status: SupervisorStatus = {
    ...running,
    state: 'starting',
    appliedAt: 0,
    threads: [{ threadId: 1, listening: false }],
  }
  const { ask } = await served(
    t,
    healthEndpoints(() => status),
  )
  const codes = async () => {
    const answers = await Promise.all(['/livez', '/startupz', '/readyz'].map((path) => ask(path)))
    return answers.map((answer) => answer.status)
  }
  assert.deepEqual(await codes(), [200, 503, 503])
  status = { ...running, threads: [{ threadId: 1, listening: false }] }
  assert.deepEqual(await codes(), [200, 200, 503])
  status = { ...running, state: 'draining' }
  assert.deepEqual(await codes(), [200, 200, 503])
  assert.equal((await ask('/readyz')).body, 'not ready: not draining (draining)\n')
})

test('one thread that is being replaced does not make the gateway unready', async (t) => {
  const status = {
    ...running,
    threads: [
      { threadId: 1, listening: false },
      { threadId: 2, listening: true },
    ],
  }
  const { ask } = await served(
    t,
    healthEndpoints(() => status),
  )
  assert.equal((await ask('/readyz')).status, 200)
})

test('metrics stand under both paths', async (t) => {
  const facts = () => ({
    id: 'run',
    version: '1.2.3',
    configVersion: 4,
    configAppliedAt: 0,
    configRejected: 0,
    threadRestarts: 0,
    connectionsLost: 0,
    openConnections: 0,
    limiterEvictions: 0,
    stateClears: 0,
    ready: true,
  })
  const { ask } = await served(t, metricsEndpoints(new Exposition(facts, createThreadGaugeMemory())))
  for (const path of ['/metrics', '/apisix/prometheus/metrics']) {
    const { headers, body } = await ask(path)
    assert.equal(headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    assert.match(body, /^sluice_config_version 4$/m)
  }
})

test('the plan is told by its version and counts', async (t) => {
  const plan = planOf(`
routes: [{ id: a, uri: /a, upstream_id: u }, { id: b, uri: /b, upstream_id: u }]
upstreams: [{ id: u, nodes: { "127.0.0.1:1": 1 } }]
consumers: [{ username: jack }]
`)
  const { ask } = await served(
    t,
    controlEndpoints({
      sync: () => undefined,
      plan: () => plan,
      status: () => running,
      reload: async () => undefined,
      collectGarbage: async () => {},
    }),
  )
  const { version, applied_at, resources } = JSON.parse((await ask('/v1/plan')).body)
  assert.deepEqual([version, applied_at], [1, '2023-11-14T22:13:20.000Z'])
  assert.deepEqual([resources.routes, resources.consumers, resources.services], [2, 1, 0])
})
