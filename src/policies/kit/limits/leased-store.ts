import type { LimitBucket, LimitWindow } from '../host.ts'
import type { CostKind, Counted, CounterStore } from './counter-store.ts'

/** Keys that a thread holds leases of. */
const mostLeases = 10_000

interface Lease {
  /** Counted in the store, and not used yet. */
  left: number
  /** Left in the store when it was last asked. */
  remaining: number
  /** Monotonic ms at which the window ends, never later than in the store. */
  until: number
  limit: number
  asking: Promise<Counted> | undefined
}

/**
 * Takes a number of requests from a store at once and counts them in this thread. What passes is never more than the
 * limit: everything was counted in the store before. Less may pass: at the end of a window each other thread may hold
 * up to `size - 1` that it did not use.
 */
export class LeasedStore implements CounterStore {
  readonly #store: CounterStore
  readonly #size: number
  readonly #now: () => number
  readonly #leases = new Map<string, Lease>()

  constructor(store: CounterStore, size: number, now = () => performance.now()) {
    this.#store = store
    this.#size = size
    this.#now = now
  }

  async acquire(key: string, window: LimitWindow, cost: number, kind?: CostKind): Promise<Counted> {
    if (kind !== undefined || cost === 0) return this.#store.acquire(key, window, cost, kind)
    const name = `${window.windowMs} ${key}`
    for (;;) {
      const lease = this.#leaseOf(name, window)
      const resetMs = Math.max(0, lease.until - this.#now())
      if (lease.left >= cost) {
        lease.left -= cost
        return { granted: cost, remaining: lease.remaining + lease.left, resetMs }
      }
      // A window that is full stays full until it ends.
      if (lease.remaining === 0 && resetMs > 0) return { granted: 0, remaining: lease.left, resetMs }
      const asked = lease.asking ?? this.#ask(key, window, lease, Math.max(cost, this.#size))
      const counted = await asked
      if (counted.granted === 0 && lease.left < cost)
        return { granted: 0, remaining: lease.left, resetMs: counted.resetMs }
    }
  }

  slide(key: string, window: LimitWindow, cost: number): Promise<Counted> {
    return this.#store.slide(key, window, cost)
  }

  leak(key: string, bucket: LimitBucket, cost: number): Promise<number> {
    return this.#store.leak(key, bucket, cost)
  }

  enter(key: string, id: string, limit: number, ttlMs: number): Promise<number> {
    return this.#store.enter(key, id, limit, ttlMs)
  }

  leave(key: string, id: string): Promise<void> {
    return this.#store.leave(key, id)
  }

  #leaseOf(name: string, { limit }: LimitWindow): Lease {
    const known = this.#leases.get(name)
    if (known !== undefined && known.limit === limit) {
      if (known.until <= this.#now() && known.asking === undefined) {
        known.left = 0
        known.remaining = limit
      }
      return known
    }
    if (this.#leases.size >= mostLeases) this.#leases.delete(this.#leases.keys().next().value!)
    const lease: Lease = { left: 0, remaining: limit, until: 0, limit, asking: undefined }
    this.#leases.set(name, lease)
    return lease
  }

  #ask(key: string, window: LimitWindow, lease: Lease, amount: number): Promise<Counted> {
    // From before the question: the window of the store then ends at this time or later.
    const asked = this.#now()
    lease.asking = this.#store
      .acquire(key, window, amount, 'some')
      .then((counted) => {
        const until = asked + counted.resetMs
        // What is left over from a window that ended meanwhile is worth nothing.
        lease.left = (lease.until > this.#now() ? lease.left : 0) + counted.granted
        lease.remaining = counted.remaining
        lease.until = until
        return counted
      })
      .finally(() => {
        lease.asking = undefined
      })
    return lease.asking
  }
}
