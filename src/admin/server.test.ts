import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Plan } from '../config/plan.ts'
import type { SupervisorStatus } from '../proxy/supervisor.ts'
import { Exposition } from '../telemetry/exposition.ts'
import { createThreadGaugeMemory } from '../telemetry/thread-gauges.ts'
import { controlEndpoints } from './control.ts'
import { healthEndpoints } from './health.ts'
import { metricsEndpoints } from './metrics.ts'
import { AdminServer, type Endpoints, text } from './server.ts'

async function served(t: TestContext, endpoints: Endpoints) {
  const errors: string[] = []
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (_: object, message: string) => errors.push(message),
  }
  const server = new AdminServer(endpoints, log)
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
  ports: new Map([['http', 9080]]),
  openConnections: 0,
  limiterEvictions: 0,
}

test('an endpoint answers GET and HEAD, and nothing else', async (t) => {
  const { ask } = await served(t, { '/thing': (query) => text(200, `thing ${query.get('of')}\n`) })
  const got = await ask('/thing?of=beauty')
  assert.deepEqual([got.status, got.body], [200, 'thing beauty\n'])
  const head = await ask('/thing?of=beauty', { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.get('content-length'), head.body], [200, '13', ''])
  const post = await ask('/thing', { method: 'POST', body: 'x' })
  assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD'])
})

test('an unknown path says what there is', async (t) => {
  const { ask } = await served(t, { '/thing': () => text(200, '') })
  for (const path of ['/other', '/toString', '/']) {
    const { status, body } = await ask(path)
    assert.equal(status, 404)
    assert.match(body, /\/thing/)
  }
})

test('an endpoint that throws answers 500, without its reason, and logs it', async (t) => {
  const { ask, errors } = await served(t, {
    '/broken': () => {
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
    version: '1.2.3',
    configVersion: 4,
    configAppliedAt: 0,
    configRejected: 0,
    threadRestarts: 0,
    openConnections: 0,
    limiterEvictions: 0,
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
  const plan = {
    version: 4,
    routes: new Map([
      ['a', {}],
      ['b', {}],
    ]),
    services: new Map(),
    upstreams: new Map(),
    consumers: new Map([['jack', {}]]),
    contracts: new Map(),
    plugin_configs: new Map(),
    global_rules: new Map(),
    plugin_metadata: new Map(),
  } as unknown as Plan
  const { ask } = await served(
    t,
    controlEndpoints(
      () => plan,
      () => running,
    ),
  )
  const { version, applied_at, resources } = JSON.parse((await ask('/v1/plan')).body)
  assert.deepEqual([version, applied_at], [4, '2023-11-14T22:13:20.000Z'])
  assert.deepEqual([resources.routes, resources.consumers, resources.services], [2, 1, 0])
})
