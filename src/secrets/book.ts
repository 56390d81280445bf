/**
 * The secrets that the running plan refers to: puts them into what data threads get, reads them again when their time
 * comes, and tells when one has changed. While a manager cannot say, the last value stays.
 */

import type { ZonePlaces } from '../config/cache-zones.ts'
import { equal } from '../config/copy.ts'
import type { PlanChanges, PlanDelta } from '../config/plan.ts'
import type { Catalogue } from '../config/policy-check.ts'
import type { SecretSettings } from '../config/settings.ts'
import {
  bindResource,
  type Referring,
  type ReferringKind,
  referencesOf,
  referringKinds,
  refersToSecrets,
} from './binding.ts'
import type { Clock } from './clock.ts'
import type { Managers, Resolution, SecretReader } from './reader.ts'

export interface SecretLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface SecretBookOptions {
  reader: SecretReader
  catalogue: Catalogue
  /** Where the gateway stores answers. */
  zones: ZonePlaces
  settings: SecretSettings
  clock: Clock
  log: SecretLog
}

/** References by what is known of them. */
export interface SecretCounts {
  resolved: number
  /** With a value that could not be confirmed lately. */
  stale: number
  unresolved: number
}

/** One reference. */
interface Entry {
  readonly text: string
  /** Undefined until the first reading is over. */
  resolution: Resolution | undefined
  /** When it is read again; epoch milliseconds. */
  due: number
  /** The last reading failed, and the value is an older one. */
  stale: boolean
  /** Resources that refer to it, as `KIND ID`. */
  readonly users: Set<string>
}

/** A resource that refers to secrets, as it stands in the plan. */
interface User {
  readonly kind: ReferringKind
  readonly resource: Referring
  readonly texts: ReadonlySet<string>
}

export class SecretBook {
  readonly #options: SecretBookOptions
  #settings: SecretSettings
  #managers: Managers = new Map()
  readonly #entries = new Map<string, Entry>()
  readonly #users = new Map<string, User>()
  /** Users of secrets that changed and that data threads do not have yet. */
  readonly #touched = new Set<string>()
  #listener: () => void = () => {}
  #cancel: () => void = () => {}
  /** When the clock calls next; epoch milliseconds. */
  #next = Number.POSITIVE_INFINITY
  #isClosed = false

  constructor(options: SecretBookOptions) {
    this.#options = options
    this.#settings = options.settings
    options.reader.timeout = options.settings.timeout
  }

  /** Calls when there are changes to take. */
  onChange(listener: () => void): void {
    this.#listener = listener
  }

  /**
   * What data threads get in place of `delta`: secrets instead of references, without the managers, and with those
   * resources too that the delta does not name and that change with its managers. Waits for secrets that are not known
   * yet, no longer than each may take. Calls must not overlap.
   */
  async bind(delta: PlanDelta): Promise<PlanDelta> {
    if (delta.settings !== undefined) this.#configure(delta.settings.secrets)
    const moved = this.#takeManagers(delta)
    const asked = this.#enroll(delta)
    if (moved.size > 0) {
      for (const entry of this.#entries.values()) if (moved.has(managerOf(entry.text))) asked.add(entry)
    }
    const changed = await this.#read([...asked])

    const { secrets: _put, ...put } = delta.put
    const { secrets: _remove, ...remove } = delta.remove
    const bound: PlanDelta = { ...delta, put: { ...put }, remove }
    for (const kind of referringKinds) {
      const list = (delta.put[kind] ?? []) as readonly Referring[]
      if (list.some((resource) => this.#users.has(nameOf(kind, resource)))) {
        Object.assign(bound.put, { [kind]: list.map((resource) => this.#bound(kind, resource)) })
      }
    }
    const named = new Set(
      referringKinds.flatMap((kind) => (delta.put[kind] ?? []).map((one) => nameOf(kind, one))),
    )
    for (const name of named) this.#touched.delete(name)
    for (const name of changed) if (!named.has(name)) this.#add(bound.put, name)
    return bound
  }

  /** Resources in which secrets changed since they were last handed out. */
  takeChanges(): PlanChanges {
    const changes: PlanChanges = { put: {}, remove: {} }
    for (const name of this.#touched) this.#add(changes.put, name)
    this.#touched.clear()
    return changes
  }

  /** The resource as data threads have it. */
  current<Resource extends Referring>(kind: ReferringKind, resource: Resource): Resource {
    return this.#users.has(nameOf(kind, resource)) ? (this.#bound(kind, resource) as Resource) : resource
  }

  /** Reads everything anew. @returns how many references there are */
  refresh(): number {
    for (const entry of this.#entries.values()) entry.due = 0
    if (this.#entries.size > 0) this.#wakeAt(0)
    return this.#entries.size
  }

  /** References that are followed. */
  get size(): number {
    return this.#entries.size
  }

  get counts(): SecretCounts {
    const counts: SecretCounts = { resolved: 0, stale: 0, unresolved: 0 }
    for (const { resolution, stale } of this.#entries.values()) {
      if (resolution === undefined || 'failure' in resolution) counts.unresolved++
      else if (stale) counts.stale++
      else counts.resolved++
    }
    return counts
  }

  close(): void {
    this.#isClosed = true
    this.#cancel()
  }

  #configure(settings: SecretSettings): void {
    this.#settings = settings
    this.#options.reader.timeout = settings.timeout
  }

  /** @returns the managers that are new, different or gone */
  #takeManagers({ put, remove }: PlanDelta): ReadonlySet<string> {
    const changed = (put.secrets ?? []).filter((spec) => !equal(spec, this.#managers.get(spec.id)))
    const gone = remove.secrets ?? []
    const moved = new Set([...changed.map(({ id }) => id), ...gone])
    if (moved.size === 0) return moved
    const managers = new Map(this.#managers)
    for (const id of gone) managers.delete(id)
    for (const spec of changed) managers.set(spec.id, spec)
    this.#managers = managers
    this.#options.reader.retain(managers)
    return moved
  }

  /**
   * Follows what the resources of the delta refer to, and nothing that only their predecessors did.
   * @returns what is not known yet
   */
  #enroll({ put, remove }: PlanDelta): Set<Entry> {
    const unknown = new Set<Entry>()
    for (const kind of referringKinds) {
      for (const id of remove[kind] ?? []) this.#withdraw(`${kind} ${id}`)
      for (const resource of (put[kind] ?? []) as readonly Referring[]) {
        const name = nameOf(kind, resource)
        if (!refersToSecrets(resource)) {
          this.#withdraw(name)
          continue
        }
        const texts = referencesOf(resource)
        const before = this.#users.get(name)
        this.#users.set(name, { kind, resource, texts })
        for (const text of texts) {
          const entry = this.#entryOf(text)
          entry.users.add(name)
          if (entry.resolution === undefined) unknown.add(entry)
        }
        if (before !== undefined) this.#leave(name, before, texts)
      }
    }
    return unknown
  }

  #entryOf(text: string): Entry {
    let entry = this.#entries.get(text)
    if (entry === undefined) {
      entry = { text, resolution: undefined, due: 0, stale: false, users: new Set() }
      this.#entries.set(text, entry)
    }
    return entry
  }

  #withdraw(name: string): void {
    const user = this.#users.get(name)
    if (user === undefined) return
    this.#users.delete(name)
    this.#touched.delete(name)
    this.#leave(name, user, new Set())
  }

  #leave(name: string, { texts }: User, kept: ReadonlySet<string>): void {
    for (const text of texts) {
      if (kept.has(text)) continue
      const entry = this.#entries.get(text)
      entry?.users.delete(name)
      if (entry?.users.size === 0) this.#entries.delete(text)
    }
  }

  /** @returns the users of those that changed, or have their first value */
  async #read(entries: readonly Entry[], fresh = false): Promise<Set<string>> {
    const changed = new Set<string>()
    const settle = (entry: Entry, resolution: Resolution) => {
      if (this.#settle(entry, resolution)) for (const user of entry.users) changed.add(user)
      this.#wakeAt(entry.due)
    }
    await this.#options.reader.resolveAll(entries, this.#managers, settle, fresh)
    return changed
  }

  /** @returns whether it leads to something else than before */
  #settle(entry: Entry, now: Resolution): boolean {
    const { log, clock } = this.#options
    const { text: reference, resolution: before } = entry
    const failed = 'failure' in now
    entry.due = clock.now() + (failed ? this.#settings.failure_ttl : this.#settings.ttl)
    if (!failed) {
      if (entry.stale || (before !== undefined && 'failure' in before)) {
        log.info({ reference }, 'a secret can be read again')
      }
      entry.stale = false
      entry.resolution = now
      return before === undefined || 'failure' in before || before.value !== now.value
    }
    const { kind, message: reason } = now.failure
    if (before !== undefined && 'value' in before && kind !== 'absent') {
      if (!entry.stale)
        log.warn({ reference, reason }, 'a secret could not be read again: its last value stays')
      entry.stale = true
      return false
    }
    entry.stale = false
    entry.resolution = now
    if (before !== undefined && 'failure' in before && before.failure.message === reason) return false
    log.error({ reference, reason }, 'a secret cannot be read: policies that need it deny')
    return before === undefined || 'value' in before
  }

  /** Sees to it that what is due by then is read again. */
  #wakeAt(due: number): void {
    if (this.#isClosed || due >= this.#next) return
    this.#cancel()
    this.#next = due
    const { clock } = this.#options
    this.#cancel = clock.after(Math.max(0, due - clock.now()), () => void this.#readDue())
  }

  async #readDue(): Promise<void> {
    this.#next = Number.POSITIVE_INFINITY
    const now = this.#options.clock.now()
    const due: Entry[] = []
    for (const entry of this.#entries.values()) {
      if (entry.due <= now) due.push(entry)
      else this.#wakeAt(entry.due)
    }
    // Asking twice for what takes long would not make it faster.
    for (const entry of due) entry.due = Number.POSITIVE_INFINITY
    const changed = await this.#read(due, true)
    if (this.#isClosed || changed.size === 0) return
    for (const name of changed) this.#touched.add(name)
    this.#listener()
  }

  #add(put: PlanChanges['put'], name: string): void {
    const user = this.#users.get(name)
    if (user === undefined) return
    const { kind, resource } = user
    const list: unknown[] = [...(put[kind] ?? []), this.#bound(kind, resource)]
    Object.assign(put, { [kind]: list })
  }

  #bound<T extends Referring>(kind: ReferringKind, resource: T): T {
    const name = nameOf(kind, resource)
    if (!this.#users.has(name)) return resource
    const { catalogue, zones, log } = this.#options
    const lookUp = (text: string) => {
      const resolution = this.#entries.get(text)?.resolution
      return resolution !== undefined && 'value' in resolution ? resolution.value : undefined
    }
    const misfit = (policy: string, problem: string) => {
      const what = policy === '' ? 'no handshake with this certificate succeeds' : 'the policy denies'
      log.error(
        { resource: name, ...(policy !== '' && { policy }), problem },
        `a secret does not fit: ${what}`,
      )
    }
    return bindResource(kind, resource, { lookUp, catalogue, zones, misfit })
  }
}

function nameOf(kind: ReferringKind, resource: Referring): string {
  return `${kind} ${resource.username ?? resource.id}`
}

/** Empty for references to the environment. */
function managerOf(text: string): string {
  const [manager = '', id = ''] = text.replace(/^\$secret:\/\//, '').split('/')
  return `${manager}/${id}`
}
