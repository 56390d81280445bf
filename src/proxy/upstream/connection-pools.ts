/**
 * Which pools of connections one thread has to an upstream, and how many all threads have: a pool is what one thread has
 * open to one endpoint for one purpose. Where each client is told to the server, each client has pools of its own.
 */
import { LoadCell, type LoadTable, loadSum } from '../shared/load-table.ts'
import { poolsCell } from './load/cells.ts'

/** How many connections a pool has. */
export type PoolSize = (pool: string) => number

/** @param endpoint `endpointIdentity` */
export const poolName = (endpoint: string, purpose: string): string => `${endpoint} ${purpose}`

export class ConnectionPools {
  private readonly sizes = new Map<string, number>()
  private readonly loads: LoadTable | null
  private readonly name: string
  /** Null: there is no limit. */
  private cell: LoadCell | null = null
  private limit: number | undefined

  /** @param breaker name of its cell */
  constructor(loads: LoadTable | null, breaker: string) {
    this.loads = loads
    this.name = poolsCell(breaker)
  }

  setLimit(limit: number | undefined): void {
    this.limit = limit
    if (limit === undefined) this.close()
    else if (this.cell === null) {
      this.cell = this.loads?.claim(this.name) ?? LoadCell.alone()
      this.cell.add(loadSum.connections, this.sizes.size)
    }
  }

  readonly size: PoolSize = (pool) => this.sizes.get(pool) ?? 0

  /** A connection is opened. @returns false when it would be the first of a pool beyond the limit */
  enter(pool: string): boolean {
    const size = this.size(pool)
    const { cell, limit } = this
    if (size === 0 && cell !== null && limit !== undefined && !cell.addWithin(loadSum.connections, limit)) {
      return false
    }
    this.sizes.set(pool, size + 1)
    return true
  }

  /** It is closed. */
  leave(pool: string): void {
    const size = this.size(pool)
    if (size > 1) this.sizes.set(pool, size - 1)
    else if (this.sizes.delete(pool)) this.cell?.add(loadSum.connections, -1)
  }

  /** Lets go of what is shared. */
  close(): void {
    if (this.cell !== null) this.loads?.release(this.cell)
    this.cell = null
  }
}
