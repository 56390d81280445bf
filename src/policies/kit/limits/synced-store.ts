import type { LimitBucket, LimitWindow } from '../host.ts'
import type { CostKind, Counted, CounterStore } from './counter-store.ts'

/** Keys that a thread counts by itself. */
const mostTallies = 10_000

interface Tally {
  readonly key: string
  readonly window: LimitWindow
  readonly slides: boolean
  /** What the store had left when it was last told. */
  remaining: number
  /** Counted here since. */
  delta: number
  /** Monotonic ms at which the window ends. */
  until: number
  asking: Promise<void> | undefined
}

/**
 * Counts in this thread and tells a store every so often, as APISIX's `sync_interval`. More than the limit may pass: what
 * all other threads and nodes let pass within one interval. While the store is absent the last known quota holds
 * until its window ends.
 */
export class SyncedStore implements CounterStore {
  readonly #store: CounterStore
  readonly #intervalMs: number
  readonly #now: () => number
  readonly #tallies = new Map<string, Tally>()
  #timer: NodeJS.Timeout | undefined

  constructor(store: CounterStore, intervalMs: number, now = () => performance.now()) {
    this.#store = store
    this.#intervalMs = intervalMs
    this.#now = now
  }

  async acquire(key: string, window: LimitWindow, cost: number, kind?: CostKind): Promise<Counted> {
    // A window that is not longer than the interval would be over before it is told.
    if (kind !== undefined || window.windowMs <= this.#intervalMs)
      return this.#store.acquire(key, window, cost, kind)
    return this.#count(key, window, cost, false)
  }

  async slide(key: string, window: LimitWindow, cost: number): Promise<Counted> {
    if (window.windowMs <= this.#intervalMs) return this.#store.slide(key, window, cost)
    return this.#count(key, window, cost, true)
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

  /** Tells the store what was counted. Called by the timer. */
  async sync(): Promise<void> {
    this.#timer = undefined
    const now = this.#now()
    const told: Promise<void>[] = []
    for (const [name, tally] of this.#tallies) {
      if (tally.delta > 0) {
        tally.asking ??= this.#tell(tally)
        told.push(tally.asking)
      } else if (tally.until <= now) this.#tallies.delete(name)
    }
    if (this.#tallies.size > 0) this.#arm()
    await Promise.all(told)
  }

  async #count(key: string, window: LimitWindow, cost: number, slides: boolean): Promise<Counted> {
    const tally = this.#tallyOf(key, window, slides)
    if (tally.until <= this.#now()) {
      tally.asking ??= this.#tell(tally)
      await tally.asking
    }
    const resetMs = Math.max(0, tally.until - this.#now())
    const remaining = tally.remaining - tally.delta - cost
    if (remaining < 0) return { granted: 0, remaining: 0, resetMs }
    tally.delta += cost
    this.#arm()
    return { granted: cost, remaining, resetMs }
  }

  #tallyOf(key: string, window: LimitWindow, slides: boolean): Tally {
    const name = `${window.limit} ${window.windowMs} ${key}`
    let tally = this.#tallies.get(name)
    if (tally === undefined) {
      if (this.#tallies.size >= mostTallies) this.#tallies.delete(this.#tallies.keys().next().value!)
      tally = { key, window, slides, remaining: 0, delta: 0, until: 0, asking: undefined }
      this.#tallies.set(name, tally)
    }
    return tally
  }

  /** Rejects, and keeps what was counted, when the store is absent. */
  async #tell(tally: Tally): Promise<void> {
    const { key, window, slides, delta } = tally
    const asked = this.#now()
    try {
      const counted = slides
        ? await this.#store.slide(key, window, delta)
        : await this.#store.acquire(key, window, delta, 'forced')
      tally.remaining = counted.remaining
      tally.until = asked + Math.max(1, counted.resetMs)
      tally.delta -= delta
    } catch (error) {
      if (tally.until <= this.#now()) throw error
    } finally {
      tally.asking = undefined
    }
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => void this.sync().catch(() => {}), this.#intervalMs).unref()
  }
}
