/** What one data thread makes of the health of endpoints, and what its requests tell. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { checksSpec, outlierEjectionSpec } from '../../../config/health-checks.ts'
import type { NodeSpec, UpstreamSpec } from '../../../config/plan.ts'
import { clock } from '../../clock.ts'
import type { Exchange } from '../../exchange.ts'
import { sharedTime } from '../../shared/clock.ts'
import type { AttemptEnd } from '../attempt.ts'
import { Upstream } from '../upstream.ts'
import { HealthRegister } from './health-register.ts'
import { createHealthTable, HealthTable } from './table.ts'
import { counter, countersOf, isEjected, stateOf } from './word.ts'

const exchange = {} as Exchange
const ownSlot = 1

type Active = NonNullable<Parameters<typeof checksSpec>[0]['active']>
type Passive = NonNullable<Parameters<typeof checksSpec>[0]['passive']>

const checks = (passive?: Passive, active: Active = {}) =>
  checksSpec(passive === undefined ? { active } : { active, passive })

function node(host: string, weight = 1, priority = 0): NodeSpec {
  return { host, port: 80, weight, priority }
}

class Fixture {
  readonly memory = createHealthTable(64)
  readonly table = new HealthTable(this.memory)
  readonly upstream: Upstream
  readonly #register = new HealthRegister(this.memory)
  readonly #addresses: Record<string, string[]>
  readonly #slots = new Map<string, number>()

  constructor(spec: Partial<UpstreamSpec>, addresses: Record<string, string[]> = {}) {
    this.#addresses = addresses
    const whole = {
      key: 'upstream:1',
      type: 'roundrobin',
      nodes: [node('10.0.0.1'), node('10.0.0.2'), node('10.0.0.3')],
      scheme: 'http',
      pass_host: 'pass',
      retry_timeout: 0,
      slow_start: 0,
      hash: { on: 'vars', key: '', balance_factor: 0 },
      timeout: { connect: 60, send: 60, read: 60 },
      keepalive_pool: { size: 320, idle_timeout: 60, requests: 1000 },
      ...spec,
    } as unknown as UpstreamSpec
    this.upstream = new Upstream(whole, (host) => addresses[host] ?? [host], null)
    this.announce()
    this.upstream.watch(this.#register.of(whole))
  }

  /** As the control thread does it. */
  announce(): void {
    const { nodes, checks: health } = this.upstream.spec
    for (const { host, port } of nodes) {
      for (const address of this.#addresses[host] ?? [host]) {
        const key = `${address} ${health?.active.port ?? port}`
        if (!this.#slots.has(key)) this.#slots.set(key, 2 + this.#slots.size)
      }
    }
    const endpoints = [...this.#slots].map(([key, slot]) => {
      const [address, port] = key.split(' ') as [string, string]
      return [address, Number(port), slot] as const
    })
    this.#register.setSlots({ upstream: 'upstream:1', slot: ownSlot, endpoints })
  }

  /** The first requests of an upstream do not count yet. */
  settle(): this {
    this.table.touch(ownSlot)
    this.table.settle(ownSlot)
    this.table.settle(ownSlot)
    return this
  }

  slot(address: string, port = 80): number {
    return this.#slots.get(`${address} ${port}`)!
  }

  end(host: string, end: AttemptEnd, status = 0, address = host): void {
    const endpoint = this.upstream.endpoints.find((candidate) => candidate.host === host)!
    this.upstream.ended(endpoint, end, status, 1, address)
  }

  down(address: string): void {
    this.table.report(ownSlot, this.slot(address), counter.tcp, 1, null, sharedTime(clock.now))
  }

  up(address: string): void {
    this.table.report(ownSlot, this.slot(address), counter.success, 1, null, sharedTime(clock.now))
  }

  state(address: string): string {
    const word = this.table.word(this.slot(address))
    const { success, http_failure: http, tcp_failure: tcp, timeout_failure: timeout } = countersOf(word)
    return `${stateOf(word)} ${success} ${http} ${tcp} ${timeout}`
  }

  picks(count = 30): Set<string> {
    return new Set(Array.from({ length: count }, () => this.upstream.pick(null, exchange)?.host ?? 'none'))
  }
}

suite('picking', () => {
  test('leaves out what is unhealthy, from one request to the next', () => {
    const fixture = new Fixture({ checks: checks() })
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1', '10.0.0.2', '10.0.0.3']))
    fixture.down('10.0.0.2')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1', '10.0.0.3']))
    fixture.up('10.0.0.2')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1', '10.0.0.2', '10.0.0.3']))
  })

  test('uses all when none is healthy', () => {
    const fixture = new Fixture({ checks: checks() })
    for (const { host } of fixture.upstream.endpoints) fixture.down(host)
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1', '10.0.0.2', '10.0.0.3']))
  })

  test('uses all while fewer are healthy than the panic threshold asks for', () => {
    const nodes = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].map((host) => node(host))
    const fixture = new Fixture({ checks: checks(), panic_threshold: 50, nodes })
    fixture.down('10.0.0.1')
    fixture.down('10.0.0.2')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.3', '10.0.0.4']))
    fixture.down('10.0.0.3')
    assert.equal(fixture.picks().size, 4)
    fixture.up('10.0.0.3')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.3', '10.0.0.4']))
  })

  test('uses endpoints without weight when no other is healthy', () => {
    const nodes = [node('10.0.0.1', 1), node('10.0.0.2', 0)]
    const fixture = new Fixture({ checks: checks(), nodes })
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1']))
    fixture.down('10.0.0.1')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.2']))
    fixture.down('10.0.0.2')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1']))
  })

  test('goes to a lower group when the higher one is unhealthy', () => {
    const nodes = [node('10.0.0.1', 1, 10), node('10.0.0.2', 1, 0)]
    const fixture = new Fixture({ checks: checks(), nodes })
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1']))
    fixture.down('10.0.0.1')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.2']))
  })

  test('uses a single endpoint whatever its health', () => {
    const fixture = new Fixture({ checks: checks(), nodes: [node('10.0.0.1')] })
    fixture.down('10.0.0.1')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1']))
  })

  test('takes the health of another port where probes go there', () => {
    const fixture = new Fixture({ checks: checks(undefined, { port: 9000 }) })
    fixture.table.report(ownSlot, fixture.slot('10.0.0.1', 9000), counter.tcp, 1, null, 0)
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.2', '10.0.0.3']))
  })

  test('lets an endpoint that was unhealthy start slowly', () => {
    const fixture = new Fixture({ checks: checks(), slow_start: 10 })
    const [endpoint] = fixture.upstream.endpoints
    assert.equal(endpoint!.warmth, 1)
    fixture.down('10.0.0.1')
    clock.now += 5000
    fixture.up('10.0.0.1')
    clock.now += 4000
    assert.ok(Math.abs(endpoint!.warmth - 0.4) < 0.001, `${endpoint!.warmth}`)
    clock.now += 6000
    assert.equal(endpoint!.warmth, 1)
  })
})

suite('an endpoint with several addresses', () => {
  const addresses = { 'users.internal': ['10.1.0.1', '10.1.0.2'] }
  const nodes = [node('users.internal'), node('10.0.0.1')]

  test('is usable as long as one of them is, and connects to that one', () => {
    const fixture = new Fixture({ checks: checks(), nodes }, addresses)
    const [endpoint] = fixture.upstream.endpoints
    const connected = () => new Set(Array.from({ length: 10 }, () => endpoint!.address()))
    assert.deepEqual(connected(), new Set(['10.1.0.1', '10.1.0.2']))
    fixture.down('10.1.0.1')
    assert.equal(endpoint!.usable, true)
    assert.deepEqual(connected(), new Set(['10.1.0.2']))
    fixture.down('10.1.0.2')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.1']))
    assert.deepEqual(connected(), new Set(['10.1.0.1', '10.1.0.2']))
  })

  test('reports each apart, and those that are gone not at all', () => {
    const fixture = new Fixture(
      { checks: checks({ unhealthy: { tcp_failures: 1 } }), nodes },
      addresses,
    ).settle()
    fixture.end('users.internal', 'connect_failed', 0, '10.1.0.2')
    assert.equal(fixture.state('10.1.0.1'), 'healthy 0 0 0 0')
    assert.equal(fixture.state('10.1.0.2'), 'unhealthy 0 0 1 0')
    fixture.upstream.setAddresses('users.internal', ['10.1.0.2'])
    fixture.end('users.internal', 'connect_failed', 0, '10.1.0.1')
    fixture.end('users.internal', 'connect_failed', 0, '')
    assert.equal(fixture.state('10.1.0.1'), 'healthy 0 0 0 0')
  })
})

suite('what requests tell', () => {
  const passive: Passive = { healthy: { successes: 2 }, unhealthy: { tcp_failures: 2, timeouts: 3 } }

  const cases: [string, [AttemptEnd, number][], string][] = [
    ['a good answer says nothing new', [['complete', 200]], 'healthy 0 0 0 0'],
    ['a bad one is counted', [['complete', 500]], 'mostly_healthy 0 1 0 0'],
    [
      'a status in no list says nothing',
      [
        ['complete', 404],
        ['complete', 418],
      ],
      'healthy 0 0 0 0',
    ],
    ['a failure to connect', [['connect_failed', 0]], 'mostly_healthy 0 0 1 0'],
    ['a connection that broke off', [['closed', 0]], 'mostly_healthy 0 0 1 0'],
    ['one that broke off after the head', [['closed', 200]], 'mostly_healthy 0 0 1 0'],
    ['no connection in time', [['connect_timeout', 0]], 'mostly_healthy 0 0 0 1'],
    ['no answer in time', [['timeout', 0]], 'mostly_healthy 0 0 0 1'],
    ['an answer that is not HTTP', [['bad_response', 0]], 'mostly_healthy 0 1 0 0'],
    ['what says nothing about the endpoint', [['abandoned', 0]], 'healthy 0 0 0 0'],
    [
      'enough of one kind',
      [
        ['closed', 0],
        ['connect_failed', 0],
      ],
      'unhealthy 0 0 2 0',
    ],
    [
      'a success in between',
      [
        ['closed', 0],
        ['complete', 200],
        ['closed', 0],
      ],
      'mostly_healthy 0 0 1 0',
    ],
    [
      'successes of an unhealthy one, which is used when no other is left',
      [
        ['closed', 0],
        ['closed', 0],
        ['complete', 200],
        ['complete', 301],
      ],
      'healthy 2 0 0 0',
    ],
  ]
  for (const [what, ends, expected] of cases) {
    test(what, () => {
      const fixture = new Fixture({ checks: checks(passive) }).settle()
      for (const [end, status] of ends) fixture.end('10.0.0.1', end, status)
      assert.equal(fixture.state('10.0.0.1'), expected)
      assert.equal(fixture.state('10.0.0.2'), 'healthy 0 0 0 0')
    })
  }

  test('the gateway’s own 502 and 504 count as statuses where they are listed', () => {
    const listed = { unhealthy: { http_statuses: [502, 504], http_failures: 3 } }
    const fixture = new Fixture({ checks: checks(listed) }).settle()
    fixture.end('10.0.0.1', 'connect_failed')
    fixture.end('10.0.0.1', 'timeout')
    assert.equal(fixture.state('10.0.0.1'), 'mostly_healthy 0 2 0 0')
  })

  test('with active checks alone, connections count as in APISIX, and statuses do not', () => {
    const fixture = new Fixture({ checks: checks() }).settle()
    for (let i = 0; i < 20; i++) fixture.end('10.0.0.1', 'complete', 500)
    assert.equal(fixture.state('10.0.0.1'), 'healthy 0 0 0 0')
    for (let i = 0; i < 6; i++) fixture.end('10.0.0.1', 'timeout')
    assert.equal(fixture.state('10.0.0.1'), 'mostly_healthy 0 0 0 6')
    fixture.end('10.0.0.1', 'connect_failed')
    fixture.end('10.0.0.1', 'connect_failed')
    assert.equal(fixture.state('10.0.0.1'), 'unhealthy 0 0 2 6')
  })

  test('a counter with the limit 0 is off', () => {
    const off = { healthy: { successes: 0 }, unhealthy: { tcp_failures: 0, timeouts: 0, http_failures: 0 } }
    const fixture = new Fixture({ checks: checks(off) }).settle()
    for (const end of ['connect_failed', 'timeout', 'bad_response'] as const) fixture.end('10.0.0.1', end)
    fixture.end('10.0.0.1', 'complete', 500)
    assert.equal(fixture.state('10.0.0.1'), 'healthy 0 0 0 0')
  })

  test('begins to count a moment after the first request', () => {
    const fixture = new Fixture({ checks: checks({ unhealthy: { tcp_failures: 1 } }) })
    fixture.end('10.0.0.1', 'connect_failed')
    assert.equal(fixture.state('10.0.0.1'), 'healthy 0 0 0 0')
    fixture.settle().end('10.0.0.1', 'connect_failed')
    assert.equal(fixture.state('10.0.0.1'), 'unhealthy 0 0 1 0')
  })

  test('of an endpoint that left the configuration is dropped', () => {
    const fixture = new Fixture({ checks: checks({ unhealthy: { tcp_failures: 1 } }) }).settle()
    const [left] = fixture.upstream.endpoints
    fixture.upstream.update({ ...fixture.upstream.spec, nodes: [node('10.0.0.2')] }, (host) => [host])
    fixture.upstream.ended(left!, 'connect_failed', 0, 1, '10.0.0.1')
    assert.equal(fixture.state('10.0.0.1'), 'healthy 0 0 0 0')
  })

  test('is not asked for where nobody watches', () => {
    const fixture = new Fixture({})
    assert.equal(fixture.upstream.observers, null)
    assert.equal(fixture.upstream.endpoints[0]!.usable, true)
  })
})

suite('outlier ejection', () => {
  const ejection = (more: Parameters<typeof outlierEjectionSpec>[0] = {}) => ({
    outlier_ejection: outlierEjectionSpec({ consecutive_5xx: 3, consecutive_gateway_failures: 2, ...more }),
  })
  const ejected = (fixture: Fixture) =>
    fixture.upstream.endpoints.map(({ host }) => isEjected(fixture.table.word(fixture.slot(host))))

  for (const [what, ends, expected] of [
    ['errors in a row', [500, 501, 500], true],
    ['too few', [500, 500], false],
    ['a good answer in between', [500, 500, 200, 500, 500], false],
    ['a mistake of the client in between', [500, 500, 404, 500], false],
    ['gateway failures in a row', [503, 502], true],
    ['another error between gateway failures', [503, 500, 503], true],
    ['a gateway failure, and one of another kind', [503, 500], false],
  ] as [string, number[], boolean][]) {
    test(what, () => {
      const fixture = new Fixture(ejection())
      for (const status of ends) fixture.end('10.0.0.1', 'complete', status)
      assert.equal(ejected(fixture)[0], expected)
    })
  }

  test('no answer at all is a gateway failure', () => {
    const fixture = new Fixture(ejection())
    fixture.end('10.0.0.1', 'connect_failed')
    fixture.end('10.0.0.1', 'abandoned')
    fixture.end('10.0.0.1', 'timeout')
    assert.deepEqual(fixture.picks(), new Set(['10.0.0.2', '10.0.0.3']))
  })

  test('counts that are 0 are off', () => {
    const fixture = new Fixture(ejection({ consecutive_5xx: 0, consecutive_gateway_failures: 0 }))
    for (let i = 0; i < 100; i++) fixture.end('10.0.0.1', 'complete', 503)
    assert.equal(ejected(fixture)[0], false)
  })

  test('leaves the share in traffic that it must not take out, but always may take one', () => {
    const nodes = Array.from({ length: 10 }, (_, index) => node(`10.0.0.${index}`))
    for (const [percent, most] of [
      [0, 1],
      [10, 1],
      [35, 3],
      [100, 10],
    ] as const) {
      const fixture = new Fixture({ nodes, ...ejection({ max_ejection_percent: percent }) })
      for (const { host } of nodes) for (let i = 0; i < 5; i++) fixture.end(host, 'complete', 500)
      assert.equal(ejected(fixture).filter(Boolean).length, most, `${percent} %`)
    }
  })

  test('works beside health checks, whose verdict it does not touch', () => {
    const fixture = new Fixture({ checks: checks({}), ...ejection() }).settle()
    for (let i = 0; i < 3; i++) fixture.end('10.0.0.1', 'complete', 500)
    assert.equal(fixture.state('10.0.0.1'), 'mostly_healthy 0 3 0 0')
    assert.deepEqual(ejected(fixture), [true, false, false])
  })
})
