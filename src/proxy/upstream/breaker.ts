/**
 * The circuit breaker of an upstream: how much of it all threads together may use. What is beyond a limit is refused at
 * once; nothing waits.
 */
import type { CircuitBreakerSpec } from '../../config/plan.ts'
import { errors, type GatewayError } from '../errors.ts'
import { LoadCell, type LoadTable, loadSum } from '../shared/load-table.ts'

export class Breaker {
  private readonly loads: LoadTable | null
  private cell: LoadCell
  private limits: Required<CircuitBreakerSpec>
  /** Idle connections that this thread keeps. */
  private idle = 0

  /** @param loads null: no other thread uses the same upstream */
  constructor(limits: CircuitBreakerSpec, loads: LoadTable | null, name: string) {
    this.limits = withoutLimit(limits)
    this.loads = loads
    this.cell = loads?.claim(name) ?? LoadCell.alone()
  }

  setLimits(limits: CircuitBreakerSpec): void {
    this.limits = withoutLimit(limits)
  }

  /** @returns why there is no room; null: the request has begun */
  beginRequest(): GatewayError | null {
    return this.cell.addWithin(loadSum.requests, this.limits.max_requests) ? null : errors.tooManyRequests
  }

  endRequest(): void {
    this.cell.add(loadSum.requests, -1)
  }

  /** False: there is no room for one more retry. */
  beginRetry(): boolean {
    return this.cell.addWithin(loadSum.retries, this.limits.max_retries)
  }

  endRetry(): void {
    this.cell.add(loadSum.retries, -1)
  }

  /** @returns why there is no room; null: the connection may be opened, and is counted */
  openConnection(): GatewayError | null {
    if (!this.cell.addWithin(loadSum.pending, this.limits.max_pending)) return errors.tooManyPending
    if (this.cell.addWithin(loadSum.connections, this.limits.max_connections)) return null
    this.cell.add(loadSum.pending, -1)
    return errors.tooManyConnections
  }

  /** It is open, or has failed. */
  connectionSettled(): void {
    this.cell.add(loadSum.pending, -1)
  }

  connectionClosed(): void {
    this.cell.add(loadSum.connections, -1)
  }

  /**
   * Takes one more connection into the pool. A thread keeps no more than its part of `max_connections` idle, so that idle
   * ones of one thread never keep another from opening any.
   */
  keepIdle(): boolean {
    const threads = this.loads?.threads ?? 1
    if (this.idle >= Math.floor(this.limits.max_connections / threads)) return false
    this.idle++
    return true
  }

  leaveIdle(): void {
    this.idle--
  }

  /** Lets go of what is shared. What is still under way counts for this thread alone, until it is over. */
  close(): void {
    this.loads?.release(this.cell)
    this.cell = LoadCell.alone()
  }
}

function withoutLimit(limits: CircuitBreakerSpec): Required<CircuitBreakerSpec> {
  const none = Number.MAX_SAFE_INTEGER
  return { max_connections: none, max_pending: none, max_requests: none, max_retries: none, ...limits }
}
