/**
 * The configuration of one gateway group as it is being worked on, and every change of it as a version with its author
 * and time. It is the disk of the Admin API's store. Resources and versions stand under marks: see `seal.ts`.
 */
import type { Disk, DiskChange, StoredFact, StoredResource } from '../admin/api/disk.ts'
import { type Database, Tampered } from './database.ts'
import { type Seal, SetDigest } from './seal.ts'

/** One resource in one version; null: it is not there. */
export interface ResourceChange {
  /** Folder of the store: `routes`, `consumers/jack/credentials`. */
  kind: string
  id: string
  /** JSON. */
  before: string | null
  after: string | null
}

export interface Version {
  version: number
  author: string
  /** Seconds since 1970. */
  time: number
  message: string
  changes: ResourceChange[]
}

/** Who makes a change, and what for; the store tells it with the first thing that they change. */
export interface Authorship {
  author: string
  message: string
}

export const authorshipFact = 'authorship'

export interface HistoryOptions {
  database: Database
  group: string
  /** Seconds since 1970. */
  now: () => number
  /** After versions were added. */
  onChange?: () => void
}

interface VersionRow {
  version: number
  author: string
  time: number
  message: string
  changes: string
  digest: string
  mark: Uint8Array
}

export class History implements Disk {
  readonly resources: readonly StoredResource[]
  readonly facts: readonly StoredFact[]
  readonly #options: HistoryOptions
  readonly #seal: Seal
  readonly #values = new Map<string, string>()
  #digest = new SetDigest()
  #head = 0
  #headMark = ''

  /** @throws Tampered */
  constructor(options: HistoryOptions) {
    this.#options = options
    const { database, group } = options
    this.#seal = database.seal
    this.resources = database.sql
      .prepare(
        'SELECT kind, id, value, created, modified, expires FROM drafts WHERE group_id = ? ORDER BY created',
      )
      .all(group)
      .map((row) => ({ ...row }) as unknown as StoredResource)
    this.facts = database.sql
      .prepare('SELECT name, value FROM facts WHERE group_id = ?')
      .all(group)
      .map((row) => ({ ...row }) as unknown as StoredFact)
    for (const { kind, id, value } of this.resources) {
      this.#values.set(nameOf(kind, id), value)
      this.#digest.add(this.#markOf(kind, id, value))
    }
    const last = database.sql
      .prepare('SELECT * FROM versions WHERE group_id = ? ORDER BY version DESC LIMIT 1')
      .get(group) as VersionRow | undefined
    if (last !== undefined) {
      this.#verify(last)
      this.#head = last.version
      this.#headMark = hex(last.mark)
    }
    if ((last?.digest ?? new SetDigest().toString()) !== this.#digest.toString()) {
      throw new Tampered(
        `the database has another configuration of the group ${group} than this control plane wrote`,
      )
    }
  }

  /** Of the newest version; 0: there is none. */
  get head(): number {
    return this.#head
  }

  async write(changes: readonly DiskChange[]): Promise<void> {
    const { database, group, now, onChange } = this.#options
    const { versions, digest, values } = this.#collect(changes)
    const { sql } = database
    let mark = this.#headMark
    let head = this.#head
    database.transaction(() => {
      const put = sql.prepare('INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?, ?, ?, ?)')
      const remove = sql.prepare('DELETE FROM drafts WHERE group_id = ? AND kind = ? AND id = ?')
      const fact = sql.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?, ?)')
      for (const change of changes) {
        if ('put' in change) {
          const { kind, id, value, created, modified, expires } = change.put
          put.run(group, kind, id, value, created, modified, expires)
        } else if ('remove' in change) remove.run(group, change.remove.kind, change.remove.id)
        else if (change.fact.name !== authorshipFact) fact.run(group, change.fact.name, change.fact.value)
      }
      const add = sql.prepare('INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      for (const version of versions) {
        const row = { ...version, version: ++head, time: now(), changes: JSON.stringify(version.changes) }
        const sealed = this.#versionMark(row, mark)
        add.run(group, row.version, row.author, row.time, row.message, row.changes, row.digest, sealed)
        mark = hex(sealed)
      }
    })
    this.#digest = digest
    for (const [name, value] of values) {
      if (value === null) this.#values.delete(name)
      else this.#values.set(name, value)
    }
    this.#head = head
    this.#headMark = mark
    if (versions.length > 0) onChange?.()
  }

  async close(): Promise<void> {}

  /** The newest first, from `below` downwards. */
  list(limit: number, below = Number.MAX_SAFE_INTEGER): Version[] {
    const rows = this.#options.database.sql
      .prepare('SELECT * FROM versions WHERE group_id = ? AND version < ? ORDER BY version DESC LIMIT ?')
      .all(this.#options.group, below, limit) as unknown as VersionRow[]
    return rows.map((row) => {
      this.#verify(row)
      return versionOf(row)
    })
  }

  get(version: number): Version | undefined {
    const row = this.#row(version)
    if (row === undefined) return undefined
    this.#verify(row)
    return versionOf(row)
  }

  /**
   * What leads from the state after one version to the state after another, each resource once. 0: before the first.
   * @throws Tampered
   */
  between(from: number, to: number): ResourceChange[] {
    if (from > to) return this.between(to, from).map(inverted)
    const found = new Map<string, ResourceChange>()
    const rows = this.#options.database.sql
      .prepare('SELECT * FROM versions WHERE group_id = ? AND version > ? AND version <= ? ORDER BY version')
      .iterate(this.#options.group, from, to) as Iterable<VersionRow>
    let expected = from + 1
    for (const row of rows) {
      this.#verify(row)
      if (row.version !== expected++) throw new Tampered(`version ${expected - 1} is missing in the database`)
      for (const change of versionOf(row).changes) {
        const name = nameOf(change.kind, change.id)
        const before = found.get(name)
        found.set(name, before === undefined ? change : { ...change, before: before.before })
      }
    }
    if (expected !== to + 1) throw new Tampered(`version ${expected} is missing in the database`)
    return [...found.values()].filter(({ before, after }) => before !== after)
  }

  /** The versions that a commit makes: each begins where somebody says who they are. */
  #collect(changes: readonly DiskChange[]) {
    const digest = this.#digest.copy()
    const values = new Map<string, string | null>()
    const versions: (Authorship & { changes: ResourceChange[]; digest: string })[] = []
    let current: (typeof versions)[number] | undefined
    let authorship: Authorship = { author: 'the control plane', message: '' }
    for (const change of changes) {
      if ('fact' in change) {
        if (change.fact.name !== authorshipFact) continue
        authorship = JSON.parse(change.fact.value) as Authorship
        current = undefined
        continue
      }
      const { kind, id } = 'put' in change ? change.put : change.remove
      const name = nameOf(kind, id)
      const held = values.get(name)
      const before = (held === undefined ? this.#values.get(name) : held) ?? null
      const after = 'put' in change ? change.put.value : null
      if (before !== null) digest.remove(this.#markOf(kind, id, before))
      if (after !== null) digest.add(this.#markOf(kind, id, after))
      values.set(name, after)
      if (current === undefined) {
        current = { ...authorship, changes: [], digest: '' }
        versions.push(current)
      }
      current.changes.push({ kind, id, before, after })
      current.digest = digest.toString()
    }
    return { versions, digest, values }
  }

  #row(version: number): VersionRow | undefined {
    return this.#options.database.sql
      .prepare('SELECT * FROM versions WHERE group_id = ? AND version = ?')
      .get(this.#options.group, version) as VersionRow | undefined
  }

  #markOf(kind: string, id: string, value: string): Buffer {
    return this.#seal.mark('draft', this.#options.group, kind, id, value)
  }

  /** @param before mark of the version before, so that none can be taken out of the row */
  #versionMark(row: Omit<VersionRow, 'mark'>, before: string): Buffer {
    return this.#seal.mark('version', ...this.#partsOf(row), before)
  }

  #partsOf({ version, author, time, message, changes, digest }: Omit<VersionRow, 'mark'>) {
    return [this.#options.group, version, author, time, message, changes, digest]
  }

  #verify(row: VersionRow): void {
    const before = this.#row(row.version - 1)
    const mark = before === undefined ? '' : hex(before.mark)
    if (!this.#seal.holds(row.mark, 'version', ...this.#partsOf(row), mark)) {
      throw new Tampered(`the database has a version ${row.version} that this control plane did not write`)
    }
  }
}

const nameOf = (kind: string, id: string) => `${kind}\0${id}`
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const inverted = ({ before, after, ...change }: ResourceChange): ResourceChange => ({
  ...change,
  before: after,
  after: before,
})

const versionOf = ({ version, author, time, message, changes }: VersionRow): Version => ({
  version,
  author,
  time,
  message,
  changes: JSON.parse(changes) as ResourceChange[],
})
