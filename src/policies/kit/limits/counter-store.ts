/** Counters that several nodes share. Every decision is one step there: nothing is read first and written later. */
import type { LimitBucket, LimitWindow } from '../host.ts'

export interface Counted {
  /** How much of the cost was counted: all or nothing, or less of it for a cost of the kind `some`. */
  readonly granted: number
  /** What is left, never below 0. */
  readonly remaining: number
  /** Until the window ends; after a rejection in a sliding window, until there is room. */
  readonly resetMs: number
}

/** Whether a cost is counted as a whole or not at all, as far as there is room, or in any case. */
export type CostKind = 'whole' | 'some' | 'forced'

export interface CounterStore {
  /** Counts in a window that opens with the first cost. A cost of 0 only looks, unless it is forced. */
  acquire(key: string, window: LimitWindow, cost: number, kind?: CostKind): Promise<Counted>
  /** Counts in a sliding window, as `Limiter.slide` does. */
  slide(key: string, window: LimitWindow, cost: number): Promise<Counted>
  /** As `Limiter.leak`. */
  leak(key: string, bucket: LimitBucket, cost: number): Promise<number>
  /**
   * Counts a request that is under way, until it leaves or `ttlMs` is over.
   * @returns how many there are then; 0: there are `limit` already
   */
  enter(key: string, id: string, limit: number, ttlMs: number): Promise<number>
  /** Never rejects. */
  leave(key: string, id: string): Promise<void>
}

/** The store did not decide within its time, or cannot be reached. */
export class StoreAbsentError extends Error {}
