/** One address and port that is probed, with what became of it. In the control thread. */
import type { ActiveCheckSpec, OutlierEjectionSpec } from '../../../config/health-checks.ts'
import type { Log } from '../../../telemetry/log.ts'
import { sharedTime } from '../../shared/clock.ts'
import type { Deadline, TimerWheel } from '../../timer-wheel.ts'
import type { DiscoveredNode } from '../discovery/discovered-node.ts'
import type { Probe, ProbeResult, ProbeTarget } from './probe.ts'
import { probeRequest, probeTls } from './probe-request.ts'
import { describeReason, type Reason } from './reason.ts'
import type { SlotPool } from './slot-pool.ts'
import type { HealthTable } from './table.ts'
import {
  counter,
  countersOf,
  type HealthCounters,
  type HealthState,
  isEjected,
  isUp,
  stateOf,
} from './word.ts'

/** What the control thread's part in health works with. */
export interface Surroundings {
  table: HealthTable
  pool: SlotPool
  wheel: TimerWheel
  log: Log
  totals: HealthTotals
  /** What a host name leads to now; an address leads to itself. */
  addressesOf: (host: string) => readonly string[]
  /** The nodes of a service that a registry knows. */
  nodesOf: (service: string) => readonly DiscoveredNode[]
  /** Monotonic milliseconds. */
  now: () => number
  random: () => number
  makeProbe: (target: ProbeTarget) => Probe
}

/** Since the start of the gateway. */
export interface HealthTotals {
  probes: Record<ProbeResult, number>
  becameUnhealthy: number
  becameHealthy: number
  ejections: number
}

export interface EndpointHealth {
  address: string
  port: number
  /** What it is called in the configuration of the check; by default its address. */
  hostname: string
  state: HealthState
  counters: HealthCounters
  ejected: boolean
  /** Of the last failure that was counted. */
  reason: Reason | undefined
  /** Milliseconds since it became usable or unusable; undefined: it has been usable from the start. */
  unchangedFor: number | undefined
}

/** The upstream that a target belongs to. */
export interface TargetOwner {
  readonly key: string
  readonly slot: number
  readonly ejection: OutlierEjectionSpec | undefined
  /** @returns false: enough probes are under way, and `begin` is called when there is room */
  mayProbe(target: Target): boolean
  /** The probe is over, or will not be sent. */
  probed(target: Target): void
}

export class Target implements Deadline {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  readonly address: string
  readonly port: number
  readonly slot: number
  readonly #owner: TargetOwner
  readonly #surroundings: Surroundings
  #check: ActiveCheckSpec | undefined
  #host = ''
  #probe: Probe | undefined
  #state: 'resting' | 'waiting' | 'probing' = 'resting'
  #startedAt = 0
  #seenWord = 0
  #ejections = 0
  /** Monotonic milliseconds; 0: it is not ejected. */
  #ejectedUntil = 0
  #lastEjectionMs = 0
  #readmittedAt = Number.NEGATIVE_INFINITY

  constructor(owner: TargetOwner, surroundings: Surroundings, address: string, port: number, slot: number) {
    this.#owner = owner
    this.#surroundings = surroundings
    this.address = address
    this.port = port
    this.slot = slot
  }

  /** @param host for `Host` and the TLS server name, where the check has none. A check that did not change goes on. */
  check(check: ActiveCheckSpec | undefined, host: string): void {
    if (check === this.#check && host === this.#host) return
    this.stop()
    this.#check = check
    this.#host = host
    if (check === undefined) {
      this.#surroundings.table.forgetState(this.#owner.slot, this.slot, this.#sharedNow())
      return
    }
    const { now, random, makeProbe, wheel } = this.#surroundings
    this.#probe = makeProbe({
      address: this.address,
      port: this.port,
      timeout: check.timeout * 1000,
      request: probeRequest(check, host),
      isHead: check.http_method === 'HEAD',
      tls: probeTls(check, host),
    })
    // The first probe is due within an interval, as in APISIX, but not at the same moment for all.
    wheel.set(this, now() + this.#interval() * (1 - random() / 2))
  }

  stop(): void {
    if (this.#state !== 'resting') this.#owner.probed(this)
    this.#state = 'resting'
    this.#probe?.close()
    this.#probe = undefined
    this.#check = undefined
    this.#surroundings.wheel.clear(this)
  }

  onDeadline(): void {
    this.#state = 'waiting'
    if (this.#owner.mayProbe(this)) this.begin()
  }

  begin(): void {
    this.#state = 'probing'
    this.#startedAt = this.#surroundings.now()
    this.#probe?.start((result, status) => {
      this.#state = 'resting'
      this.#owner.probed(this)
      this.#judge(result, status)
    })
  }

  /** Looks at what data threads reported, and ends an ejection whose time is over. */
  look(): void {
    const { table, now } = this.#surroundings
    const word = table.word(this.slot)
    if (word !== this.#seenWord) this.#observe(word)
    if (this.#ejectedUntil > 0 && (now() >= this.#ejectedUntil || this.#owner.ejection === undefined))
      this.endEjection()
  }

  /** @returns false: there was nothing to forget */
  forgetState(): boolean {
    const { table } = this.#surroundings
    const before = table.word(this.slot)
    table.forgetState(this.#owner.slot, this.slot, this.#sharedNow())
    if (table.word(this.slot) === before) return false
    this.look()
    return true
  }

  /** @returns false: it was not ejected */
  endEjection(): boolean {
    const { table, now } = this.#surroundings
    this.#ejectedUntil = 0
    if (!isEjected(table.word(this.slot))) return false
    table.readmit(this.#owner.slot, this.slot, this.#sharedNow())
    this.#readmittedAt = now()
    this.look()
    return true
  }

  status(): EndpointHealth {
    const { table } = this.#surroundings
    const word = table.word(this.slot)
    const since = table.since(this.slot)
    return {
      address: this.address,
      port: this.port,
      hostname: this.#check?.host ?? this.address,
      state: stateOf(word),
      counters: countersOf(word),
      ejected: isEjected(word),
      reason: table.reason(this.slot),
      unchangedFor: since === 0 ? undefined : this.#sharedNow() - since,
    }
  }

  #judge(result: ProbeResult, status: number): void {
    const { totals, now, wheel } = this.#surroundings
    const check = this.#check
    if (check === undefined) return
    totals.probes[result]++
    this.#report(check, result, status)
    this.look()
    wheel.set(this, Math.max(now(), this.#startedAt + this.#interval()))
  }

  #report({ healthy, unhealthy }: ActiveCheckSpec, result: ProbeResult, status: number): void {
    switch (result) {
      case 'connected':
        this.#count(counter.success, healthy.successes, null)
        break
      case 'status': {
        const reason: Reason = { source: 'probe', failure: 'status', status }
        if (healthy.http_statuses.includes(status)) this.#count(counter.success, healthy.successes, null)
        else if (unhealthy.http_statuses.includes(status))
          this.#count(counter.http, unhealthy.http_failures, reason)
        break
      }
      case 'bad_response':
        this.#count(counter.http, unhealthy.http_failures, because(result))
        break
      case 'timeout':
        this.#count(counter.timeout, unhealthy.timeouts, because(result))
        break
      default:
        this.#count(counter.tcp, unhealthy.tcp_failures, because(result))
    }
  }

  #count(which: (typeof counter)[keyof typeof counter], limit: number, reason: Reason | null): void {
    this.#surroundings.table.report(this.#owner.slot, this.slot, which, limit, reason, this.#sharedNow())
  }

  #observe(word: number): void {
    const { totals, log, wheel, now } = this.#surroundings
    const before = this.#seenWord
    this.#seenWord = word
    if (isEjected(word) && !isEjected(before)) this.#ejected()
    if (!isEjected(word) && isEjected(before)) {
      this.#ejectedUntil = 0
      log.info(this.#facts(word), 'endpoint is back from its ejection')
    }
    if (isUp(word) && !isUp(before)) {
      totals.becameHealthy++
      log.info(this.#facts(word), 'endpoint is healthy again')
    } else if (!isUp(word) && isUp(before)) {
      totals.becameUnhealthy++
      log.warn(this.#facts(word), 'endpoint is unhealthy')
      // Traffic may have found out; the next probe may be due only after the interval of healthy endpoints.
      if (this.due > 0) wheel.set(this, Math.min(this.due, now() + this.#interval()))
    } else if (stateOf(word) !== stateOf(before)) {
      log.debug(this.#facts(word), `endpoint is ${stateOf(word).replace('_', ' ')}`)
    }
  }

  /** Each ejection soon after the one before takes longer. */
  #ejected(): void {
    const { totals, log, now } = this.#surroundings
    const { base_ejection_time: base = 0, max_ejection_time: longest = 0 } = this.#owner.ejection ?? {}
    const isRelapse = now() - this.#readmittedAt < this.#lastEjectionMs
    this.#ejections = isRelapse ? this.#ejections + 1 : 1
    this.#lastEjectionMs = Math.min(base * this.#ejections, longest) * 1000
    this.#ejectedUntil = now() + this.#lastEjectionMs
    totals.ejections++
    const facts = { ...this.#facts(this.#seenWord), seconds: this.#lastEjectionMs / 1000 }
    log.warn(facts, 'endpoint is ejected')
  }

  #facts(word: number): object {
    const reason = this.#surroundings.table.reason(this.slot)
    return {
      upstream: this.#owner.key,
      endpoint: `${this.address.includes(':') ? `[${this.address}]` : this.address}:${this.port}`,
      ...(reason !== undefined && { reason: describeReason(reason) }),
      counters: countersOf(word),
    }
  }

  /** Milliseconds. */
  #interval(): number {
    const check = this.#check
    if (check === undefined) return 0
    const up = isUp(this.#surroundings.table.word(this.slot))
    return (up ? check.healthy : check.unhealthy).interval * 1000
  }

  #sharedNow(): number {
    return sharedTime(this.#surroundings.now())
  }
}

function because(failure: Reason['failure']): Reason {
  return { source: 'probe', failure, status: 0 }
}
