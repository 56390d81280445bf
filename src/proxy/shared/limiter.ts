/**
 * Limits that are exact across all threads of the process: one table in shared memory, of fixed windows, sliding windows
 * and leaky buckets. All time is monotonic: a clock that is set back or forward changes nothing.
 *
 * A key lives in one bucket, found by its hash, with one cell for each of its windows; so one lock guards everything
 * that a decision needs. The lock is held for some tens of nanoseconds and names its owner, which lets the control
 * thread release the locks of a thread that died.
 */
import { randomBytes } from 'node:crypto'
import { sharedTime } from './clock.ts'
import { KeyHash } from './key-hash.ts'
import { lock } from './lock.ts'
import { ownerTag, tagOf } from './owner-tag.ts'

export interface LimitWindow {
  /** Largest sum of costs in one window. */
  readonly limit: number
  /** Length of a window. It opens with the first request that is counted in it. */
  readonly windowMs: number
}

export interface LimitState {
  /** What is left in the window, never below 0. */
  remaining: number
  /** Until the window ends; its whole length while it is not open. */
  resetMs: number
}

/** What is let through at once, and what then drains with time. */
export interface LimitBucket {
  /** Cost that drains in a millisecond. */
  readonly perMs: number
  /** Largest level at which more is still taken. */
  readonly burst: number
}

/** A key whose hash is known already, for callers that come with the same one again and again. */
export interface LimitKey {
  readonly text: string
  readonly low: number
  readonly high: number
}

/** Most windows of one key. */
export const maxLimitWindows = 8

/*
 * Layout, in 32-bit words: a header, then buckets. A bucket is
 *   [lock, -] [low half of the hash] x cells [high half] x cells [owner] x cells [count: float64] x cells
 *   [end: float64] x cells
 * The halves stand together, so that a search reads two or three cache lines. A cell whose end has passed is free.
 */
const cellsPerBucket = 18
const wordsPerBucket = 128
const headerWords = 16
const seedWord = 0
const evictionsWord = 2
const lowOffset = 2
const highOffset = lowOffset + cellsPerBucket
const ownerOffset = highOffset + cellsPerBucket
/** In 64-bit words from the start of the bucket. */
const countOffset = (ownerOffset + cellsPerBucket) / 2
const endOffset = countOffset + cellsPerBucket

/** Shared memory for a limit table of about `bytes` bytes, rounded down to a power of two of 512-byte buckets. */
export function createLimitTable(bytes: number): SharedArrayBuffer {
  const buckets = 2 ** Math.floor(Math.log2(bytes / (wordsPerBucket * 4)))
  if (!(buckets >= 1)) throw new RangeError(`a limit table needs at least ${wordsPerBucket * 4} bytes`)
  const table = new SharedArrayBuffer((headerWords + buckets * wordsPerBucket) * 4)
  const seed = randomBytes(8)
  const words = new Int32Array(table)
  words[seedWord] = seed.readInt32LE(0)
  words[seedWord + 1] = seed.readInt32LE(4)
  return table
}

/** Cells of live windows that had to make room, since the table was made. */
export function limitEvictions(table: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(table), evictionsWord) >>> 0
}

/** Opens every lock that a dead thread holds. To be called before another thread takes over its id. */
export function releaseLimitLocks(table: SharedArrayBuffer, threadId: number): void {
  const words = new Int32Array(table)
  for (let lock = headerWords; lock < words.length; lock += wordsPerBucket) {
    if (words[lock] === threadId) Atomics.compareExchange(words, lock, threadId, 0)
  }
}

/** After months a clock that counts in floats has steps of a thousandth of this, and roundings add up. */
const roundingMs = 1e-3

/** One thread's access to the table. */
export class Limiter {
  readonly #words: Int32Array
  readonly #floats: Float64Array
  readonly #bucketMask: number
  readonly #threadId: number
  readonly #hash: KeyHash
  /** The cell of each window of the key in work; -1: none yet. */
  readonly #cells = new Int32Array(maxLimitWindows)

  /** `threadId` is above 0 and belongs to no other live thread. */
  constructor(table: SharedArrayBuffer, threadId: number) {
    this.#words = new Int32Array(table)
    this.#floats = new Float64Array(table)
    this.#bucketMask = (this.#words.length - headerWords) / wordsPerBucket - 1
    this.#threadId = threadId
    this.#hash = new KeyHash(this.#words[seedWord]!, this.#words[seedWord + 1]!)
  }

  /** The key to hand to `acquire` in place of its text. It holds for this table only. */
  key(text: string): LimitKey {
    const hash = this.#hash
    hash.update(text)
    return { text, low: hash.low, high: hash.high }
  }

  /**
   * Counts `cost` in every window of `key` when all of them have room for it; else counts nothing and returns false.
   * A cost of 0 only looks. Fills `out`, which has one entry for each window, in place: the state after the decision.
   *
   * Windows of a key are told apart by their position and length, so a changed limit keeps the count.
   * `at` is this thread's `performance.now()`, for callers that have just read it.
   */
  acquire(
    key: string | LimitKey,
    windows: readonly LimitWindow[],
    cost: number,
    out: LimitState[],
    at: number = performance.now(),
  ): boolean {
    if (windows.length > maxLimitWindows)
      throw new RangeError(`more than ${maxLimitWindows} windows for one key`)
    let text: string
    let hash: { readonly low: number; readonly high: number }
    if (typeof key === 'string') {
      text = key
      this.#hash.update(key)
      hash = this.#hash
    } else {
      text = key.text
      hash = key
    }
    const { low, high } = hash
    const bucket = this.#bucketOf(high)
    const now = sharedTime(at)
    lock(this.#words, bucket, this.#threadId)
    const granted = this.#decide(bucket, text, low, high, windows, cost, now, out)
    Atomics.store(this.#words, bucket, 0)
    return granted
  }

  /**
   * Counts `cost` in a sliding window: the current span of `windowMs` and, in the share that still overlaps, the one
   * before it. A request passes while that estimate is below the limit, as in APISIX, so that one with a cost above 1
   * may go beyond it. The estimate takes the requests of the previous span as evenly spread: no window of a steady flow
   * has more than the limit, and none at all has twice as much.
   * Fills `out`; after a rejection its `resetMs` is the wait until the estimate has room.
   */
  slide(
    key: string,
    window: LimitWindow,
    cost: number,
    out: LimitState,
    at: number = performance.now(),
  ): boolean {
    this.#hash.update(key)
    const { low, high } = this.#hash
    const bucket = this.#bucketOf(high)
    const now = sharedTime(at)
    lock(this.#words, bucket, this.#threadId)
    const granted = this.#decideSliding(bucket, key, low, high, window, cost, now, out)
    Atomics.store(this.#words, bucket, 0)
    return granted
  }

  /**
   * Adds `cost` to a leaky bucket unless its level is above `burst`.
   * @returns milliseconds until what was in it before has drained; below 0: nothing was added, and there is room again
   *   after that many milliseconds
   */
  leak(key: string, { perMs, burst }: LimitBucket, cost: number, at: number = performance.now()): number {
    this.#hash.update(key)
    const { low, high } = this.#hash
    const bucket = this.#bucketOf(high)
    const now = sharedTime(at)
    const ends = (bucket >> 1) + endOffset
    const tag = windowTag(high, 0, 0)
    lock(this.#words, bucket, this.#threadId)
    let cell = this.#find(bucket, low, tag, now)
    const wait = cell < 0 ? 0 : this.#floats[ends + cell]! - now
    // Level against burst, as times: what is compared with an equal number must not fail by its roundings.
    const excessMs = wait - burst / perMs
    if (excessMs < roundingMs && cost > 0) {
      if (cell < 0) {
        cell = this.#claim(bucket, 0, now)
        this.#mark(bucket, cell, low, tag, key)
      }
      this.#floats[ends + cell] = now + wait + cost / perMs
    }
    Atomics.store(this.#words, bucket, 0)
    return excessMs < roundingMs ? wait : -excessMs
  }

  #bucketOf(high: number): number {
    return headerWords + (high & this.#bucketMask) * wordsPerBucket
  }

  #mark(bucket: number, cell: number, low: number, tag: number, key: string): void {
    this.#words[bucket + lowOffset + cell] = low
    this.#words[bucket + highOffset + cell] = tag
    this.#words[bucket + ownerOffset + cell] = ownerTag(key)
  }

  /** Spans take turns with two cells; a cell outlives its span by one more. */
  #decideSliding(
    bucket: number,
    key: string,
    low: number,
    high: number,
    { limit, windowMs }: LimitWindow,
    cost: number,
    now: number,
    out: LimitState,
  ): boolean {
    const floats = this.#floats
    const counts = (bucket >> 1) + countOffset
    const ends = (bucket >> 1) + endOffset
    const span = Math.floor(now / windowMs)
    const rest = (span + 1) * windowMs - now
    const tag = windowTag(high, span & 1, windowMs)
    let cell = this.#find(bucket, low, tag, now)
    const before = this.#find(bucket, low, windowTag(high, (span + 1) & 1, windowMs), now)
    const count = cell < 0 ? 0 : floats[counts + cell]!
    const last = before < 0 ? 0 : Math.min(floats[counts + before]!, limit)
    const overlap = (last / windowMs) * rest
    const granted = count < limit && count + overlap < limit
    if (granted && cost > 0) {
      if (cell < 0) {
        this.#cells[0] = before
        cell = this.#claim(bucket, 1, now)
        this.#mark(bucket, cell, low, tag, key)
        floats[counts + cell] = 0
        floats[ends + cell] = (span + 2) * windowMs
      }
      floats[counts + cell]! += cost
    }
    out.remaining = granted ? Math.max(0, Math.floor(limit - count - cost - overlap)) : 0
    out.resetMs = granted || count >= limit ? rest : Math.max(0, rest - ((limit - count) * windowMs) / last)
    return granted
  }

  /** Windows and buckets that are open. */
  count(): number {
    const now = sharedTime(performance.now())
    let open = 0
    for (let bucket = headerWords; bucket < this.#words.length; bucket += wordsPerBucket) {
      open += this.#openCells(bucket, now, undefined).length
    }
    return open
  }

  /**
   * Closes the windows of every key that begins with `ANY:OWNER:`, where the owner is two words with a colon between
   * them (`route:1`); without an owner, all windows. @returns how many were open
   */
  clear(owner?: string): number {
    const now = sharedTime(performance.now())
    const tag = owner === undefined ? undefined : tagOf(owner)
    let closed = 0
    for (let bucket = headerWords; bucket < this.#words.length; bucket += wordsPerBucket) {
      // Most of a table was never used: what is not looked at twice is not locked.
      if (this.#openCells(bucket, now, tag).length === 0) continue
      lock(this.#words, bucket, this.#threadId)
      const cells = this.#openCells(bucket, now, tag)
      for (const cell of cells) this.#floats[(bucket >> 1) + endOffset + cell] = 0
      Atomics.store(this.#words, bucket, 0)
      closed += cells.length
    }
    return closed
  }

  #openCells(bucket: number, now: number, owner: number | undefined): number[] {
    const ends = (bucket >> 1) + endOffset
    const cells: number[] = []
    for (let cell = 0; cell < cellsPerBucket; cell++) {
      if (this.#floats[ends + cell]! <= now) continue
      if (owner === undefined || this.#words[bucket + ownerOffset + cell] === owner) cells.push(cell)
    }
    return cells
  }

  #decide(
    bucket: number,
    key: string,
    low: number,
    high: number,
    windows: readonly LimitWindow[],
    cost: number,
    now: number,
    out: LimitState[],
  ): boolean {
    const floats = this.#floats
    const cells = this.#cells
    const counts = (bucket >> 1) + countOffset
    const ends = (bucket >> 1) + endOffset
    let granted = true
    for (let index = 0; index < windows.length; index++) {
      const window = windows[index]!
      const state = out[index]!
      const cell = this.#find(bucket, low, windowTag(high, index, window.windowMs), now)
      cells[index] = cell
      const count = cell < 0 ? 0 : floats[counts + cell]!
      if (count + cost > window.limit) granted = false
      state.remaining = window.limit > count ? window.limit - count : 0
      state.resetMs = cell < 0 ? window.windowMs : floats[ends + cell]! - now
    }
    if (!granted || cost === 0) return granted
    for (let index = 0; index < windows.length; index++) {
      const window = windows[index]!
      let cell = cells[index]!
      if (cell < 0) {
        cell = this.#claim(bucket, windows.length, now)
        cells[index] = cell
        this.#mark(bucket, cell, low, windowTag(high, index, window.windowMs), key)
        floats[counts + cell] = 0
        floats[ends + cell] = now + window.windowMs
      }
      floats[counts + cell]! += cost
      out[index]!.remaining -= cost
    }
    return true
  }

  #find(bucket: number, low: number, tag: number, now: number): number {
    const words = this.#words
    const lows = bucket + lowOffset
    const ends = (bucket >> 1) + endOffset
    for (let cell = 0; cell < cellsPerBucket; cell++) {
      if (
        words[lows + cell] === low &&
        words[lows + cellsPerBucket + cell] === tag &&
        this.#floats[ends + cell]! > now
      ) {
        return cell
      }
    }
    return -1
  }

  /** A free cell, else the one that ends soonest; never one of the key in work. */
  #claim(bucket: number, windows: number, now: number): number {
    const ends = (bucket >> 1) + endOffset
    let chosen = -1
    let soonest = Number.POSITIVE_INFINITY
    for (let cell = 0; cell < cellsPerBucket; cell++) {
      const end = this.#floats[ends + cell]!
      if (end <= now) return cell
      if (end < soonest && !this.#inWork(cell, windows)) {
        soonest = end
        chosen = cell
      }
    }
    Atomics.add(this.#words, evictionsWord, 1)
    return chosen
  }

  #inWork(cell: number, windows: number): boolean {
    for (let index = 0; index < windows; index++) if (this.#cells[index] === cell) return true
    return false
  }
}

/** The second half of the hash, made particular to one window of the key. */
function windowTag(high: number, index: number, windowMs: number): number {
  return (high ^ Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(windowMs | 0, 0x85ebca6b)) | 0
}
