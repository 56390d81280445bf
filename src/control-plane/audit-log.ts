/** Who changed what, or tried to. Bodies and queries are not kept: they may hold secrets. */
import type { Database } from './database.ts'

export interface AuditEntry {
  /** Undefined: nobody that is known. */
  who: string | undefined
  address: string
  method: string
  path: string
  status: number
}

const longestPath = 512
/** Older ones go. */
const mostEntries = 100_000

export class AuditLog {
  readonly #database: Database
  /** Seconds since 1970. */
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  write({ who, address, method, path, status }: AuditEntry): void {
    const { sql } = this.#database
    const { lastInsertRowid: number } = sql
      .prepare('INSERT INTO audit (time, who, address, method, path, status) VALUES (?, ?, ?, ?, ?, ?)')
      .run(this.#now(), who ?? null, address, method, path.slice(0, longestPath), status)
    if (Number(number) % 1000 === 0) {
      sql.prepare('DELETE FROM audit WHERE number <= ?').run(Number(number) - mostEntries)
    }
  }

  /** @param page from 1 */
  page(page: number, size: number) {
    const { sql } = this.#database
    const list = sql
      .prepare('SELECT * FROM audit ORDER BY number DESC LIMIT ? OFFSET ?')
      .all(size, (page - 1) * size)
    return { list, total: Number(sql.prepare('SELECT count(*) AS total FROM audit').get()!.total) }
  }
}
