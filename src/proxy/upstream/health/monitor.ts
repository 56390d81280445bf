/**
 * The control thread's part in the health of endpoints: gives out slots of the health table, probes, ends ejections, and
 * tells operators what changed. Probes begin with the configuration, not with the first request, and run once for all
 * threads; a change of nodes leaves those of the others alone.
 */
import type { UpstreamSpec } from '../../../config/plan.ts'
import type { Log } from '../../../telemetry/log.ts'
import { clock } from '../../clock.ts'
import type { StateKeeper, StateKind } from '../../run-time-state.ts'
import { type Deadline, TimerWheel } from '../../timer-wheel.ts'
import type { Whereabout } from '../../whereabouts.ts'
import type { DiscoveredNode } from '../discovery/discovered-node.ts'
import { type Probe, type ProbeTarget, SocketProbe } from './probe.ts'
import { SlotPool } from './slot-pool.ts'
import type { UpstreamSlots } from './slots.ts'
import { createHealthTable, HealthTable } from './table.ts'
import type { EndpointHealth, HealthTotals, Surroundings } from './target.ts'
import { type UpstreamHealthStatus, WatchedUpstream } from './watched-upstream.ts'

/** How often the control thread looks at what data threads reported. */
const lookEveryMs = 200

export interface HealthMonitorOptions {
  log: Log
  /** What a host name leads to now; an address leads to itself. */
  addressesOf: (host: string) => readonly string[]
  /** The nodes of a service that a registry knows. */
  nodesOf?: (service: string) => readonly DiscoveredNode[]
  /** False: nothing is watched, whatever upstreams say. Default: true. */
  enabled?: boolean
  /** Certificates in PEM that upstreams are trusted by; none: those that Node.js brings. */
  authorities?: () => readonly string[]
  wheel?: TimerWheel
  /** Monotonic milliseconds. */
  now?: () => number
  random?: () => number
  makeProbe?: (target: ProbeTarget) => Probe
  /** Slots of the table. */
  slots?: number
}

export class HealthMonitor implements Deadline {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  /** The table, for data threads. */
  readonly memory: SharedArrayBuffer
  readonly #upstreams = new Map<string, WatchedUpstream>()
  /** Upstreams that are gone, whose state is kept for a while. */
  readonly #leaving = new Map<string, WatchedUpstream>()
  readonly #surroundings: Surroundings
  readonly #listeners: ((slots: UpstreamSlots) => void)[] = []
  readonly #enabled: boolean
  readonly #ownsWheel: boolean

  constructor(options: HealthMonitorOptions) {
    this.memory = createHealthTable(options.slots)
    this.#enabled = options.enabled ?? true
    this.#ownsWheel = options.wheel === undefined
    const table = new HealthTable(this.memory)
    const wheel = options.wheel ?? new TimerWheel()
    this.#surroundings = {
      table,
      wheel,
      pool: new SlotPool(table.slots),
      log: options.log,
      totals: noTotals(),
      addressesOf: options.addressesOf,
      nodesOf: options.nodesOf ?? (() => []),
      now: options.now ?? (() => clock.now),
      random: options.random ?? Math.random,
      makeProbe: options.makeProbe ?? ((target) => new SocketProbe(target, wheel, options.authorities)),
    }
  }

  /** Makes room for the endpoints of upstreams that are about to be put to work, beside those of the present ones. */
  prepare(added: readonly UpstreamSpec[]): void {
    for (const spec of added) {
      const upstream = this.#open(spec)
      if (upstream === undefined) continue
      upstream.admit(spec)
      this.#announce(upstream)
    }
  }

  /** These upstreams are in use now, and those of `gone` that are not among them no longer. */
  follow(added: readonly UpstreamSpec[], gone: readonly UpstreamSpec[]): void {
    const kept = new Set<string>()
    for (const spec of added) {
      const upstream = this.#open(spec)
      if (upstream === undefined) continue
      kept.add(spec.key)
      upstream.follow(spec)
      this.#announce(upstream)
    }
    for (const { key } of gone) if (!kept.has(key)) this.#dismiss(key)
    this.#lookLater()
  }

  /** What a name leads to has changed, or the nodes of a service. To be called before data threads are told. */
  moved(change: Whereabout): void {
    for (const upstream of this.#upstreams.values()) {
      if (upstream.moved(change)) this.#announce(upstream)
    }
  }

  /** For a thread that starts. */
  slots(): UpstreamSlots[] {
    return Array.from(this.#upstreams.values(), (upstream) => upstream.slots())
  }

  /** Called with what data threads have to know, before they need it. */
  onSlots(listener: (slots: UpstreamSlots) => void): void {
    this.#listeners.push(listener)
  }

  status(): UpstreamHealthStatus[] {
    return Array.from(this.#upstreams.values(), (upstream) => upstream.status())
  }

  statusOf(key: string): UpstreamHealthStatus | undefined {
    return this.#upstreams.get(key)?.status()
  }

  get totals(): Readonly<HealthTotals> {
    return this.#surroundings.totals
  }

  /** What checks found out, and ejections: operators may have either forgotten. */
  get keepers(): StateKeeper[] {
    return [
      this.#keeper('health', isKnown, (upstream) => upstream.forgetState()),
      this.#keeper(
        'breakers',
        ({ ejected }) => ejected,
        (upstream) => upstream.endEjections(),
      ),
    ]
  }

  onDeadline(): void {
    for (const upstream of this.#upstreams.values()) upstream.look()
    for (const [key, upstream] of this.#leaving) if (upstream.isGone()) this.#leaving.delete(key)
    this.#lookLater()
  }

  close(): void {
    for (const upstream of this.#upstreams.values()) upstream.close()
    this.#surroundings.wheel.clear(this)
    if (this.#ownsWheel) this.#surroundings.wheel.close()
  }

  #lookLater(): void {
    if (this.due > 0 || this.#upstreams.size + this.#leaving.size === 0) return
    this.#surroundings.wheel.set(this, this.#surroundings.now() + lookEveryMs)
  }

  /** Undefined: it is not to be watched, or there is no room. */
  #open(spec: UpstreamSpec): WatchedUpstream | undefined {
    if (!this.#enabled || !isWatched(spec)) return undefined
    const known = this.#upstreams.get(spec.key) ?? this.#leaving.get(spec.key)
    const slot = known?.slot ?? this.#surroundings.pool.take()
    if (slot === undefined) {
      this.#surroundings.log.error({ upstream: spec.key }, 'the table of health is full')
      return undefined
    }
    const upstream = known ?? new WatchedUpstream(spec, slot, this.#surroundings)
    this.#leaving.delete(spec.key)
    this.#upstreams.set(spec.key, upstream)
    return upstream
  }

  #dismiss(key: string): void {
    const upstream = this.#upstreams.get(key)
    if (upstream === undefined) return
    upstream.leave()
    this.#upstreams.delete(key)
    this.#leaving.set(key, upstream)
  }

  #announce(upstream: WatchedUpstream): void {
    const slots = upstream.slots()
    for (const listener of this.#listeners) listener(slots)
  }

  #keeper(
    kind: StateKind,
    counts: (endpoint: EndpointHealth) => boolean,
    forget: (upstream: WatchedUpstream) => number,
  ): StateKeeper {
    return {
      kind,
      count: () => this.status().flatMap(({ endpoints }) => endpoints.filter(counts)).length,
      clear: (owner) => {
        const meant = owner === undefined ? [...this.#upstreams.values()] : [this.#upstreams.get(owner)]
        return meant.reduce((sum, upstream) => sum + (upstream === undefined ? 0 : forget(upstream)), 0)
      },
    }
  }
}

function isWatched({ checks, outlier_ejection: ejection }: UpstreamSpec): boolean {
  return checks !== undefined || ejection !== undefined
}

function isKnown({ state, counters }: EndpointHealth): boolean {
  // An endpoint that has been unhealthy keeps the successes that brought it back.
  return state !== 'healthy' || counters.success > 0
}

function noTotals(): HealthTotals {
  return {
    probes: {
      status: 0,
      connected: 0,
      connect_failed: 0,
      tls_failed: 0,
      closed: 0,
      timeout: 0,
      bad_response: 0,
    },
    becameUnhealthy: 0,
    becameHealthy: 0,
    ejections: 0,
  }
}
