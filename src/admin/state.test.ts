import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import type { ClearedState } from '../proxy/run-time-state.ts'
import { AdminServer } from './server.ts'
import { stateEndpoints } from './state.ts'

const plan = planOf(`
routes: [{ id: a, uri: /a, upstream_id: u }]
upstreams: [{ id: u, nodes: { "127.0.0.1:1": 1 } }]
consumers: [{ username: jack }]
`)

async function served(t: TestContext) {
  const cleared: ClearedState[] = []
  let clears = 0
  const source = {
    plan,
    stateCounts: async () => ({ limits: 12, balancers: 2 }),
    clearState: async (what: ClearedState) => {
      cleared.push(what)
      return { limits: 7 }
    },
  }
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const server = new AdminServer(
    stateEndpoints(source, log, () => clears++),
    log,
  )
  const port = await server.listen({ host: '127.0.0.1', port: 0, enabled: true })
  t.after(() => server.close())
  const ask = async (method: string, path: string, body?: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(body && { body }) })
    return { status: response.status, body: JSON.parse(await response.text()) }
  }
  return { ask, cleared, clears: () => clears }
}

const everyKind = ['limits', 'balancers', 'health', 'breakers', 'caches', 'metrics']

test('tells how much state there is, by kind', async (t) => {
  const { ask } = await served(t)
  const { body } = await ask('GET', '/v1/state')
  assert.deepEqual(Object.keys(body), everyKind)
  assert.deepEqual(body.limits, {
    entries: 12,
    what: 'rate limit windows that are open',
    cleared_at: null,
  })
})

test('what is named in a body is not taken for everything', async (t) => {
  const { ask, cleared } = await served(t)
  const answer = await ask('POST', '/v1/state/clear', '{"kind":"limits"}')
  assert.equal(answer.status, 400)
  assert.match(answer.body.error_msg, /stands in the query/)
  assert.deepEqual(cleared, [])
  assert.equal((await ask('POST', '/v1/state/clear', '{}')).status, 200)
})

test('clears everything, or what is named', async (t) => {
  const { ask, cleared, clears } = await served(t)
  assert.deepEqual(await ask('DELETE', '/v1/state'), { status: 200, body: { cleared: { limits: 7 } } })
  await ask('POST', '/v1/state/clear')
  await ask('DELETE', '/v1/state?kind=limits&kind=health')
  await ask('DELETE', '/v1/state?kind=limits&resource=routes/a')
  await ask('DELETE', '/v1/state?resource=consumers/jack')
  assert.deepEqual(cleared, [
    { kinds: everyKind },
    { kinds: everyKind },
    { kinds: ['limits', 'health'] },
    { kinds: ['limits'], owner: 'route:a' },
    { kinds: everyKind, owner: 'consumer:jack' },
  ])
  assert.equal(clears(), 5)
  const { body } = await ask('GET', '/v1/state')
  assert.ok(Date.parse(body.health.cleared_at) > 0)
})

test('a request that does not say clearly what is meant clears nothing', async (t) => {
  const { ask, cleared } = await served(t)
  const cases: [query: string, status: number, problem: RegExp][] = [
    ['kind=limit', 400, /no kind of state limit: use limits, balancers/],
    ['kinds=limits', 400, /no parameter kinds/],
    ['resource=routes', 400, /KIND\/ID/],
    ['resource=toString/a', 400, /KIND\/ID/],
    ['resource=route:a', 400, /KIND\/ID/],
    ['resource=routes/b', 404, /route\[b\] not found/],
  ]
  for (const [query, status, problem] of cases) {
    const answer = await ask('DELETE', `/v1/state?${query}`)
    assert.equal(answer.status, status, query)
    assert.match(answer.body.error_msg, problem)
  }
  assert.deepEqual(cleared, [])
})
