/**
 * Signed configuration of one group: what is in force, the bundles that lead there, and who waits for the next one.
 * Nothing that comes out of the database is signed again before the signature that lies beside it was verified.
 */
import type { KeyObject } from 'node:crypto'
import {
  type Delegation,
  type Manifest,
  Refusal,
  sha256,
  signManifest,
  verifyManifest,
  writeBundle,
} from '../config-sync/protocol/index.ts'
import type { Database } from './database.ts'
import type { Preparation, PreparedPublication } from './preparation.ts'

/** Seconds that a manifest is valid, and after which it is issued again. */
const manifestLife = 24 * 3600
const reissueAfter = 12 * 3600
/** Agents that are further behind get the whole. */
const keptPublications = 50
const forgetOldest = `
  DELETE FROM publications WHERE group_id = ? AND version <=
    (SELECT version FROM publications WHERE group_id = ? ORDER BY version DESC LIMIT 1 OFFSET ?)
`

export interface PublisherOptions {
  database: Database
  group: string
  signing: KeyObject
  /** Compact. */
  delegation: string
  ownKeys: Delegation
  preparation: Preparation
  /** Seconds since 1970. */
  now: () => number
}

export interface Publication {
  version: number
  author: string
  /** Seconds since 1970. */
  time: number
  message: string
  sha256: string
}

interface Current {
  publication: Publication
  issued: number
  size: number
  text: string
  /** By the hash of what they are for; empty: the whole. */
  bundles: Map<string, Promise<Buffer>>
  /** Canonical JSON by the hash of what they are for; undefined: that is not known, or the patch is no shorter. */
  patches: Map<string, Promise<Patch | undefined>>
}

interface Patch {
  bytes: Buffer
  content: Extract<Manifest['content'], { form: 'patch' }>
}

interface PublicationRow extends Publication {
  manifest: string
  configuration: string
}

/** What a gateway says that it has. */
export interface Held {
  version: number
  sha256: string
  issued: number
}

export class Publisher {
  readonly #options: PublisherOptions
  readonly #waiting = new Set<() => void>()
  #current: Current | undefined
  /** Hashes of what was published and is kept: from these there are patches. */
  #kept: ReadonlySet<string> = new Set()

  constructor(options: PublisherOptions) {
    this.#options = options
    const row = this.#rows('ORDER BY version DESC LIMIT 1')[0]
    if (row !== undefined && this.#isOurs(row)) {
      this.#current = {
        publication: publicationOf(row),
        // As old as can be: what is in force is signed anew with the key of today.
        issued: 0,
        size: Buffer.byteLength(row.configuration),
        text: row.configuration,
        bundles: new Map(),
        patches: new Map(),
      }
    }
    if (this.#current !== undefined) this.#current.issued = options.now()
    this.#kept = this.#hashes()
  }

  /** In force; undefined: nothing was published, or it is not signed by a key of ours that holds. */
  get current(): Publication | undefined {
    return this.#current?.publication
  }

  /** Canonical JSON of what is in force. */
  get text(): string | undefined {
    return this.#current?.text
  }

  /** Highest version that was given out, whether it holds or not. */
  get highest(): number {
    return this.#rows('ORDER BY version DESC LIMIT 1')[0]?.version ?? 0
  }

  /** The newest first. */
  list(limit: number): Publication[] {
    return this.#rows('ORDER BY version DESC LIMIT ?', limit).map(publicationOf)
  }

  isNewTo(held: Held | undefined): boolean {
    const current = this.#current
    if (current === undefined) return false
    if (held === undefined) return true
    return (
      held.sha256 !== current.publication.sha256 ||
      held.issued < current.issued ||
      held.version < current.publication.version
    )
  }

  /**
   * @param prepared with a patch from what is in force now, if anything is
   * @returns whether it is another configuration than the one in force
   */
  publish(
    { text, sha256: digest, patch }: Omit<PreparedPublication, 'findings'>,
    { version, author, message }: Pick<Publication, 'version' | 'author' | 'message'>,
  ): boolean {
    const before = this.#current?.publication
    if (digest === before?.sha256) return false
    const { database, group, now } = this.#options
    const time = now()
    const size = Buffer.byteLength(text)
    const publication = { version, author, time, message, sha256: digest }
    const manifest = this.#sign({ version, issued: time, digest, size, content: { form: 'whole' } })
    database.transaction(() => {
      database.sql
        .prepare('INSERT INTO publications VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
        .run(group, version, author, time, message, digest, manifest, text)
      database.sql.prepare(forgetOldest).run(group, group, keptPublications)
    })
    this.#kept = this.#hashes()
    const patches: Current['patches'] = new Map()
    if (before !== undefined && patch !== undefined) {
      patches.set(before.sha256, Promise.resolve(patchOf(before, patch, size)))
    }
    this.#current = { publication, issued: time, size, text, bundles: new Map(), patches }
    this.#tell()
    return true
  }

  /** Signs what is in force once more, before its time is over. To be called now and then. */
  refresh(): void {
    const current = this.#current
    const now = this.#options.now()
    if (current === undefined || now < current.issued + reissueAfter) return
    current.issued = now
    current.bundles.clear()
    this.#tell()
  }

  /** The bytes of a bundle; the same for everybody who has the same. @param whole a patch did not fit */
  bundle(held: Held | undefined, whole: boolean): Promise<Buffer> | undefined {
    const current = this.#current
    if (current === undefined) return undefined
    // Who names a hash that nobody published gets what everybody gets, and leaves nothing behind.
    const isKept = held !== undefined && this.#kept.has(held.sha256)
    return this.#bundle(current, whole || !isKept ? '' : held.sha256)
  }

  #bundle(current: Current, base: string): Promise<Buffer> {
    let bundle = current.bundles.get(base)
    if (bundle === undefined) {
      bundle = this.#makeBundle(current, base)
      const { bundles } = current
      bundles.set(base, bundle)
      // What went wrong once need not the next time.
      bundle.catch(() => bundles.delete(base))
    }
    return bundle
  }

  /** Calls back once, with the next publication or renewal. @returns how to be left alone */
  wait(callback: () => void): () => void {
    this.#waiting.add(callback)
    return () => this.#waiting.delete(callback)
  }

  async #makeBundle(current: Current, base: string): Promise<Buffer> {
    if (base === current.publication.sha256) {
      return this.#write(current, { form: 'unchanged' }, Buffer.alloc(0))
    }
    const patch = base === '' ? undefined : await this.#patch(current, base)
    if (patch !== undefined) return this.#write(current, patch.content, patch.bytes)
    if (base !== '') return this.#bundle(current, '')
    return this.#write(current, { form: 'whole' }, Buffer.from(current.text))
  }

  #patch(current: Current, base: string): Promise<Patch | undefined> {
    let patch = current.patches.get(base)
    if (patch === undefined) {
      const { patches } = current
      patch = this.#makePatch(current, base).catch(() => {
        // The whole will do, until the next bundle is made.
        patches.delete(base)
        return undefined
      })
      patches.set(base, patch)
    }
    return patch
  }

  async #makePatch({ text, size }: Current, base: string): Promise<Patch | undefined> {
    const row = this.#rows('AND sha256 = ? ORDER BY version DESC LIMIT 1', base)[0]
    if (row === undefined || !this.#isOurs(row)) return undefined
    const patch = await this.#options.preparation.ask('patch', { before: row.configuration, after: text })
    return patchOf(row, patch, size)
  }

  #write(current: Current, content: Manifest['content'], bytes: Buffer): Buffer {
    const { issued, size, publication } = current
    const { version, sha256: digest } = publication
    const manifest = this.#sign({ version, issued, digest, size, content })
    return writeBundle({ delegation: this.#options.delegation, manifest, content: bytes })
  }

  #sign(of: {
    version: number
    issued: number
    digest: string
    size: number
    content: Manifest['content']
  }): string {
    const { version, issued, digest, size, content } = of
    const { group, signing } = this.#options
    const configuration = { sha256: digest, size }
    return signManifest(
      { group, version, issued, expires: issued + manifestLife, configuration, content },
      signing,
    )
  }

  #isOurs({ version, manifest, configuration, sha256: digest }: PublicationRow): boolean {
    const { group, ownKeys } = this.#options
    try {
      const signed = verifyManifest(manifest, { delegation: ownKeys, group, seen: { version: 0 } })
      return (
        signed.version === version &&
        signed.configuration.sha256 === digest &&
        sha256(configuration) === digest
      )
    } catch (error) {
      if (error instanceof Refusal) return false
      throw error
    }
  }

  #rows(rest: string, ...values: (string | number)[]): PublicationRow[] {
    return this.#options.database.sql
      .prepare(`SELECT * FROM publications WHERE group_id = ? ${rest}`)
      .all(this.#options.group, ...values) as unknown as PublicationRow[]
  }

  #hashes(): ReadonlySet<string> {
    const { database, group } = this.#options
    const rows = database.sql.prepare('SELECT sha256 FROM publications WHERE group_id = ?').all(group)
    return new Set(rows.map(({ sha256: digest }) => String(digest)))
  }

  #tell(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const callback of waiting) callback()
  }
}

/** Undefined: the whole is no longer. @param size of the whole */
function patchOf(base: Publication, patch: string, size: number): Patch | undefined {
  const bytes = Buffer.from(patch)
  if (bytes.length >= size) return undefined
  const { version, sha256: digest } = base
  return {
    bytes,
    content: {
      form: 'patch',
      sha256: sha256(bytes),
      size: bytes.length,
      base: { version, sha256: digest },
    },
  }
}

const publicationOf = ({ version, author, time, message, sha256: digest }: PublicationRow): Publication => ({
  version,
  author,
  time,
  message,
  sha256: digest,
})
