/**
 * Everything that a control plane remembers, in one SQLite file. A commit is on the disk when it returns
 * (`synchronous = FULL`: with the write-ahead log that is one fsync), because an answer promises that the change stays.
 *
 * Records are small and sealed: users, tokens, groups, certificates. They are held in memory, and written through.
 */
import { DatabaseSync } from 'node:sqlite'
import type { Seal } from './seal.ts'

const format = 1
const schema = `
  CREATE TABLE IF NOT EXISTS records (
    collection TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, mark BLOB NOT NULL,
    PRIMARY KEY (collection, id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS drafts (
    group_id TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL,
    created INTEGER NOT NULL, modified INTEGER NOT NULL, expires INTEGER,
    PRIMARY KEY (group_id, kind, id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS facts (
    group_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (group_id, name)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS versions (
    group_id TEXT NOT NULL, version INTEGER NOT NULL, author TEXT NOT NULL, time INTEGER NOT NULL,
    message TEXT NOT NULL, changes TEXT NOT NULL, digest TEXT NOT NULL, mark BLOB NOT NULL,
    PRIMARY KEY (group_id, version)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS publications (
    group_id TEXT NOT NULL, version INTEGER NOT NULL, author TEXT NOT NULL, time INTEGER NOT NULL,
    message TEXT NOT NULL, sha256 TEXT NOT NULL, manifest TEXT NOT NULL, configuration TEXT NOT NULL,
    PRIMARY KEY (group_id, version)
  );
  CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, time INTEGER NOT NULL, who TEXT, address TEXT NOT NULL,
    method TEXT NOT NULL, path TEXT NOT NULL, status INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS cores (hour INTEGER PRIMARY KEY, cores INTEGER NOT NULL);
`

export type RecordChange = { collection: string; id: string; value: object | undefined }

/** What is kept under a mark does not have it: somebody else wrote it. */
export class Tampered extends Error {}

export class Database {
  readonly sql: DatabaseSync
  readonly seal: Seal
  readonly #records = new Map<string, Map<string, object>>()

  /** @throws Tampered when a record was written by somebody else */
  constructor(file: string, seal: Seal) {
    this.seal = seal
    this.sql = new DatabaseSync(file)
    this.sql.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const { user_version: found } = this.sql.prepare('PRAGMA user_version').get() as { user_version: number }
    if (found > format) throw new Error(`it was written by a later version (format ${found}, not ${format})`)
    this.sql.exec(schema)
    this.sql.exec(`PRAGMA user_version = ${format}`)
    for (const row of this.sql.prepare('SELECT * FROM records').iterate()) {
      const { collection, id, value, mark } = row as unknown as {
        collection: string
        id: string
        value: string
        mark: Uint8Array
      }
      if (!seal.holds(mark, 'record', collection, id, value)) {
        throw new Tampered(`the database has an entry in ${collection} that this control plane did not write`)
      }
      this.#collection(collection).set(id, JSON.parse(value) as object)
    }
  }

  collection<T extends object>(name: string): Collection<T> {
    return new Collection<T>(this, name, this.#collection(name) as Map<string, T>)
  }

  /** All of it or, when it throws, nothing. */
  commit(changes: readonly RecordChange[], more: () => void = () => {}): void {
    this.transaction(() => {
      for (const { collection, id, value } of changes) {
        if (value === undefined) this.#remove.run(collection, id)
        else {
          const text = JSON.stringify(value)
          this.#put.run(collection, id, text, this.seal.mark('record', collection, id, text))
        }
      }
      more()
    })
    for (const { collection, id, value } of changes) {
      if (value === undefined) this.#collection(collection).delete(id)
      else this.#collection(collection).set(id, value)
    }
  }

  transaction(work: () => void): void {
    this.sql.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.sql.exec('COMMIT')
    } catch (error) {
      if (this.sql.isTransaction) this.sql.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    if (this.sql.isOpen) this.sql.close()
  }

  get #put() {
    return this.sql.prepare('INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)')
  }

  get #remove() {
    return this.sql.prepare('DELETE FROM records WHERE collection = ? AND id = ?')
  }

  #collection(name: string): Map<string, object> {
    let found = this.#records.get(name)
    if (found === undefined) {
      found = new Map()
      this.#records.set(name, found)
    }
    return found
  }
}

/** Records of one kind. Values are not changed in place: `put` takes a new one. */
export class Collection<T extends object> {
  readonly name: string
  readonly #database: Database
  readonly #records: Map<string, T>

  constructor(database: Database, name: string, records: Map<string, T>) {
    this.#database = database
    this.name = name
    this.#records = records
  }

  get size(): number {
    return this.#records.size
  }

  get(id: string): T | undefined {
    return this.#records.get(id)
  }

  all(): T[] {
    return [...this.#records.values()]
  }

  entries(): Iterable<[string, T]> {
    return this.#records.entries()
  }

  /** For a commit with others. */
  change(id: string, value: T | undefined): RecordChange {
    return { collection: this.name, id, value }
  }

  put(id: string, value: T): void {
    this.#database.commit([this.change(id, value)])
  }

  remove(id: string): void {
    this.#database.commit([this.change(id, undefined)])
  }
}
