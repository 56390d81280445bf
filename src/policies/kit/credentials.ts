import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ConsumerSpec, PluginConfig } from '../../config/plan.ts'
import type { Consumer } from '../../proxy/exchange.ts'
import type { ConsumerDirectory } from './consumers.ts'

export interface FoundCredential<Credential = unknown> {
  readonly consumer: Consumer
  /** Empty when the consumer itself holds the credential. */
  readonly credentialId: string
  readonly config: Credential
}

interface Entry<Credential> {
  readonly digest: Buffer
  readonly found: FoundCredential<Credential>
  /** The next entry in the same bucket of the table. */
  next: Entry<Credential> | undefined
}

/**
 * The credentials of all consumers for one policy.
 *
 * A presented key is hashed with a salt that nobody outside knows and looked up by its digest: how long that takes says
 * nothing about the keys that exist, because nobody can choose a key whose digest is close to theirs.
 */
export class CredentialIndex<Credential = unknown> {
  readonly #policy: string
  readonly #keyOf: (credential: Credential) => string | undefined
  readonly #directory: ConsumerDirectory
  readonly #salt = randomBytes(16).toString('hex')
  readonly #buckets = new Map<number, Entry<Credential>>()
  /** What is in the buckets, by consumer. */
  readonly #entered = new Map<string, { spec: ConsumerSpec; entries: Entry<Credential>[] }>()
  /** Consumers that the next lookup looks at again; undefined: all of them. */
  #stale: Set<string> | undefined
  /**
   * Keys that were found lately, because clients show the same one with every call. V8 hashes strings with a seed of the
   * process and compares their text only when the whole hash is equal, so the time of a lookup tells nothing of how much
   * of a guessed key is right; keys that are wrong are never in here.
   */
  readonly #recent = new Map<string, FoundCredential<Credential>>()

  constructor(
    policy: string,
    keyOf: (credential: Credential) => string | undefined,
    directory: ConsumerDirectory,
  ) {
    this.#policy = policy
    this.#keyOf = keyOf
    this.#directory = directory
  }

  /** These consumers changed, or nobody knows which: the next lookup reads them again, and no others. */
  invalidate(usernames?: Iterable<string>): void {
    if (usernames === undefined) this.#stale = undefined
    else for (const username of usernames) this.#stale?.add(username)
  }

  find(presented: string): FoundCredential<Credential> | undefined {
    if (this.#stale === undefined || this.#stale.size > 0) this.#refresh()
    const recent = this.#recent.get(presented)
    if (recent) return recent
    writeDigest(this.#salt + presented, scratch)
    let entry = this.#buckets.get(bucketOf(scratch))
    while (entry && !timingSafeEqual(entry.digest, scratch)) entry = entry.next
    if (entry && this.#recent.size < recentKept) this.#recent.set(presented, entry.found)
    return entry?.found
  }

  #refresh(): void {
    this.#recent.clear()
    if (this.#stale === undefined) {
      const known = new Set(this.#entered.keys())
      for (const spec of this.#directory.specs()) {
        known.delete(spec.username)
        this.#enter(spec.username, spec)
      }
      for (const username of known) this.#enter(username, undefined)
    } else {
      for (const username of this.#stale) this.#enter(username, this.#directory.find(username)?.spec)
    }
    this.#stale = new Set()
  }

  /** In place of what the consumer had before; a consumer that did not change is left as it is. */
  #enter(username: string, spec: ConsumerSpec | undefined): void {
    const before = this.#entered.get(username)
    if (before?.spec === spec) return
    for (const entry of before?.entries ?? []) this.#take(entry)
    if (spec === undefined) {
      this.#entered.delete(username)
      return
    }
    const entries = this.#entriesOf(spec)
    this.#entered.set(username, { spec, entries })
    for (const entry of entries) {
      // Of two credentials with one key, which the configuration check refuses, the first keeps it.
      const bucket = bucketOf(entry.digest)
      const first = this.#buckets.get(bucket)
      if (first) append(first, entry)
      else this.#buckets.set(bucket, entry)
    }
  }

  #take(entry: Entry<Credential>): void {
    const bucket = bucketOf(entry.digest)
    let before = this.#buckets.get(bucket)
    if (before === entry) {
      if (entry.next) this.#buckets.set(bucket, entry.next)
      else this.#buckets.delete(bucket)
      return
    }
    while (before && before.next !== entry) before = before.next
    if (before) before.next = entry.next
  }

  #entriesOf(spec: ConsumerSpec): Entry<Credential>[] {
    const consumer = this.#directory.of(spec)
    const entries: Entry<Credential>[] = []
    const add = (credentialId: string, config: PluginConfig | undefined) => {
      if (!config || config._meta?.disable || config._meta?.secrets === 'missing') return
      const credential = config as Credential
      const key = this.#keyOf(credential)
      if (key === undefined) return
      const found = { consumer, credentialId, config: credential }
      const digest = Buffer.alloc(digestBytes)
      writeDigest(this.#salt + Buffer.from(key, 'utf8').toString('latin1'), digest)
      entries.push({ digest, found, next: undefined })
    }
    add('', spec.plugins?.[this.#policy])
    for (const credential of spec.credentials) add(credential.id, credential.plugins[this.#policy])
    return entries
  }
}

const digestBytes = 32
/** As many keys as one thread sees often; more than that are looked up by their digest each time. */
const recentKept = 10_000
/** The digest of the key in work: lookups are synchronous, so one is enough. */
const scratch = Buffer.alloc(digestBytes)

/** By way of a string of bytes, which costs half of what a new Buffer for each digest does. */
function writeDigest(text: string, into: Buffer): void {
  into.write(hash('sha256', text, 'binary'), 0, digestBytes, 'latin1')
}

/** Thirty bits, which V8 keeps as a small integer. */
function bucketOf(digest: Buffer): number {
  return (digest[0]! | (digest[1]! << 8) | (digest[2]! << 16) | (digest[3]! << 24)) >>> 2
}

function append<Credential>(first: Entry<Credential>, entry: Entry<Credential>): void {
  let last = first
  while (last.next) last = last.next
  last.next = entry
}
