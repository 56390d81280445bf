/** What is watched, when it is probed and what becomes of it, on a clock that the tests turn. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { type ChecksSpec, checksSpec, outlierEjectionSpec } from '../../../config/health-checks.ts'
import type { UpstreamSpec } from '../../../config/plan.ts'
import { sharedTime } from '../../shared/clock.ts'
import { TimerWheel } from '../../timer-wheel.ts'
import { HealthMonitor, type HealthMonitorOptions } from './monitor.ts'
import type { Probe, ProbeDone, ProbeResult, ProbeTarget } from './probe.ts'
import { HealthTable } from './table.ts'
import { counter, ejectedBit } from './word.ts'

/** Moves in steps of the wheel's ticks. */
const stepMs = 50

/** `mute`: never an answer. */
type Behaviour = ProbeResult | number | 'mute' | { result: ProbeResult; afterMs: number }

class Simulation {
  now = Math.ceil(performance.now() / stepMs) * stepMs
  readonly lines: string[] = []
  readonly probes: { at: number; target: ProbeTarget }[] = []
  readonly addresses = new Map<string, string[]>()
  /** By `address:port`; everything else answers 200. */
  readonly behaviours = new Map<string, Behaviour>()
  readonly monitor: HealthMonitor
  readonly table: HealthTable
  readonly announced: string[] = []
  applied: UpstreamSpec[] = []
  underWay = 0
  mostUnderWay = 0
  readonly #start = this.now
  readonly #wheel = new TimerWheel()
  readonly #pending: { due: number; finish: () => void }[] = []

  constructor(t: TestContext, options: Partial<HealthMonitorOptions> = {}) {
    const write = (level: string) => (fields: object, message: string) => {
      const { endpoint = '' } = fields as { endpoint?: string }
      this.lines.push(`${level} ${message} ${endpoint}`.trim())
    }
    this.monitor = new HealthMonitor({
      log: { debug: () => {}, info: write('info'), warn: write('warn'), error: write('error') },
      addressesOf: (host) => this.addresses.get(host) ?? [host],
      wheel: this.#wheel,
      now: () => this.now,
      // The first endpoint is probed at the end of its first interval.
      random: () => 1 - Number.EPSILON,
      makeProbe: (target) => this.#probe(target),
      ...options,
    })
    this.monitor.onSlots((slots) => this.announced.push(slots.upstream))
    this.table = new HealthTable(this.monitor.memory)
    t.after(() => {
      this.monitor.close()
      this.#wheel.close()
    })
  }

  get elapsed(): number {
    return this.now - this.#start
  }

  /** From now on the upstreams are these. */
  apply(upstreams: UpstreamSpec[]): void {
    this.monitor.prepare(upstreams)
    this.monitor.follow(upstreams, this.applied)
    this.applied = upstreams
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += stepMs
      this.#wheel.advance(this.now)
      for (;;) {
        const at = this.#pending.findIndex(({ due }) => due <= this.now)
        if (at < 0) break
        this.#pending.splice(at, 1)[0]!.finish()
      }
    }
  }

  /** Milliseconds until the endpoint is usable, or not. */
  until(endpoint: string, usable: boolean, limitMs = 120_000): number {
    const start = this.now
    while (this.table.isUsable(this.slot(endpoint)) !== usable) {
      assert.ok(this.now - start < limitMs, `${endpoint} did not become ${usable ? 'usable' : 'unusable'}`)
      this.pass(stepMs)
    }
    return this.now - start
  }

  slot(endpoint: string): number {
    for (const { endpoints } of this.monitor.slots()) {
      for (const [address, port, slot] of endpoints) if (`${address}:${port}` === endpoint) return slot
    }
    throw new Error(`${endpoint} is not watched`)
  }

  state(endpoint: string): string {
    const found = this.monitor
      .status()
      .flatMap(({ endpoints }) => endpoints)
      .find(({ address, port }) => `${address}:${port}` === endpoint)
    assert.ok(found, `${endpoint} is not watched`)
    const { success, http_failure: http, tcp_failure: tcp, timeout_failure: timeout } = found.counters
    return `${found.state} ${success} ${http} ${tcp} ${timeout}`
  }

  /** As a data thread reports it. */
  traffic(endpoint: string, which: keyof typeof counter, limit: number): void {
    const { slot } = this.monitor.slots()[0]!
    const reason = { source: 'traffic', failure: 'connect_failed', status: 0 } as const
    this.table.report(slot, this.slot(endpoint), counter[which], limit, reason, sharedTime(this.now))
  }

  #probe(target: ProbeTarget): Probe {
    let current: ProbeDone | null = null
    return {
      start: (done) => {
        current = done
        this.probes.push({ at: this.elapsed, target })
        this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay)
        const behaviour = this.behaviours.get(`${target.address}:${target.port}`) ?? 200
        const afterMs = typeof behaviour === 'object' ? behaviour.afterMs : 0
        const finish = () => {
          if (current !== done) return
          current = null
          this.underWay--
          if (typeof behaviour === 'number') done('status', behaviour)
          else done(typeof behaviour === 'object' ? behaviour.result : (behaviour as ProbeResult), 0)
        }
        if (behaviour !== 'mute') this.#pending.push({ due: this.now + afterMs, finish })
      },
      giveUp: () => {
        if (current !== null) this.underWay--
        current = null
      },
    }
  }
}

function upstream(nodes: string[], active: Record<string, unknown> = {}, more: Partial<UpstreamSpec> = {}) {
  return {
    key: 'upstream:1',
    id: '1',
    type: 'roundrobin',
    nodes: nodes.map((address) => {
      const at = address.lastIndexOf(':')
      return { host: address.slice(0, at), port: Number(address.slice(at + 1)), weight: 1, priority: 0 }
    }),
    scheme: 'http',
    pass_host: 'pass',
    retry_timeout: 0,
    timeout: { connect: 60, send: 60, read: 60 },
    keepalive_pool: { size: 320, idle_timeout: 60, requests: 1000 },
    checks: checksSpec({ active }) as ChecksSpec,
    ...more,
  } as UpstreamSpec
}

const a = '10.0.0.1:80'
const b = '10.0.0.2:80'
const c = '10.0.0.3:80'

suite('detection takes as long as configured', () => {
  for (const [what, behaviour, active, expected] of [
    ['two failures to connect, a second apart', 'connect_failed', {}, 2000],
    ['five statuses', 503, {}, 5000],
    ['five answers that are not HTTP', 'bad_response', {}, 5000],
    ['three timeouts of a second each', 'mute', {}, 4000],
    ['a longer interval', 'closed', { healthy: { interval: 7 } }, 14_000],
    ['other limits', 500, { unhealthy: { http_failures: 2 } }, 2000],
    ['a single failed handshake', 'tls_failed', { type: 'https', unhealthy: { tcp_failures: 1 } }, 1000],
    ['timeouts that are longer than the interval', 'mute', { timeout: 3, unhealthy: { timeouts: 2 } }, 7000],
  ] as [string, Behaviour, Record<string, unknown>, number][]) {
    test(what, (t) => {
      const simulation = new Simulation(t)
      simulation.behaviours.set(a, behaviour)
      simulation.apply([upstream([a, b], active)])
      const late = simulation.until(a, false) - expected
      // A probe that is due at once begins with the next tick of the wheel.
      assert.ok(late >= 0 && late <= 2 * stepMs, `${late} ms late`)
      assert.equal(simulation.table.isUsable(simulation.slot(b)), true)
    })
  }

  for (const [what, active, expected] of [
    ['two successes, a second apart', {}, 2000],
    ['another interval for unhealthy endpoints', { unhealthy: { interval: 5 } }, 10_000],
    ['more successes', { healthy: { successes: 4 } }, 4000],
    ['one that is enough', { healthy: { successes: 1 } }, 1000],
  ] as [string, Record<string, unknown>, number][]) {
    test(`recovery: ${what}`, (t) => {
      const simulation = new Simulation(t)
      simulation.behaviours.set(a, 'connect_failed')
      simulation.apply([upstream([a, b], active)])
      simulation.until(a, false)
      simulation.behaviours.delete(a)
      assert.equal(simulation.until(a, true), expected)
    })
  }

  test('statuses in neither list say nothing', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set(a, 401)
    simulation.apply([upstream([a])])
    simulation.pass(60_000)
    assert.equal(simulation.state(a), 'healthy 0 0 0 0')
    assert.ok(simulation.probes.length >= 59)
  })

  test('what traffic found out is looked after at the interval of unhealthy endpoints', (t) => {
    const simulation = new Simulation(t)
    simulation.apply([upstream([a, b], { healthy: { interval: 60 }, unhealthy: { interval: 1 } })])
    simulation.pass(10_000)
    simulation.traffic(a, 'tcp', 1)
    assert.equal(simulation.table.isUsable(simulation.slot(a)), false)
    const back = simulation.until(a, true)
    // Found within a look (200 ms), probed a second later, and once more.
    assert.ok(back <= 2300, `${back} ms`)
    assert.deepEqual(simulation.lines, [
      `warn endpoint is unhealthy ${a}`,
      `info endpoint is healthy again ${a}`,
    ])
  })
})

suite('probes', () => {
  test('begin in the second half of the first interval, spread evenly from a moment by chance', (t) => {
    const simulation = new Simulation(t, { random: () => 0.5 })
    const nodes = [1, 2, 3, 4].map((port) => `10.0.0.1:${port}`)
    simulation.apply([upstream(nodes, { healthy: { interval: 4 } })])
    simulation.pass(4000)
    assert.deepEqual(
      simulation.probes.map((probe) => [probe.target.port, probe.at]),
      [
        [3, 2000],
        [4, 2500],
        [1, 3000],
        [2, 3500],
      ],
    )
    simulation.pass(4000)
    assert.deepEqual(
      simulation.probes.slice(4).map((probe) => [probe.target.port, probe.at]),
      [
        [3, 6000],
        [4, 6500],
        [1, 7000],
        [2, 7500],
      ],
    )
  })

  test('ask for what the check says', (t) => {
    const simulation = new Simulation(t)
    simulation.addresses.set('users.internal', ['10.1.0.1'])
    simulation.apply([
      upstream(['users.internal:8080', '10.0.0.1:80', '::1:80'], {
        http_path: '/health?deep=1',
        req_headers: ['User-Agent: probe', 'X-A: 1'],
      }),
    ])
    simulation.pass(1000)
    const lines = (host: string) =>
      `GET /health?deep=1 HTTP/1.1\r\nUser-Agent: probe\r\nX-A: 1\r\nHost: ${host}\r\n\r\n`
    assert.deepEqual(
      simulation.probes.map(({ target }) => [target.address, target.port, target.request]),
      [
        ['10.0.0.1', 80, lines('10.0.0.1')],
        ['::1', 80, lines('[::1]')],
        ['10.1.0.1', 8080, lines('users.internal')],
      ],
    )
  })

  test('take their host from the check, then from pass_host, then from the node', (t) => {
    const hosts = (active: Record<string, unknown>, more: Partial<UpstreamSpec>) => {
      const simulation = new Simulation(t)
      simulation.addresses.set('users.internal', ['10.1.0.1'])
      simulation.apply([upstream(['users.internal:80'], active, more)])
      simulation.pass(1000)
      const { request, tls } = simulation.probes[0]!.target
      return [/Host: (.*)\r/.exec(request ?? '')?.[1], tls?.serverName]
    }
    const rewrite = { pass_host: 'rewrite', upstream_host: 'up.com' } as const
    assert.deepEqual(hosts({}, {}), ['users.internal', undefined])
    assert.deepEqual(hosts({ type: 'https' }, {}), ['users.internal', 'users.internal'])
    assert.deepEqual(hosts({ type: 'https' }, rewrite), ['up.com', 'up.com'])
    assert.deepEqual(hosts({ type: 'https', host: 'foo.com:81' }, rewrite), ['foo.com:81', 'foo.com'])
    assert.deepEqual(hosts({ req_headers: ['host: other.com'] }, {}), [undefined, undefined])
  })

  test('carry a body with its length', (t) => {
    const simulation = new Simulation(t)
    simulation.apply([upstream([a], { http_method: 'POST', http_req_body: '{"ü":1}' })])
    simulation.pass(1000)
    const { request } = simulation.probes[0]!.target
    const bytes = Buffer.from(request!, 'latin1').toString()
    assert.equal(bytes, 'POST / HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 8\r\n\r\n{"ü":1}')
  })

  test('go to the port of the check, once for all nodes of an address', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set('10.0.0.1:9000', 'connect_failed')
    simulation.apply([upstream(['10.0.0.1:80', '10.0.0.1:81', '10.0.0.2:80'], { port: 9000 })])
    simulation.pass(2000)
    assert.deepEqual(
      simulation.monitor.slots()[0]!.endpoints.map(([address, port]) => `${address}:${port}`),
      ['10.0.0.1:9000', '10.0.0.2:9000'],
    )
    assert.equal(simulation.table.isUsable(simulation.slot('10.0.0.1:9000')), false)
    assert.equal(simulation.probes.length, 4)
  })

  test('are no more at a time than allowed, and none is forgotten', (t) => {
    const simulation = new Simulation(t)
    const nodes = Array.from({ length: 50 }, (_, index) => `10.0.0.${index}:80`)
    for (const node of nodes) simulation.behaviours.set(node, { result: 'closed', afterMs: 100 })
    simulation.apply([upstream(nodes, { concurrency: 7 })])
    simulation.pass(10_000)
    assert.equal(simulation.mostUnderWay, 7)
    assert.equal(new Set(simulation.probes.map(({ target }) => target.address)).size, 50)
    for (const node of nodes) assert.match(simulation.state(node), /^unhealthy/)
  })

  test('stop with the configuration', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set(a, 'mute')
    simulation.apply([upstream([a, b, c], { concurrency: 1, timeout: 5 })])
    simulation.pass(3000)
    simulation.apply([])
    assert.equal(simulation.underWay, 0)
    const before = simulation.probes.length
    simulation.pass(60_000)
    assert.equal(simulation.probes.length, before)
    assert.deepEqual(simulation.monitor.status(), [])
  })
})

suite('a change of the configuration', () => {
  test('of the nodes leaves those that stay alone', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set(a, 'connect_failed')
    simulation.apply([upstream([a, b])])
    simulation.until(a, false)
    const slot = simulation.slot(a)
    simulation.pass(500)
    simulation.apply([upstream([a, c])])
    assert.equal(simulation.slot(a), slot)
    assert.equal(simulation.state(a), 'unhealthy 0 0 2 0')
    const before = simulation.probes.length
    simulation.pass(500)
    // The rhythm of `a` goes on; `c` begins its own.
    assert.deepEqual(
      simulation.probes.slice(before).map(({ target }) => target.address),
      ['10.0.0.1'],
    )
    assert.throws(() => simulation.slot(b))
  })

  test('of the check begins a new rhythm, with the state that there is', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set(a, 'connect_failed')
    simulation.apply([upstream([a, b])])
    simulation.until(a, false)
    simulation.behaviours.delete(a)
    simulation.apply([upstream([a, b], { unhealthy: { interval: 3 } })])
    assert.equal(simulation.until(a, true), 6000)
  })

  test('keeps the state of a node that comes back within ten seconds, and no longer', (t) => {
    for (const [awayMs, expected] of [
      [9000, 'unhealthy 0 0 2 0'],
      [11_000, 'healthy 0 0 0 0'],
    ] as const) {
      const simulation = new Simulation(t)
      simulation.behaviours.set(a, 'connect_failed')
      simulation.apply([upstream([a, b])])
      simulation.until(a, false)
      simulation.apply([upstream([b])])
      simulation.pass(awayMs)
      simulation.apply([upstream([a, b])])
      assert.equal(simulation.state(a), expected)
    }
  })

  test('keeps the state of an upstream that comes back within ten seconds, and no longer', (t) => {
    for (const [awayMs, expected] of [
      [9000, 'unhealthy 0 0 2 0'],
      [11_000, 'healthy 0 0 0 0'],
    ] as const) {
      const simulation = new Simulation(t)
      simulation.behaviours.set(a, 'connect_failed')
      simulation.apply([upstream([a, b])])
      simulation.until(a, false)
      simulation.apply([])
      simulation.pass(awayMs)
      simulation.apply([upstream([a, b])])
      assert.equal(simulation.state(a), expected)
      const before = simulation.probes.length
      simulation.pass(1000)
      assert.equal(simulation.probes.length, before + 2)
    }
  })

  test('that takes the checks away leaves every endpoint usable', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set(a, 'connect_failed')
    simulation.apply([upstream([a, b])])
    simulation.until(a, false)
    const slot = simulation.slot(a)
    const { checks: _, ...without } = upstream([a, b])
    simulation.apply([{ ...without, outlier_ejection: outlierEjectionSpec({}) }])
    assert.equal(simulation.table.isUsable(slot), true)
    simulation.apply([without])
    assert.deepEqual(simulation.monitor.status(), [])
  })

  test('that is refused changes nothing but the slots that were made ready', (t) => {
    const simulation = new Simulation(t)
    simulation.apply([upstream([a])])
    const refused = [upstream([a, b])]
    simulation.monitor.prepare(refused)
    const announced = simulation.monitor.slots()[0]!.endpoints.length
    simulation.monitor.follow(simulation.applied, refused)
    assert.deepEqual([announced, simulation.monitor.slots()[0]!.endpoints.length], [2, 1])
    simulation.pass(3000)
    assert.ok(simulation.probes.every(({ target }) => target.address === '10.0.0.1'))
  })

  test('with more endpoints than the table has room for watches what it can', (t) => {
    const simulation = new Simulation(t, { slots: 3 })
    simulation.apply([upstream([a, b, c])])
    assert.equal(simulation.monitor.slots()[0]!.endpoints.length, 1)
    assert.match(simulation.lines.join(), /the table of health is full/)
    simulation.pass(1000)
    assert.equal(simulation.probes.length, 1)
  })

  test('gives slots back', (t) => {
    const simulation = new Simulation(t, { slots: 4 })
    for (let i = 0; i < 20; i++) {
      simulation.apply([upstream([`10.0.0.${i}:80`])])
      simulation.apply([])
      simulation.pass(11_000)
    }
    assert.deepEqual(simulation.lines, [])
  })
})

suite('host names', () => {
  test('every address has a health of its own', (t) => {
    const simulation = new Simulation(t)
    simulation.addresses.set('users.internal', ['10.1.0.1', '10.1.0.2'])
    simulation.behaviours.set('10.1.0.2:80', 'connect_failed')
    simulation.apply([upstream(['users.internal:80'])])
    simulation.until('10.1.0.2:80', false)
    assert.equal(simulation.table.isUsable(simulation.slot('10.1.0.1:80')), true)
  })

  test('new addresses are announced and probed, old ones are not', (t) => {
    const simulation = new Simulation(t)
    simulation.addresses.set('users.internal', ['10.1.0.1'])
    simulation.apply([upstream(['users.internal:80', a])])
    simulation.pass(1000)
    const announced = simulation.announced.length
    simulation.monitor.moved({ type: 'addresses', host: 'other.internal', addresses: [] })
    assert.equal(simulation.announced.length, announced)
    simulation.addresses.set('users.internal', ['10.1.0.9'])
    simulation.monitor.moved({ type: 'addresses', host: 'users.internal', addresses: ['10.1.0.9'] })
    assert.equal(simulation.announced.length, announced + 1)
    const before = simulation.probes.length
    simulation.pass(1000)
    assert.deepEqual(
      new Set(simulation.probes.slice(before).map(({ target }) => target.address)),
      new Set(['10.1.0.9', '10.0.0.1']),
    )
  })
})

suite('services of a registry', () => {
  test('their nodes are watched, and change as the registry says', (t) => {
    const nodes = [{ host: '10.2.0.1', port: 8080, weight: 1 }]
    const simulation = new Simulation(t, { nodesOf: (service) => (service === 'dns users' ? nodes : []) })
    const discovery = { key: 'dns users', type: 'dns', service_name: 'users', grpc: false }
    simulation.apply([upstream([], {}, { discovery })])
    assert.deepEqual([simulation.slot('10.2.0.1:8080') > 0, simulation.announced.length], [true, 2])
    nodes.push({ host: '10.2.0.2', port: 8080, weight: 1 })
    simulation.monitor.moved({ type: 'nodes', service: 'dns others', nodes: [] })
    assert.equal(simulation.announced.length, 2)
    simulation.monitor.moved({ type: 'nodes', service: 'dns users', nodes })
    assert.equal(simulation.announced.length, 3)
    simulation.behaviours.set('10.2.0.2:8080', 'connect_failed')
    simulation.until('10.2.0.2:8080', false)
    assert.equal(simulation.table.isUsable(simulation.slot('10.2.0.1:8080')), true)
  })
})

suite('ejections', () => {
  const ejection = outlierEjectionSpec({ base_ejection_time: 10, max_ejection_time: 25 })
  const { checks: _, ...plain } = upstream([a, b, c])
  const spec: UpstreamSpec = { ...plain, outlier_ejection: ejection }
  const eject = (simulation: Simulation) => {
    const { slot } = simulation.monitor.slots()[0]!
    simulation.table.eject(slot, simulation.slot(a), null, sharedTime(simulation.now))
  }

  test('end after their time, which grows while they come soon after each other', (t) => {
    const simulation = new Simulation(t)
    simulation.apply([spec])
    const times: number[] = []
    for (let i = 0; i < 4; i++) {
      eject(simulation)
      times.push(Math.round(simulation.until(a, true) / 1000))
      simulation.pass(5000)
    }
    assert.deepEqual(times, [10, 20, 25, 25])
    simulation.pass(60_000)
    eject(simulation)
    assert.equal(Math.round(simulation.until(a, true) / 1000), 10)
    assert.equal(simulation.monitor.totals.ejections, 5)
    assert.deepEqual(simulation.lines.slice(0, 2), [
      `warn endpoint is ejected ${a}`,
      `info endpoint is back from its ejection ${a}`,
    ])
    assert.equal(simulation.probes.length, 0)
  })

  test('end at once when nobody ejects any more', (t) => {
    const simulation = new Simulation(t)
    simulation.apply([spec])
    eject(simulation)
    simulation.pass(1000)
    simulation.apply([upstream([a, b, c])])
    assert.equal(simulation.table.isUsable(simulation.slot(a)), true)
  })

  test('are told in the status, and forgotten by an operator', (t) => {
    const simulation = new Simulation(t)
    simulation.apply([spec])
    eject(simulation)
    simulation.pass(1000)
    const [status] = simulation.monitor.status()
    assert.deepEqual(
      status!.endpoints.map(({ ejected }) => ejected),
      [true, false, false],
    )
    assert.equal(simulation.table.word(simulation.slot(a)), ejectedBit)
    const [health, breakers] = simulation.monitor.keepers
    assert.deepEqual([health!.count(), breakers!.count()], [0, 1])
    assert.equal(health!.clear(undefined), 0)
    assert.equal(breakers!.clear('upstream:2'), 0)
    assert.equal(breakers!.clear('upstream:1'), 1)
    assert.equal(breakers!.count(), 0)
    assert.equal(simulation.table.isUsable(simulation.slot(a)), true)
  })
})

suite('operators', () => {
  test('hear of what changed, once', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set(a, 'connect_failed')
    simulation.apply([upstream([a, b])])
    simulation.pass(20_000)
    simulation.behaviours.delete(a)
    simulation.pass(20_000)
    assert.deepEqual(simulation.lines, [
      `warn endpoint is unhealthy ${a}`,
      `info endpoint is healthy again ${a}`,
    ])
    const { probes, becameHealthy, becameUnhealthy } = simulation.monitor.totals
    assert.deepEqual([becameUnhealthy, becameHealthy, probes.connect_failed], [1, 1, 20])
    assert.equal(probes.status, 60)
  })

  test('hear when too few endpoints are left', (t) => {
    const simulation = new Simulation(t)
    simulation.apply([upstream([a, b, c], {}, { panic_threshold: 50 })])
    simulation.behaviours.set(a, 'connect_failed')
    simulation.pass(10_000)
    assert.equal(simulation.monitor.status()[0]!.panicking, false)
    simulation.behaviours.set(b, 'connect_failed')
    simulation.pass(10_000)
    assert.equal(simulation.monitor.status()[0]!.panicking, true)
    simulation.behaviours.clear()
    simulation.pass(10_000)
    assert.equal(simulation.monitor.status()[0]!.panicking, false)
    assert.deepEqual(
      simulation.lines.filter((line) => !line.includes('endpoint is')),
      ['warn too few endpoints are usable: all are used', 'info enough endpoints are usable again'],
    )
  })

  test('see why and since when', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set(a, 503)
    simulation.apply([upstream([a, b], { host: 'foo.com', unhealthy: { http_failures: 1 } })])
    simulation.until(a, false)
    simulation.pass(4000)
    const { type, endpoints } = simulation.monitor.statusOf('upstream:1')!
    assert.equal(type, 'http')
    const { reason, unchangedFor, hostname } = endpoints[0]!
    assert.deepEqual(reason, { source: 'probe', failure: 'status', status: 503 })
    assert.ok(Math.abs(unchangedFor! - 4000) < 1, `${unchangedFor}`)
    assert.equal(hostname, 'foo.com')
    assert.deepEqual([endpoints[1]!.reason, endpoints[1]!.unchangedFor], [undefined, undefined])
    assert.equal(simulation.monitor.statusOf('upstream:2'), undefined)
  })

  test('may have it forgotten', (t) => {
    const simulation = new Simulation(t)
    simulation.behaviours.set(a, 'connect_failed')
    simulation.apply([upstream([a, b])])
    simulation.until(a, false)
    const [health] = simulation.monitor.keepers
    assert.equal(health!.count(), 1)
    assert.equal(health!.clear('route:1'), 0)
    assert.equal(health!.clear(undefined), 1)
    assert.equal(simulation.state(a), 'healthy 0 0 0 0')
    assert.equal(health!.count(), 0)
  })
})

test('nothing is watched where health checks are switched off', (t) => {
  const monitor = new HealthMonitor({
    log: { debug() {}, info() {}, warn() {}, error() {} },
    addressesOf: (host) => [host],
    enabled: false,
  })
  t.after(() => monitor.close())
  monitor.prepare([upstream([a])])
  monitor.follow([upstream([a])], [])
  assert.deepEqual(monitor.slots(), [])
})
