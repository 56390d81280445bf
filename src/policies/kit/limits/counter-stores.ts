import type { PolicyLog } from '../host.ts'
import type { CounterStore } from './counter-store.ts'
import { LeasedStore } from './leased-store.ts'
import { openRedis } from './redis-client.ts'
import { RedisStore } from './redis-store.ts'
import type { RedisTarget } from './redis-target.ts'
import { SyncedStore } from './synced-store.ts'
import { RedisValues, type ValueStore } from './value-store.ts'

/** How often the store itself is asked. */
export interface StoreUse {
  /** Once for so many requests. */
  readonly lease?: number
  /** Once in so many milliseconds. */
  readonly syncMs?: number
}

/**
 * The stores of a thread. Bindings with the same target share one, and so its connection; those that differ in anything,
 * also in credentials or database, do not.
 */
export class CounterStores {
  readonly #log: PolicyLog
  readonly #stores = new Map<string, WeakRef<CounterStore | ValueStore>>()

  constructor(log: PolicyLog) {
    this.#log = log
  }

  /** A store that no binding holds any more is forgotten; its connection ends when it is idle. */
  open(target: RedisTarget, { lease, syncMs }: StoreUse = {}): CounterStore {
    if (lease !== undefined) {
      return this.#shared(
        JSON.stringify([target, 'lease', lease]),
        () => new LeasedStore(this.open(target), lease),
      )
    }
    if (syncMs !== undefined) {
      return this.#shared(
        JSON.stringify([target, 'sync', syncMs]),
        () => new SyncedStore(this.open(target), syncMs),
      )
    }
    const open = () => new RedisStore({ target, log: this.#log, open: openRedis })
    return this.#shared(JSON.stringify(target), open)
  }

  /** Through a connection of its own. */
  openValues(target: RedisTarget): ValueStore {
    const open = () => new RedisValues({ target, log: this.#log, open: openRedis })
    return this.#shared(JSON.stringify([target, 'values']), open)
  }

  /** Tells every store what was counted without it. */
  async sync(): Promise<void> {
    const stores = [...this.#stores.values()].map((store) => store.deref())
    await Promise.allSettled(stores.map((store) => (store instanceof SyncedStore ? store.sync() : undefined)))
  }

  #shared<Store extends CounterStore | ValueStore>(key: string, make: () => Store): Store {
    for (const [key, store] of this.#stores) if (store.deref() === undefined) this.#stores.delete(key)
    const known = this.#stores.get(key)?.deref()
    // A key says of which kind its store is.
    if (known) return known as Store
    const store = make()
    this.#stores.set(key, new WeakRef(store))
    return store
  }
}
