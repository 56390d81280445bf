/** The zones for stored answers, as one thread sees them. */
import type { CacheZone } from '../../config/cache-zones.ts'
import type { Settings } from '../../config/settings.ts'
import { type CacheStore, MemoryStore } from './cache-store.ts'
import { CacheTable, createCacheTable, releaseCacheLock } from './cache-table.ts'
import { createDiskCounts, DiskStore, releaseDiskCounts } from './disk-store.ts'
import { tagOf } from './owner-tag.ts'

/** What threads share of each zone. It takes no memory before answers are stored. */
export function createCacheZones({ cache }: Settings): ReadonlyMap<string, SharedArrayBuffer> {
  return new Map(
    cache.zones.map(({ name, size, path }) => [
      name,
      path === undefined ? createCacheTable(size) : createDiskCounts(),
    ]),
  )
}

/** Lets go of what a dead thread held. To be called before another thread takes over its id. */
export function releaseCacheZones(
  memory: ReadonlyMap<string, SharedArrayBuffer>,
  { cache }: Settings,
  threadId: number,
): void {
  for (const { name, size, path } of cache.zones) {
    const shared = memory.get(name)!
    if (path === undefined) releaseCacheLock(shared, size, threadId)
    else releaseDiskCounts(shared, threadId)
  }
}

export interface ZoneEvents {
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export class CacheZones {
  readonly #memory: ReadonlyMap<string, SharedArrayBuffer>
  readonly #zones: readonly CacheZone[]
  readonly #threadId: number
  readonly #events: ZoneEvents
  readonly #onDisk = new Map<string, CacheStore | undefined>()
  /** Milliseconds that an answer on disk is fresh when it does not say it itself. */
  readonly ttl: number

  constructor(
    memory: ReadonlyMap<string, SharedArrayBuffer>,
    { cache }: Settings,
    threadId: number,
    events: ZoneEvents,
  ) {
    this.#memory = memory
    this.#zones = cache.zones
    this.#threadId = threadId
    this.#events = events
    this.ttl = cache.ttl
  }

  /**
   * A zone, for what one resource stores in it.
   * @param owner such as `route:1`, or `route:1/0` for a part of what belongs to it
   * @returns undefined: there is no zone of that name, or its folder cannot be used, which the log says
   */
  open(name: string, owner: string): CacheStore | undefined {
    const zone = this.#zones.find((one) => one.name === name)
    const shared = this.#memory.get(name)
    if (zone === undefined || shared === undefined) return undefined
    if (zone.path === undefined)
      return new MemoryStore(shared, zone.size, this.#threadId, tagOf(owner.split('/', 1)[0]!))
    if (!this.#onDisk.has(name)) this.#onDisk.set(name, this.#diskStore(zone, shared))
    return this.#onDisk.get(name)
  }

  /** Entries in memory. */
  count(): number {
    return this.#tables().reduce((sum, table) => sum + table.count, 0)
  }

  /** Forgets what is in memory, of one resource or all; what is on disk stays. @returns how many entries that were */
  clear(owner: string | undefined): number {
    if (owner !== undefined) {
      const tag = tagOf(owner)
      return this.#tables().reduce((sum, table) => sum + table.removeOwned(tag), 0)
    }
    const count = this.count()
    for (const table of this.#tables()) table.clear()
    return count
  }

  #tables(): CacheTable[] {
    return this.#zones
      .filter(({ path }) => path === undefined)
      .map(({ name, size }) => new CacheTable(this.#memory.get(name)!, size, this.#threadId))
  }

  #diskStore({ name, size, path, levels }: CacheZone, shared: SharedArrayBuffer): CacheStore | undefined {
    try {
      return new DiskStore({ path: path!, size, levels }, shared, this.#threadId, this.#events)
    } catch (error) {
      this.#events.error({ err: error, zone: name }, 'a zone for stored answers cannot be used')
      return undefined
    }
  }
}
