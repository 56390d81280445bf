/** How many requests are under way with one key, exact across all threads of the process. */
import { LoadTable, loadSum } from './load-table.ts'

/** Room for that many keys with requests under way; beyond it, each thread counts for itself. */
export const presenceCells = 16 * 1024

/** A request that is counted until it leaves. */
export interface Presence {
  /** Requests under way with the key, this one included, when it came in. */
  readonly count: number
  /** To be called once. */
  leave(): void
}

export class Presences {
  readonly #table: LoadTable

  /**
   * @param table from `createLoadTable(threads, presenceCells)`; `reclaimLoads` takes out what a dead thread held
   * @param threadId from 1 on, and of no other live thread
   */
  constructor(table: SharedArrayBuffer, threadId: number) {
    this.#table = new LoadTable(table, threadId)
  }

  /** Null: `limit` requests are under way already. A key is known as long as one of its requests is. */
  enter(key: string, limit: number): Presence | null {
    const table = this.#table
    const cell = table.claim(key)
    const count = cell.addUpTo(loadSum.requests, limit)
    if (count === 0) {
      table.release(cell)
      return null
    }
    return {
      count,
      leave() {
        cell.add(loadSum.requests, -1)
        table.release(cell)
      },
    }
  }
}
