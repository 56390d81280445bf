/**
 * Where the resources of the Admin API are kept: one SQLite file that this process alone writes. A commit is on the
 * disk when it returns (`synchronous = FULL`: with the write-ahead log that is one fsync per commit), because an answer
 * promises that the change survives a loss of power; changes that come together share a commit.
 */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'

/** One resource as it was written. */
export interface StoredResource {
  kind: string
  id: string
  /** JSON. */
  value: string
  /** Revisions of the store, which rises by one with each change. */
  created: number
  modified: number
  /** Epoch seconds; null: never. */
  expires: number | null
}

const schema = `
  CREATE TABLE IF NOT EXISTS resources (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    value TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    expires INTEGER,
    PRIMARY KEY (kind, id)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS created ON resources (kind, created);
  CREATE INDEX IF NOT EXISTS expiring ON resources (expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`

const format = 1

export class Store {
  readonly #database: DatabaseSync
  readonly #statements: Record<
    'get' | 'list' | 'page' | 'count' | 'all' | 'put' | 'remove' | 'next' | 'due' | 'fact' | 'setFact',
    StatementSync
  >
  #revision: number
  /** The revision at the beginning of the transaction that is open, if one is. */
  #revisionBefore: number | undefined

  /** @throws when the folder or the file cannot be used, or was written by a later version */
  constructor(folder: string) {
    this.#database = new DatabaseSync(folder === ':memory:' ? folder : fileIn(folder))
    this.#database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE',
    )
    const { user_version: found } = this.#database.prepare('PRAGMA user_version').get() as {
      user_version: number
    }
    if (found > format) throw new Error(`it was written by a later version (format ${found}, not ${format})`)
    this.#database.exec(schema)
    this.#database.exec(`PRAGMA user_version = ${format}`)
    const prepare = (sql: string) => this.#database.prepare(sql)
    this.#statements = {
      get: prepare('SELECT * FROM resources WHERE kind = ? AND id = ?'),
      list: prepare('SELECT * FROM resources WHERE kind = ? ORDER BY id'),
      page: prepare('SELECT * FROM resources WHERE kind = ? ORDER BY created LIMIT ? OFFSET ?'),
      count: prepare('SELECT count(*) AS count FROM resources WHERE kind = ?'),
      all: prepare('SELECT * FROM resources ORDER BY created'),
      put: prepare('INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?, ?, ?)'),
      remove: prepare('DELETE FROM resources WHERE kind = ? AND id = ?'),
      next: prepare('SELECT min(expires) AS next FROM resources WHERE expires IS NOT NULL'),
      due: prepare('SELECT * FROM resources WHERE expires <= ?'),
      fact: prepare('SELECT value FROM facts WHERE name = ?'),
      setFact: prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)'),
    }
    this.#revision = Number(this.fact('revision') ?? 0)
  }

  get revision(): number {
    return this.#revision
  }

  get(kind: string, id: string): StoredResource | undefined {
    return this.#statements.get.get(kind, id) as StoredResource | undefined
  }

  /** In the order of their ids. */
  list(kind: string): StoredResource[] {
    return this.#statements.list.all(kind) as unknown as StoredResource[]
  }

  /** In the order in which they were created. `number` counts from 1. */
  page(kind: string, { number, size }: { number: number; size: number }): StoredResource[] {
    return this.#statements.page.all(kind, size, (number - 1) * size) as unknown as StoredResource[]
  }

  count(kind: string): number {
    return (this.#statements.count.get(kind) as { count: number }).count
  }

  /** In the order in which they were created. */
  all(): StoredResource[] {
    return this.#statements.all.all() as unknown as StoredResource[]
  }

  /** Resources whose time was over at `now`, in epoch seconds. */
  due(now: number): StoredResource[] {
    return this.#statements.due.all(now) as unknown as StoredResource[]
  }

  /** When the next resource's time is over, in epoch seconds. */
  nextExpiry(): number | undefined {
    return (this.#statements.next.get() as { next: number | null }).next ?? undefined
  }

  /** Inside a transaction. A resource that is replaced keeps the revision at which it was created. */
  put(kind: string, id: string, value: string, expires: number | null): StoredResource {
    const modified = this.advance()
    const created = this.get(kind, id)?.created ?? modified
    this.#statements.put.run(kind, id, value, created, modified, expires)
    return { kind, id, value, created, modified, expires }
  }

  /** Inside a transaction. @returns whether there was one */
  remove(kind: string, id: string): boolean {
    const removed = this.#statements.remove.run(kind, id).changes > 0
    if (removed) this.advance()
    return removed
  }

  /** Inside a transaction. @returns a revision that nothing else has */
  advance(): number {
    return ++this.#revision
  }

  fact(name: string): string | undefined {
    return (this.#statements.fact.get(name) as { value: string } | undefined)?.value
  }

  /** Inside a transaction. */
  setFact(name: string, value: string): void {
    this.#statements.setFact.run(name, value)
  }

  get inTransaction(): boolean {
    return this.#revisionBefore !== undefined
  }

  begin(): void {
    this.#database.exec('BEGIN IMMEDIATE')
    this.#revisionBefore = this.#revision
  }

  /** What a transaction does from here on can be taken back without the rest of it. */
  mark(): void {
    this.#database.exec('SAVEPOINT job')
  }

  backToMark(): void {
    this.#database.exec('ROLLBACK TO job; RELEASE job')
  }

  forgetMark(): void {
    this.#database.exec('RELEASE job')
  }

  /** @throws when it cannot be made durable; then it is as if the transaction had not been */
  commit(): void {
    try {
      this.setFact('revision', String(this.#revision))
      this.#database.exec('COMMIT')
      this.#revisionBefore = undefined
    } catch (error) {
      this.rollback()
      throw error
    }
  }

  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
    this.#revision = this.#revisionBefore ?? this.#revision
    this.#revisionBefore = undefined
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }
}

/** Only the owner may read what is kept: it holds credentials. */
function fileIn(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'admin.db')
  // SQLite gives its log and its index the permissions of the file.
  new DatabaseSync(file).close()
  chmodSync(file, 0o600)
  return file
}
