/**
 * The circuit breaker of an upstream: how much of it all threads together may use. What is beyond a limit is refused at
 * once; nothing waits.
 */
import type { CircuitBreakerSpec } from '../../config/plan.ts'
import { errors, type GatewayError } from '../errors.ts'
import { LoadCell, type LoadTable, loadSum } from '../shared/load-table.ts'
import { ConnectionPools, type PoolSize } from './connection-pools.ts'

export class Breaker {
  private readonly loads: LoadTable | null
  private cell: LoadCell
  private limits: Limits
  private readonly pools: ConnectionPools
  /** Idle connections that this thread keeps. */
  private idle = 0

  /** @param loads null: no other thread uses the same upstream */
  constructor(limits: CircuitBreakerSpec, loads: LoadTable | null, name: string) {
    this.limits = withoutLimit(limits)
    this.loads = loads
    this.cell = loads?.claim(name) ?? LoadCell.alone()
    this.pools = new ConnectionPools(loads, name)
    this.pools.setLimit(limits.max_pools)
  }

  setLimits(limits: CircuitBreakerSpec): void {
    this.limits = withoutLimit(limits)
    this.pools.setLimit(limits.max_pools)
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

  /**
   * @param pool `poolName`; null: it serves nobody after its first user
   * @returns why there is no room; null: the connection may be opened, and is counted
   */
  openConnection(pool: string | null): GatewayError | null {
    if (!this.cell.addWithin(loadSum.pending, this.limits.max_pending)) return errors.tooManyPending
    const hasPool = pool === null || this.pools.enter(pool)
    if (hasPool && this.cell.addWithin(loadSum.connections, this.limits.max_connections)) return null
    this.cell.add(loadSum.pending, -1)
    if (!hasPool) return errors.tooManyPools
    if (pool !== null) this.pools.leave(pool)
    return errors.tooManyConnections
  }

  get poolSize(): PoolSize {
    return this.pools.size
  }

  /** It is open, or has failed. */
  connectionSettled(): void {
    this.cell.add(loadSum.pending, -1)
  }

  /** @param pool that it was opened in */
  connectionClosed(pool: string | null): void {
    this.cell.add(loadSum.connections, -1)
    if (pool !== null) this.pools.leave(pool)
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
    this.pools.close()
  }
}

type Limits = Required<Omit<CircuitBreakerSpec, 'max_pools'>>

function withoutLimit(limits: CircuitBreakerSpec): Limits {
  const none = Number.MAX_SAFE_INTEGER
  return { max_connections: none, max_pending: none, max_requests: none, max_retries: none, ...limits }
}
