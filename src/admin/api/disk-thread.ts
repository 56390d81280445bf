/**
 * Entry of the thread that writes the store's file. A commit is on the disk when it returns (`synchronous = FULL`: with
 * the write-ahead log that is one fsync each), because an answer of the Admin API promises that the change survives a
 * loss of power. Changes that come together share a commit.
 */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort } from 'node:worker_threads'
import type { DiskChange, FromDiskThread, StoredFact, StoredResource, ToDiskThread } from './disk.ts'
import { type KeyRing, ValueCipher } from './value-cipher.ts'

const format = 1
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
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`

class StoreFile {
  readonly #database: DatabaseSync
  readonly #cipher: ValueCipher
  readonly #put: StatementSync
  readonly #remove: StatementSync
  readonly #setFact: StatementSync

  constructor(folder: string, keyRing: KeyRing) {
    this.#cipher = new ValueCipher(keyRing)
    this.#database = new DatabaseSync(fileIn(folder))
    this.#database.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL',
    )
    const { user_version: found } = this.#database.prepare('PRAGMA user_version').get() as {
      user_version: number
    }
    if (found > format) throw new Error(`it was written by a later version (format ${found}, not ${format})`)
    this.#database.exec(schema)
    this.#database.exec(`PRAGMA user_version = ${format}`)
    this.#put = this.#database.prepare('INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?, ?, ?)')
    this.#remove = this.#database.prepare('DELETE FROM resources WHERE kind = ? AND id = ?')
    this.#setFact = this.#database.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)')
  }

  read(): { resources: StoredResource[]; facts: StoredFact[] } {
    // Objects of SQLite have no prototype; those that are sent have one.
    const rows = this.#database.prepare('SELECT * FROM resources ORDER BY created').all()
    const facts = this.#database.prepare('SELECT * FROM facts').all()
    const outdated: StoredResource[] = []
    const resources = rows.map((row) => {
      const stored = { ...row } as unknown as StoredResource
      const { value, isCurrent } = this.#cipher.open(stored.value, ownerOf(stored))
      const resource = { ...stored, value }
      if (!isCurrent) outdated.push(resource)
      return resource
    })
    if (outdated.length > 0) this.#writeAnew(outdated)
    return { resources, facts: facts.map((row) => ({ ...row })) as unknown as StoredFact[] }
  }

  /** With the key of today, and without a trace of what stood there before. */
  #writeAnew(resources: readonly StoredResource[]): void {
    this.write(resources.map((resource) => ({ put: resource })))
    this.#database.exec('VACUUM')
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  write(changes: readonly DiskChange[]): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      for (const change of changes) this.#apply(change)
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.#database.close()
  }

  #apply(change: DiskChange): void {
    if ('put' in change) {
      const { kind, id, value, created, modified, expires } = change.put
      this.#put.run(kind, id, this.#cipher.seal(value, ownerOf(change.put)), created, modified, expires)
    } else if ('remove' in change) this.#remove.run(change.remove.kind, change.remove.id)
    else this.#setFact.run(change.fact.name, change.fact.value)
  }
}

const ownerOf = ({ kind, id }: StoredResource) => `${kind}/${id}`

/** Only the owner may read what is kept: it holds credentials. SQLite gives its log the permissions of the file. */
function fileIn(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'admin.db')
  closeSync(openSync(file, 'a', 0o600))
  chmodSync(file, 0o600)
  return file
}

const port = parentPort!
let file: StoreFile | undefined

function answer(question: ToDiskThread): FromDiskThread {
  try {
    if ('open' in question) {
      const { folder, keyRing } = question.open
      file = new StoreFile(folder, keyRing)
      return { opened: readOrClose(file) }
    }
    if ('write' in question) {
      file?.write(question.write)
      return { written: true }
    }
    file?.close()
    return { closed: true }
  } catch (error) {
    return { failed: (error as Error).message }
  }
}

/** Whoever cannot read it does not keep others from it. */
function readOrClose(file: StoreFile): ReturnType<StoreFile['read']> {
  try {
    return file.read()
  } catch (error) {
    file.close()
    throw error
  }
}

port.on('message', (question: ToDiskThread) => {
  port.postMessage(answer(question))
  if ('close' in question) port.close()
})
