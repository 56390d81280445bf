/**
 * The health of one upstream's endpoints in a data thread: which of them are usable, and what the requests of this thread
 * tell about them. Nothing here sends a message; what is reported is in shared memory.
 */
import type { OutlierEjectionSpec } from '../../../config/health-checks.ts'
import type { UpstreamSpec } from '../../../config/plan.ts'
import { clock } from '../../clock.ts'
import { sharedTime } from '../../shared/clock.ts'
import type { AttemptEnd, AttemptFault, AttemptObserver } from '../attempt.ts'
import type { Reason } from './reason.ts'
import type { UpstreamSlots } from './slots.ts'
import { type HealthTable, noSlot } from './table.ts'
import { counter, isEjected } from './word.ts'

/** An endpoint, as far as its health goes. */
export interface WatchedEndpoint {
  /** 0 takes no traffic. */
  readonly weight: number
  /** Whether any of its addresses is neither unhealthy nor ejected. */
  readonly isUp: boolean
  /** `noSlot` for an address that it has not any more. */
  slotOf(address: string): number
}

/** How what traffic brings is counted: APISIX's defaults where only active checks are configured. */
interface PassiveLimits {
  /** By status: `ignored`, `success` or `failure`. */
  verdicts: Uint8Array
  successes: number
  http: number
  tcp: number
  timeouts: number
}

const ignored = 0
const success = 1
const failure = 2
const noVerdicts = new Uint8Array(1000)

export class UpstreamHealth implements AttemptObserver<WatchedEndpoint> {
  /** So few endpoints are usable that all are used. */
  panicking = false
  /** None of those that take traffic is usable, but one that takes none is. APISIX uses it then. */
  onlySparesUsable = false

  private readonly table: HealthTable
  private slot = noSlot
  private slots = new Map<string, number>()
  private limits: PassiveLimits | null = null
  private ejection: OutlierEjectionSpec | null = null
  private probePort: number | undefined
  private threshold = 0
  private seenChanges = -1
  private readonly streaks = { errors: 0, gateway: 0 }
  private readonly reason: Reason = { source: 'traffic', failure: 'status', status: 0 }

  constructor(table: HealthTable) {
    this.table = table
  }

  configure(spec: UpstreamSpec): void {
    this.limits = passiveLimits(spec)
    this.ejection = spec.outlier_ejection ?? null
    this.probePort = spec.checks?.active.port
    this.threshold = spec.panic_threshold ?? 0
    this.seenChanges = -1
  }

  setSlots({ slot, endpoints }: UpstreamSlots): void {
    this.slot = slot
    this.slots = new Map(endpoints.map(([address, port, own]) => [`${address} ${port}`, own]))
    this.seenChanges = -1
  }

  /** @param port of the endpoint */
  slotOf(address: string, port: number): number {
    return this.slots.get(`${address} ${this.probePort ?? port}`) ?? noSlot
  }

  isUsable(slot: number): boolean {
    return this.table.isUsable(slot)
  }

  /**
   * When an endpoint became usable, on the clock of all threads.
   * @param slots of its addresses
   * @param joinedAt when it came into the configuration
   */
  upSince(slots: readonly number[], joinedAt: number): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const slot of slots) {
      if (this.table.isUsable(slot)) earliest = Math.min(earliest, this.table.since(slot))
    }
    return earliest === Number.POSITIVE_INFINITY ? joinedAt : Math.max(earliest, joinedAt)
  }

  /** Before a pick: has enough changed that all endpoints are to be used, or no longer? */
  look(endpoints: readonly WatchedEndpoint[]): void {
    const changes = this.table.changes(this.slot)
    if (changes === this.seenChanges) return
    this.seenChanges = changes
    let up = 0
    let spares = 0
    for (const endpoint of endpoints) {
      if (!endpoint.isUp) continue
      up++
      if (endpoint.weight === 0) spares++
    }
    this.panicking = up === 0 || up * 100 < this.threshold * endpoints.length
    this.onlySparesUsable = up > 0 && up === spares && !this.panicking
  }

  ended(endpoint: WatchedEndpoint, end: AttemptEnd, status: number, _elapsed: number, address: string): void {
    if (end === 'abandoned') return
    const slot = endpoint.slotOf(address)
    if (slot === noSlot) return
    if (this.ejection !== null) this.judge(this.ejection, slot, end, status)
    const { limits, table } = this
    if (limits === null || !table.touch(this.slot)) return
    if (end !== 'complete') this.countFault(limits, slot, end)
    else if (limits.verdicts[status] === success) {
      table.report(this.slot, slot, counter.success, limits.successes, null, this.now())
    } else if (limits.verdicts[status] === failure) {
      table.report(this.slot, slot, counter.http, limits.http, this.because('status', status), this.now())
    }
  }

  /** Where the gateway's own 502 or 504 is in the list of failures, that is what the client saw, and it counts as such. */
  private countFault(limits: PassiveLimits, slot: number, fault: AttemptFault): void {
    const late = fault === 'timeout' || fault === 'connect_timeout'
    const reason = this.because(failureOf(fault), 0)
    if (fault === 'bad_response' || limits.verdicts[late ? 504 : 502] === failure)
      this.table.report(this.slot, slot, counter.http, limits.http, reason, this.now())
    else if (late) this.table.report(this.slot, slot, counter.timeout, limits.timeouts, reason, this.now())
    else this.table.report(this.slot, slot, counter.tcp, limits.tcp, reason, this.now())
  }

  private judge(
    ejection: OutlierEjectionSpec,
    slot: number,
    end: AttemptFault | 'complete',
    status: number,
  ): void {
    const { table, streaks } = this
    const silent = end !== 'complete'
    if (!silent && status < 500) {
      table.endStreak(slot)
      return
    }
    // What was under way when it was ejected says nothing new.
    if (isEjected(table.word(slot))) return
    table.addFailure(slot, silent || (status >= 502 && status <= 504), streaks)
    const { consecutive_5xx: errors, consecutive_gateway_failures: gateway } = ejection
    if (!(errors > 0 && streaks.errors >= errors) && !(gateway > 0 && streaks.gateway >= gateway)) return
    const most = Math.max(1, Math.floor((this.slots.size * ejection.max_ejection_percent) / 100))
    if (this.ejected() >= most) return
    const reason = silent ? this.because(failureOf(end), 0) : this.because('status', status)
    // Two threads may eject different endpoints at the same moment: whoever is one too many takes it back.
    if (table.eject(this.slot, slot, reason, this.now()) && this.ejected() > most)
      table.readmit(this.slot, slot, this.now())
  }

  private ejected(): number {
    let count = 0
    for (const slot of this.slots.values()) if (isEjected(this.table.word(slot))) count++
    return count
  }

  private because(failed: Reason['failure'], status: number): Reason {
    this.reason.failure = failed
    this.reason.status = status
    return this.reason
  }

  private now(): number {
    return sharedTime(clock.now)
  }
}

function failureOf(fault: AttemptFault): Reason['failure'] {
  return fault === 'connect_timeout' ? 'timeout' : fault
}

function passiveLimits({ checks }: UpstreamSpec): PassiveLimits | null {
  if (checks === undefined) return null
  const { passive } = checks
  if (passive === undefined) return { verdicts: noVerdicts, successes: 0, http: 0, tcp: 2, timeouts: 7 }
  const verdicts = new Uint8Array(noVerdicts.length).fill(ignored)
  for (const status of passive.unhealthy.http_statuses) verdicts[status] = failure
  for (const status of passive.healthy.http_statuses) verdicts[status] = success
  return {
    verdicts,
    successes: passive.healthy.successes,
    http: passive.unhealthy.http_failures,
    tcp: passive.unhealthy.tcp_failures,
    timeouts: passive.unhealthy.timeouts,
  }
}
