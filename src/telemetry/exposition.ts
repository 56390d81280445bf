/** The metrics of the whole process as text: what threads count, what the gateway knows about itself, and the process. */
import { hostname } from 'node:os'
import {
  type EngineCounterName,
  EngineCounters,
  engineCounter,
  engineCounterHelp,
} from './engine-counters.ts'
import {
  asPromMetric,
  counterFamily,
  gaugeFamily,
  type MetricFamily,
  renamed,
  samplesOf,
} from './metric-family.ts'
import { MetricTotals, type SeriesTotal } from './metric-totals.ts'
import { type Announcement, overflowLabel } from './metrics.ts'
import { processFamilies } from './process-metrics.ts'
import { readThreadGauge, type ThreadGaugeName } from './thread-gauges.ts'

/** What one data thread writes for others to read. */
export interface ThreadTelemetry {
  metrics: SharedArrayBuffer
  counters: SharedArrayBuffer
  gauges: SharedArrayBuffer
}

export interface MetricsText {
  contentType: string
  text: string
  /** The same moment in short. */
  status: GatewayStatus
}

/** Connections of clients, as nginx counts them, and their requests. */
export interface GatewayStatus {
  /** Of this run of the gateway. */
  id: string
  connections: Record<'active' | 'reading' | 'writing' | 'waiting' | 'accepted' | 'handled', number>
  /** Requests since the start. */
  requests: number
}

/** What the control thread knows at the moment of a scrape. */
export interface GatewayFacts {
  /** Of this run of the gateway. */
  id: string
  version: string
  configVersion: number
  /** Epoch milliseconds; 0: never. */
  configAppliedAt: number
  configRejected: number
  threadRestarts: number
  connectionsLost: number
  openConnections: number
  limiterEvictions: number
  stateClears: number
  ready: boolean
}

/** What names of metrics that APISIX has too begin with, unless the operator has it otherwise. */
export const apisixPrefix = 'apisix_'

export class Exposition {
  readonly #facts: () => GatewayFacts
  readonly #controlGauges: SharedArrayBuffer
  readonly #prefix: string
  #rendering: Promise<MetricsText> | undefined
  readonly #totals = new MetricTotals()
  readonly #threads = new Map<number, ThreadTelemetry>()
  readonly #sources: (() => MetricFamily[])[] = []
  /** Engine counts of threads that are gone. */
  readonly #retired = new EngineCounters()

  /**
   * @param controlGauges Where the control thread's own `ThreadPulse` writes.
   * @param prefix What names begin with in place of `apisix_`.
   */
  constructor(facts: () => GatewayFacts, controlGauges: SharedArrayBuffer, prefix = apisixPrefix) {
    this.#facts = facts
    this.#controlGauges = controlGauges
    this.#prefix = prefix
  }

  addThread(threadId: number, telemetry: ThreadTelemetry): void {
    this.#threads.set(threadId, telemetry)
    this.#totals.addThread(threadId, telemetry.metrics)
  }

  announce(threadId: number, announcement: Announcement): void {
    this.#totals.announce(threadId, announcement)
  }

  /** More of what the control thread knows. Asked at each scrape. */
  addSource(families: () => MetricFamily[]): void {
    this.#sources.push(families)
  }

  /** Leaves out series of these metrics, by name, in which nothing was counted for so many milliseconds. */
  expireSeries(lifetimes: ReadonlyMap<string, number>, now: number): void {
    this.#totals.expire(lifetimes, now)
  }

  /** Requests since the start of the gateway. */
  get requests(): number {
    return this.#total('requests')
  }

  get status(): GatewayStatus {
    const facts = this.#facts()
    const handled = this.#total('connections_accepted')
    const inFlight = this.#inFlight()
    const connections = {
      active: facts.openConnections,
      reading: 0,
      writing: inFlight,
      waiting: Math.max(0, facts.openConnections - inFlight),
      // As nginx counts them: those that were closed at once were accepted too.
      accepted: handled + this.#total('connections_refused'),
      handled,
    }
    return { id: facts.id, connections, requests: this.requests }
  }

  /** A dead thread's counts stay in the totals; its gauges go. */
  retireThread(threadId: number): void {
    const telemetry = this.#threads.get(threadId)
    if (telemetry === undefined) return
    const counters = new EngineCounters(telemetry.counters)
    for (const name of engineCounterNames) this.#retired.add(engineCounter[name], counters.get(name))
    this.#threads.delete(threadId)
    this.#totals.retireThread(threadId)
  }

  /** Forgets what policies counted in threads that are gone; those that live clear, and count, their own memory. */
  clearPolicyMetrics(): 0 {
    this.#totals.clear()
    return 0
  }

  /** Prometheus text format 0.0.4. Scrapes that overlap share one text. */
  render(): Promise<MetricsText> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = undefined
    })
    return this.#rendering
  }

  /** prom-client is loaded by the first scrape. */
  async #render(): Promise<MetricsText> {
    const { Registry } = await import('prom-client')
    const registry = new Registry()
    for (const family of await this.#families()) {
      registry.registerMetric(asPromMetric(renamed(family, apisixPrefix, this.#prefix)))
    }
    const text = await registry.metrics()
    return { contentType: registry.contentType, text, status: this.status }
  }

  async #families(): Promise<MetricFamily[]> {
    return [
      ...this.#gatewayFamilies(),
      ...this.#engineFamilies(),
      ...this.#threadFamilies(),
      ...(await processFamilies()),
      ...this.#sources.flatMap((families) => families()),
      ...this.#policyFamilies(),
    ]
  }

  #gatewayFamilies(): MetricFamily[] {
    const facts = this.#facts()
    const { connections, requests } = this.status
    return [
      gaugeFamily('apisix_http_requests_total', 'Requests since the start of the gateway.', requests),
      {
        name: 'apisix_nginx_http_current_connections',
        help: 'Client connections by state.',
        type: 'gauge',
        values: Object.entries(connections).map(([state, value]) => ({ labels: { state }, value })),
      },
      gaugeFamily('apisix_node_info', 'Host name and version of this gateway.', 1, {
        hostname: hostname(),
        version: facts.version,
      }),
      gaugeFamily('sluice_ready', '1 when the gateway takes traffic.', facts.ready ? 1 : 0),
      gaugeFamily('sluice_config_version', 'Version of the plan in use.', facts.configVersion),
      gaugeFamily(
        'sluice_config_last_success_timestamp_seconds',
        'When the plan in use was put to work.',
        facts.configAppliedAt / 1000,
      ),
      counterFamily(
        'sluice_config_rejected_total',
        'Configurations that were refused.',
        facts.configRejected,
      ),
      gaugeFamily('sluice_threads', 'Data threads that run.', this.#threads.size),
      counterFamily(
        'sluice_thread_restarts_total',
        'Data threads that died and were replaced.',
        facts.threadRestarts,
      ),
      counterFamily(
        'sluice_thread_connections_lost_total',
        'Client connections that data threads had open when they died.',
        facts.connectionsLost,
      ),
      counterFamily(
        'sluice_limiter_evictions_total',
        'Live rate limit windows that had to make room.',
        facts.limiterEvictions,
      ),
      counterFamily(
        'sluice_state_clears_total',
        'Times that an operator cleared run-time state.',
        facts.stateClears,
      ),
    ]
  }

  #engineFamilies(): MetricFamily[] {
    return engineCounterNames.map((name) =>
      counterFamily(`sluice_${name}_total`, engineCounterHelp[name], this.#total(name)),
    )
  }

  #threadFamilies(): MetricFamily[] {
    const threads: [string, SharedArrayBuffer][] = [['control', this.#controlGauges]]
    for (const [threadId, { gauges }] of this.#threads) threads.push([String(threadId), gauges])
    return threadGaugeFamilies.map(({ name, help, gauge }) => ({
      name,
      help,
      type: 'gauge',
      values: threads.map(([thread, gauges]) => ({
        labels: { thread },
        value: readThreadGauge(gauges, gauge),
      })),
    }))
  }

  #policyFamilies(): MetricFamily[] {
    const families = [...this.#totals.read()].map(({ definition, series }) => ({
      name: definition.name,
      help: definition.help,
      type: definition.kind,
      values: [...series]
        .filter(isWorthShowing)
        .flatMap((total) => samplesOf(definition, total.labels, total.values)),
    }))
    // A metric without series is not even named, as in APISIX.
    return families.filter(({ values }) => values.length > 0)
  }

  #total(name: EngineCounterName): number {
    let sum = this.#retired.get(name)
    for (const { counters } of this.#threads.values()) sum += new EngineCounters(counters).get(name)
    return sum
  }

  /** Of live threads only: what a dead one left unfinished is over. */
  #inFlight(): number {
    let sum = 0
    for (const { counters } of this.#threads.values()) {
      const own = new EngineCounters(counters)
      sum += own.get('requests') - own.get('responses')
    }
    return Math.max(0, sum)
  }
}

const engineCounterNames = Object.keys(engineCounter) as EngineCounterName[]

const threadGaugeFamilies: readonly { name: string; help: string; gauge: ThreadGaugeName }[] = [
  { name: 'nodejs_eventloop_lag_seconds', help: 'Mean lag of a thread.', gauge: 'lag_mean' },
  {
    name: 'nodejs_eventloop_lag_p99_seconds',
    help: '99th percentile of the lag of a thread.',
    gauge: 'lag_p99',
  },
  { name: 'nodejs_eventloop_lag_max_seconds', help: 'Worst lag of a thread.', gauge: 'lag_max' },
  {
    name: 'nodejs_eventloop_utilization',
    help: 'Share of time that a thread is at work.',
    gauge: 'utilization',
  },
  { name: 'nodejs_heap_size_used_bytes', help: 'Heap of a thread that is in use.', gauge: 'heap_used' },
  { name: 'nodejs_heap_size_total_bytes', help: 'Heap of a thread.', gauge: 'heap_total' },
  { name: 'nodejs_external_memory_bytes', help: 'Memory outside the heap of a thread.', gauge: 'external' },
]

/** The overflow series is always there, and a cleared one still is; they show once they counted something. */
function isWorthShowing(total: SeriesTotal): boolean {
  return (!isOverflow(total) && !total.cleared) || total.values.some((value) => value !== 0)
}

function isOverflow(total: SeriesTotal): boolean {
  return total.labels.length > 0 && total.labels.every((label) => label === overflowLabel)
}
