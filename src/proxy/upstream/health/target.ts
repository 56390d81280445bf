/** One address and port that is probed, with what became of it. In the control thread. */
import type { ActiveCheckSpec, OutlierEjectionSpec } from '../../../config/health-checks.ts'
import type { ProxyProtocolVersion } from '../../../config/plan.ts'
import type { Log } from '../../../telemetry/log.ts'
import { ownProxyHeader } from '../../proxy-protocol/header-writer.ts'
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
  probes: Record<ProbeResult | 'timeout', number>
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
  /** In which nodes are told who connects; undefined: they are not. */
  readonly proxyProtocol: ProxyProtocolVersion | undefined
  readonly key: string
  readonly slot: number
  readonly ejection: OutlierEjectionSpec | undefined
  /** @returns false: enough probes are under way, and `begin` is called when there is room */
  mayProbe(target: Target): boolean
  /** The target does not wait any longer. */
  giveUp(target: Target): void
  /** A probe is over. */
  probed(): void
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
  #version: ProxyProtocolVersion | undefined
  #host = ''
  #probe: Probe | undefined
  #state: 'resting' | 'waiting' | 'probing' = 'resting'
  /** When the last probe was due, from which on the next interval counts. Monotonic milliseconds. */
  #plannedFor = 0
  #seenWord = 0
  #ejections = 0
  /** Monotonic milliseconds; 0: it is not ejected. */
  #ejectedUntil = 0
  #lastEjectionMs = 0
  #readmittedAt = Number.NEGATIVE_INFINITY

  readonly #done = (result: ProbeResult | 'timeout', status: number) => {
    this.#owner.probed()
    this.#judge(result, status)
    this.#state = 'resting'
  }

  constructor(owner: TargetOwner, surroundings: Surroundings, address: string, port: number, slot: number) {
    this.#owner = owner
    this.#surroundings = surroundings
    this.address = address
    this.port = port
    this.slot = slot
  }

  /**
   * Probes like this from now on. A check that did not change goes on as it is.
   * @param host for `Host` and the TLS server name, where the check has none
   * @param phase from 0 to 1: where in the second half of the first interval the first probe is due
   */
  check(check: ActiveCheckSpec | undefined, host: string, phase: number): void {
    const { proxyProtocol: version } = this.#owner
    if (check === this.#check && host === this.#host && version === this.#version) return
    this.stop()
    this.#check = check
    this.#host = host
    this.#version = version
    if (check === undefined) {
      this.#surroundings.table.forgetState(this.#owner.slot, this.slot, this.#sharedNow())
      return
    }
    const { now, makeProbe } = this.#surroundings
    this.#probe = makeProbe({
      address: this.address,
      port: this.port,
      request: probeRequest(check, host),
      isHead: check.http_method === 'HEAD',
      tls: probeTls(check, host),
      ...(version !== undefined && { preamble: ownProxyHeader(version) }),
    })
    this.#plan(now() + (this.#interval() * (1 + phase)) / 2)
  }

  stop(): void {
    if (this.#state === 'waiting') this.#owner.giveUp(this)
    if (this.#state === 'probing') this.#owner.probed()
    this.#state = 'resting'
    this.#probe?.giveUp()
    this.#probe = undefined
    this.#check = undefined
    this.#surroundings.wheel.clear(this)
  }

  /** A probe is due, or the answer to one. */
  onDeadline(): void {
    if (this.#state === 'probing') {
      this.#probe?.giveUp()
      this.#done('timeout', 0)
      return
    }
    this.#state = 'waiting'
    if (this.#owner.mayProbe(this)) this.begin()
  }

  begin(): void {
    const { wheel, now } = this.#surroundings
    this.#state = 'probing'
    wheel.set(this, now() + (this.#check?.timeout ?? 0) * 1000)
    this.#probe?.start(this.#done)
  }

  get isEjected(): boolean {
    return this.#ejectedUntil > 0
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

  #judge(result: ProbeResult | 'timeout', status: number): void {
    const { totals, now } = this.#surroundings
    const check = this.#check
    if (check === undefined) return
    totals.probes[result]++
    this.#report(check, result, status)
    this.look()
    this.#plan(Math.max(now(), this.#plannedFor + this.#interval()))
  }

  #report({ healthy, unhealthy }: ActiveCheckSpec, result: ProbeResult | 'timeout', status: number): void {
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
    const { totals, log, now } = this.#surroundings
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
      if (this.#state === 'resting' && this.due > 0) this.#plan(Math.min(this.due, now() + this.#interval()))
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

  #plan(at: number): void {
    this.#plannedFor = at
    this.#surroundings.wheel.set(this, at)
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
