/** The zones for stored answers, as one thread sees them. */
import type { CacheZone } from '../../config/cache-zones.ts'
import type { Settings } from '../../config/settings.ts'
import { type CacheStore, MemoryStore } from './cache-store.ts'
import { CacheTable, createCacheTable, releaseCacheLock } from './cache-table.ts'
import { createDiskCounts, DiskStore, releaseDiskCounts } from './disk-store.ts'

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
  readonly #stores = new Map<string, CacheStore | undefined>()
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

  /** Undefined: there is no zone of that name, or its folder cannot be used, which the log says. */
  open(name: string): CacheStore | undefined {
    if (!this.#stores.has(name)) this.#stores.set(name, this.#opened(name))
    return this.#stores.get(name)
  }

  /** Entries in memory. */
  count(): number {
    return this.#tables().reduce((sum, table) => sum + table.count, 0)
  }

  /** Forgets what is in memory; what is on disk stays. */
  clear(): number {
    const count = this.count()
    for (const table of this.#tables()) table.clear()
    return count
  }

  #tables(): CacheTable[] {
    return this.#zones
      .filter(({ path }) => path === undefined)
      .map(({ name, size }) => new CacheTable(this.#memory.get(name)!, size, this.#threadId))
  }

  #opened(name: string): CacheStore | undefined {
    const zone = this.#zones.find((one) => one.name === name)
    const shared = this.#memory.get(name)
    if (zone === undefined || shared === undefined) return undefined
    const { size, path, levels } = zone
    if (path === undefined) return new MemoryStore(shared, size, this.#threadId)
    try {
      return new DiskStore({ path, size, levels }, shared, this.#threadId, this.#events)
    } catch (error) {
      this.#events.error({ err: error, zone: name }, 'a zone for stored answers cannot be used')
      return undefined
    }
  }
}
