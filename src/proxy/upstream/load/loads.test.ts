import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { planOf } from '../../../../test/threads/plan.ts'
import type { Exchange } from '../../exchange.ts'
import { planUpstreams } from '../../plan-upstreams.ts'
import { createLoadTable, LoadReader, LoadTable } from '../../shared/load-table.ts'
import { Upstream } from '../upstream.ts'
import { loadFamilies } from './families.ts'
import { UpstreamLoads } from './loads.ts'

function running(yaml: string) {
  const plan = planOf(yaml)
  const memory = createLoadTable(1)
  const table = new LoadTable(memory, 1)
  const upstreams = new Map(
    planUpstreams(plan).map((spec) => [spec.key, new Upstream(spec, (host) => [host], table)]),
  )
  const loads = new UpstreamLoads({
    reader: new LoadReader(memory),
    upstreams: () => planUpstreams(plan),
    nodesOf: () => [],
  })
  return { upstreams, loads }
}

const exchange = {} as Exchange

suite('the load of upstreams', () => {
  test('is told where threads share it', () => {
    const { upstreams, loads } = running(`
upstreams:
  - { id: plain, nodes: { "a:1": 1, "b:1": 1 } }
  - { id: counted, type: least_conn, nodes: [{ host: "::1", port: 80, weight: 1, priority: 2 }, { host: b, weight: 1 }] }
  - { id: timed, type: ewma, nodes: { "a:1": 1, "b:1": 1 } }
`)
    const counted = upstreams.get('upstream:counted')!
    counted.pick(null, exchange)!.enter()
    const timed = upstreams.get('upstream:timed')!
    timed.ended(timed.endpoints[1]!, 'complete', 200, 25, 'b')
    assert.deepEqual(loads.status(), [
      {
        upstream: 'upstream:counted',
        endpoints: [
          { endpoint: '[::1]:80', priority: 2, requests: 1, latency: null },
          { endpoint: 'b:80', priority: 0, requests: 0, latency: null },
        ],
      },
      {
        upstream: 'upstream:timed',
        endpoints: [
          { endpoint: 'a:1', priority: 0, requests: 0, latency: null },
          { endpoint: 'b:1', priority: 0, requests: 0, latency: 25 },
        ],
      },
    ])
    assert.equal(loads.keeper.count(), 0)
  })

  test('is told of breakers, which can be told to forget what they refused', () => {
    const { upstreams, loads } = running(`
routes:
  - { id: r, uri: /a, upstream: { nodes: { "a:1": 1 }, circuit_breaker: { max_requests: 1 } } }
`)
    const { breaker } = upstreams.get('route:r')!
    breaker!.beginRequest()
    breaker!.beginRequest()
    breaker!.openConnection(null)
    const none = { now: 0, limit: null, refused: 0 }
    assert.deepEqual(loads.status(), [
      {
        upstream: 'route:r',
        breaker: {
          requests: { now: 1, limit: 1, refused: 1 },
          pending: { ...none, now: 1 },
          connections: { ...none, now: 1 },
          retries: none,
        },
        endpoints: [],
      },
    ])
    assert.equal(loads.keeper.count(), 1)
    assert.equal(loads.keeper.clear('route:other'), 0)
    assert.equal(loads.keeper.clear('route:r'), 1)
    assert.equal(loads.keeper.count(), 0)
    assert.equal(loads.status()[0]!.breaker!.requests.now, 1)
  })

  test('is shown as metrics', () => {
    const { upstreams, loads } = running(`
upstreams:
  - { id: u, type: ewma, nodes: { "a:1": 1 }, circuit_breaker: { max_retries: 3 } }
`)
    const upstream = upstreams.get('upstream:u')!
    upstream.breaker!.beginRetry()
    upstream.ended(upstream.endpoints[0]!, 'complete', 200, 250, 'a')
    const families = new Map(
      loadFamilies(loads, (key) => `/${key}`).map(({ name, values }) => [name, values]),
    )
    const limit = (name: string) => ({ upstream: '/upstream:u', limit: name })
    assert.deepEqual(families.get('sluice_upstream_breaker_limit'), [{ labels: limit('retries'), value: 3 }])
    assert.deepEqual(families.get('sluice_upstream_breaker_current')?.at(-1), {
      labels: limit('retries'),
      value: 1,
    })
    assert.equal(families.get('sluice_upstream_breaker_refused_total')?.length, 4)
    const endpoint = { upstream: '/upstream:u', endpoint: 'a:1', priority: 0 }
    assert.deepEqual(families.get('sluice_endpoint_response_seconds'), [{ labels: endpoint, value: 0.25 }])
    assert.deepEqual(families.get('sluice_endpoint_requests'), [{ labels: endpoint, value: 0 }])
    assert.deepEqual(families.get('sluice_load_refused_claims_total'), [{ labels: {}, value: 0 }])
  })
})
