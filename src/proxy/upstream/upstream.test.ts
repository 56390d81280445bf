import assert from 'node:assert/strict'
import { afterEach, suite, test } from 'node:test'
import { planOf } from '../../../test/threads/plan.ts'
import type { UpstreamSpec } from '../../config/plan.ts'
import { clock } from '../clock.ts'
import type { Exchange } from '../exchange.ts'
import { createLoadTable, LoadTable } from '../shared/load-table.ts'
import type { Endpoint } from './endpoint.ts'
import { Upstream } from './upstream.ts'

const exchange = {} as Exchange
const addressesOf = (host: string) => [host]

function specOf(upstream: string): UpstreamSpec {
  return planOf(`upstreams: [{ id: u, ${upstream} }]`).upstreams.get('u')!
}

/** One upstream as two threads have it. */
function twoThreads(upstream: string): [Upstream, Upstream] {
  const memory = createLoadTable(2)
  const spec = specOf(upstream)
  return [1, 2].map((threadId) => new Upstream(spec, addressesOf, new LoadTable(memory, threadId))) as [
    Upstream,
    Upstream,
  ]
}

function take(upstream: Upstream): Endpoint {
  const endpoint = upstream.pick(null, exchange)!
  endpoint.enter()
  return endpoint
}

suite('an upstream in several threads', () => {
  test('takes turns in one cycle', () => {
    const threads = twoThreads('nodes: { "a:1": 3, "b:1": 2, "c:1": 1 }')
    const seen = Array.from({ length: 60 }, (_, n) => threads[(n * n) % 2]!.pick(null, exchange)!.host)
    for (const [host, share] of [
      ['a', 30],
      ['b', 20],
      ['c', 10],
    ]) {
      assert.equal(seen.filter((each) => each === host).length, share)
    }
  })

  test('counts what all of them have under way', () => {
    const [one, other] = twoThreads('type: least_conn, nodes: { "a:1": 2, "b:1": 1 }')
    const first = take(one)
    assert.equal(first.host, 'a')
    other.endpoints[0]!.enter()
    assert.equal(one.endpoints[0]!.underWay, 2)
    assert.equal(take(other).host, 'b')
    first.leave()
    assert.equal(other.endpoints[0]!.underWay, 1)
  })

  test('knows how fast an endpoint answered the others', () => {
    const [one, other] = twoThreads('type: ewma, nodes: { "a:1": 1, "b:1": 1 }')
    const [slow] = one.endpoints
    one.ended(slow!, 'complete', 200, 50, '')
    for (let n = 0; n < 10; n++) assert.equal(other.pick(null, exchange)!.host, 'b')
  })

  test('shares nothing that nobody asks for', () => {
    const [one] = twoThreads('nodes: { "a:1": 1, "b:1": 1 }')
    assert.equal(take(one).load, null)
    assert.equal(one.observers, null)
  })
})

suite('a changed upstream', () => {
  test('keeps count of what is under way at endpoints that stay, also from a single one on', () => {
    const [one, other] = twoThreads('type: least_conn, nodes: { "a:1": 1 }')
    take(one)
    take(one)
    const changed = specOf('type: least_conn, nodes: { "a:1": 1, "b:1": 1 }')
    one.update(changed, addressesOf)
    other.update(changed, addressesOf)
    assert.equal(other.endpoints[0]!.underWay, 2)
    assert.deepEqual([take(other).host, take(one).host], ['b', 'b'])
  })

  test('takes over what is under way when it begins to count', () => {
    const [one, other] = twoThreads('nodes: { "a:1": 1, "b:1": 1 }')
    const busy = take(one)
    const changed = specOf('type: least_conn, nodes: { "a:1": 1, "b:1": 1 }')
    one.update(changed, addressesOf)
    other.update(changed, addressesOf)
    assert.notEqual(take(other).host, busy.host)
    busy.leave()
    assert.equal(one.endpoints.find(({ host }) => host === busy.host)!.underWay, 0)
  })

  test('forgets what this thread had under way at endpoints that left', () => {
    const [one, other] = twoThreads('type: least_conn, nodes: { "a:1": 1, "b:1": 1 }')
    const left = one.endpoints[0]!
    left.enter()
    one.update(specOf('type: least_conn, nodes: { "b:1": 1, "c:1": 1 }'), addressesOf)
    assert.equal(other.endpoints[0]!.underWay, 0)
    left.leave()
    assert.equal(other.endpoints[0]!.underWay, 0)
  })

  test('changes its way of balancing', () => {
    const [one] = twoThreads('type: ewma, nodes: { "a:1": 1, "b:1": 1 }')
    assert.equal(one.observers?.length, 1)
    one.update(specOf('nodes: { "a:1": 1, "b:1": 1 }'), addressesOf)
    assert.equal(one.observers, null)
    const [first, second] = [one.pick(null, exchange), one.pick(null, exchange)]
    assert.notEqual(first, second)
  })

  test('forgets response times when it is told to', () => {
    const [one] = twoThreads('type: ewma, nodes: { "a:1": 1, "b:1": 1 }')
    one.ended(one.endpoints[0]!, 'complete', 200, 50, '')
    one.forget()
    assert.equal(one.endpoints[0]!.load!.value, 0)
  })
})

suite('an endpoint that joins', () => {
  afterEach(() => clock.tick())

  test('comes up to its share within the time of slow_start', () => {
    const [one] = twoThreads('slow_start: 10, nodes: { "a:1": 1 }')
    one.update(specOf('slow_start: 10, nodes: { "a:1": 1, "b:1": 1 }'), addressesOf)
    const [old, young] = one.endpoints
    const warmth = (after: number) => {
      clock.now += after
      return Number(young!.warmth.toFixed(6))
    }
    assert.equal(old!.warmth, 1)
    assert.deepEqual([0, 2000, 3000, 5000, 1].map(warmth), [0.1, 0.2, 0.5, 1, 1])
  })

  test('is at its share at once without slow_start, and when it was there from the start', () => {
    const [one] = twoThreads('nodes: { "a:1": 1 }')
    one.update(specOf('nodes: { "a:1": 1, "b:1": 1 }'), addressesOf)
    assert.equal(one.endpoints[1]!.warmth, 1)
    const [fresh] = twoThreads('slow_start: 10, nodes: { "a:1": 1 }')
    assert.equal(fresh.endpoints[0]!.warmth, 1)
  })
})

suite('consistent hashing by address', () => {
  const byPath = (path: string) =>
    ({ request: { path }, client: { address: '127.0.0.1' } }) as unknown as Exchange
  const paths = Array.from({ length: 50 }, (_, n) => `/${n}`)

  test('places a name where its only address would be, as APISIX does', () => {
    const named = new Upstream(
      specOf('type: chash, key: uri, nodes: { "a.test:80": 1, "b.test:80": 1 }'),
      (host) => [host === 'a.test' ? '10.0.0.1' : '10.0.0.2'],
      null,
    )
    const literal = new Upstream(
      specOf('type: chash, key: uri, nodes: { "10.0.0.1:80": 1, "10.0.0.2:80": 1 }'),
      addressesOf,
      null,
    )
    const at = (upstream: Upstream, path: string) =>
      upstream.endpoints.indexOf(upstream.pick(null, byPath(path))!)
    for (const path of paths) assert.equal(at(named, path), at(literal, path))
    named.setAddresses('b.test', ['10.0.0.1'])
    named.setAddresses('a.test', ['10.0.0.2'])
    for (const path of paths) assert.notEqual(at(named, path), at(literal, path))
  })
})

suite('an upstream whose nodes a registry knows', () => {
  const discovered = 'service_name: users.test, discovery_type: dns'
  const connection = {
    address: '10.0.0.1',
    tls: null,
    purpose: '',
    isPersonal: false,
    served: 0,
    discard() {},
  }

  test('has none until it is told of some', () => {
    const upstream = new Upstream(specOf(discovered), addressesOf, null, [])
    assert.equal(upstream.pick(null, exchange), null)
    assert.equal(upstream.retries, 0)
    upstream.setNodes([{ host: '10.0.0.1', weight: 1 }], addressesOf)
    assert.equal(upstream.pick(null, exchange)!.label, '10.0.0.1:80')
  })

  test('keeps endpoints that stay, with their connections and counters, in whatever order they come', () => {
    const nodes = [
      { host: '10.0.0.1', port: 8080, weight: 1 },
      { host: '10.0.0.2', port: 8080, weight: 1 },
    ]
    const upstream = new Upstream(specOf(discovered), addressesOf, null, nodes)
    const [stays, goes] = upstream.endpoints
    stays!.checkin(connection)
    stays!.active = 3
    upstream.setNodes(
      [
        { host: '10.0.0.3', port: 8080, weight: 1 },
        { ...nodes[0]!, weight: 5 },
      ],
      addressesOf,
    )
    assert.deepEqual(
      upstream.endpoints.map(({ label, weight }) => [label, weight]),
      [
        ['10.0.0.3:8080', 1],
        ['10.0.0.1:8080', 5],
      ],
    )
    assert.equal(upstream.endpoints[1], stays)
    assert.equal(stays!.active, 3)
    assert.equal(stays!.checkout(''), connection)
    assert.equal(goes!.checkin({ ...connection, address: '10.0.0.2' }), false)
    assert.equal(upstream.retries, 1)
  })

  test('keeps them too when its configuration changes', () => {
    const nodes = [{ host: '10.0.0.1', port: 8080, weight: 1, priority: -10 }]
    const upstream = new Upstream(specOf(discovered), addressesOf, null, nodes)
    const [before] = upstream.endpoints
    upstream.update(specOf(`${discovered}, keepalive_pool: { size: 1 }`), addressesOf, nodes)
    assert.equal(upstream.endpoints[0], before)
    assert.deepEqual([before!.limits.size, before!.priority], [1, -10])
  })
})
