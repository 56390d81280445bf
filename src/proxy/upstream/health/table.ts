/**
 * The health of all endpoints in memory that the threads share. The control thread gives each endpoint a slot and tells
 * data threads which; any thread may report what it saw of an endpoint, and all see the change with their next load.
 */
import { type Reason, reasonCode, reasonOf } from './reason.ts'
import {
  afterReport,
  type Counter,
  ejectedBit,
  isEjected,
  unusableBits,
  withoutEjection,
  withoutState,
} from './word.ts'

/*
 * Layout, in 32-bit words: slots of eight. Slot 0 belongs to nobody and stays 0, which is healthy.
 *   an endpoint: [word] [last reason] [failures in a row] [-] [since: float64] [-] [-]
 *   an upstream: [changes of usability among its endpoints] [requests: see `touch`] ...
 */
const slotWords = 8
const reasonAt = 1
const streaksAt = 2
const sinceAt = 2
const touchAt = 1

/** The slot of endpoints whose health nobody watches. */
export const noSlot = 0

/** Slots for endpoints and upstreams. Pages that are never used cost nothing. */
const slotCount = 128 * 1024

export function createHealthTable(slots: number = slotCount): SharedArrayBuffer {
  return new SharedArrayBuffer(slots * slotWords * Int32Array.BYTES_PER_ELEMENT)
}

/** Failures in a row at one endpoint. */
export interface Streaks {
  /** Answers from 500 on, or none. */
  errors: number
  /** Of these 502, 503, 504, or none. */
  gateway: number
}
const longestStreak = 0xffff

const untouched = 0
const counting = 3

export class HealthTable {
  readonly slots: number
  readonly #words: Int32Array
  readonly #floats: Float64Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
    this.#floats = new Float64Array(memory)
    this.slots = this.#words.length / slotWords
  }

  word(slot: number): number {
    return this.#words[slot * slotWords]!
  }

  isUsable(slot: number): boolean {
    return (this.#words[slot * slotWords]! & unusableBits) === 0
  }

  /** The last failure that was counted. */
  reason(slot: number): Reason | undefined {
    return reasonOf(this.#words[slot * slotWords + reasonAt]!)
  }

  /** When the endpoint became usable or unusable, on the clock of `sharedTime`; 0: it has been usable from the start. */
  since(slot: number): number {
    return this.#floats[(slot * slotWords) / 2 + sinceAt]!
  }

  /** Rises whenever an endpoint of this upstream becomes usable or unusable, or is ejected. */
  changes(upstream: number): number {
    return this.#words[upstream * slotWords]!
  }

  /**
   * Counts one report about an endpoint.
   * @param limit count from which on the state changes
   * @param reason of a failure
   * @param now of `sharedTime`
   */
  report(
    upstream: number,
    slot: number,
    which: Counter,
    limit: number,
    reason: Reason | null,
    now: number,
  ): void {
    const at = slot * slotWords
    // Most reports say what the state says already: a plain look is enough to see that.
    for (let before = this.#words[at]!; ; ) {
      const after = afterReport(before, which, limit)
      if (after === before) return
      const found = Atomics.compareExchange(this.#words, at, before, after)
      if (found === before) {
        if (reason !== null) this.#words[at + reasonAt] = reasonCode(reason)
        this.#moved(upstream, slot, before, after, now)
        return
      }
      before = found
    }
  }

  /** Takes an endpoint out of traffic, whatever its state. @returns false when it was out already */
  eject(upstream: number, slot: number, reason: Reason | null, now: number): boolean {
    const at = slot * slotWords
    const before = Atomics.or(this.#words, at, ejectedBit)
    if (isEjected(before)) return false
    Atomics.store(this.#words, at + streaksAt, 0)
    if (reason !== null) this.#words[at + reasonAt] = reasonCode(reason)
    this.#moved(upstream, slot, before, before | ejectedBit, now)
    // The control thread has to hear of it also when the endpoint was unhealthy before.
    Atomics.add(this.#words, upstream * slotWords, 1)
    return true
  }

  /** Ends an ejection. */
  readmit(upstream: number, slot: number, now: number): void {
    this.#change(upstream, slot, withoutEjection, now)
  }

  /** Forgets what reports said; an ejection stays. */
  forgetState(upstream: number, slot: number, now: number): void {
    this.#change(upstream, slot, withoutState, now)
  }

  /** As if nothing had ever been known about the endpoint. */
  clear(upstream: number, slot: number): void {
    const at = slot * slotWords
    const before = Atomics.exchange(this.#words, at, 0)
    Atomics.store(this.#words, at + reasonAt, 0)
    Atomics.store(this.#words, at + streaksAt, 0)
    this.#floats[at / 2 + sinceAt] = 0
    if ((before & unusableBits) !== 0) Atomics.add(this.#words, upstream * slotWords, 1)
  }

  /** One more failure in a row. Fills `out`. */
  addFailure(slot: number, isGatewayFailure: boolean, out: Streaks): void {
    const at = slot * slotWords + streaksAt
    for (let before = Atomics.load(this.#words, at); ; ) {
      const errors = Math.min((before & longestStreak) + 1, longestStreak)
      const gateway = isGatewayFailure ? Math.min((before >>> 16) + 1, longestStreak) : 0
      const found = Atomics.compareExchange(this.#words, at, before, (gateway << 16) | errors)
      if (found === before) {
        out.errors = errors
        out.gateway = gateway
        return
      }
      before = found
    }
  }

  endStreak(slot: number): void {
    const at = slot * slotWords + streaksAt
    if (this.#words[at] !== 0) Atomics.store(this.#words, at, 0)
  }

  /**
   * A request of the upstream has ended. Traffic counts only from a moment after the first one on, as in APISIX, whose
   * checkers begin to work then: what fails while a new configuration settles is no verdict.
   * @returns true when what it told counts
   */
  touch(upstream: number): boolean {
    const at = upstream * slotWords + touchAt
    const touches = this.#words[at]!
    if (touches === untouched) Atomics.compareExchange(this.#words, at, untouched, untouched + 1)
    return touches === counting
  }

  /** Called regularly by the control thread: two calls after the first request, traffic counts. */
  settle(upstream: number): void {
    const at = upstream * slotWords + touchAt
    const touches = this.#words[at]!
    if (touches !== untouched && touches !== counting) Atomics.store(this.#words, at, touches + 1)
  }

  /** For a slot that is given to another endpoint or upstream. */
  wipe(slot: number): void {
    this.#words.fill(0, slot * slotWords, (slot + 1) * slotWords)
  }

  #change(upstream: number, slot: number, change: (word: number) => number, now: number): void {
    const at = slot * slotWords
    for (let before = Atomics.load(this.#words, at); ; ) {
      const after = change(before)
      if (after === before) return
      const found = Atomics.compareExchange(this.#words, at, before, after)
      if (found === before) {
        this.#moved(upstream, slot, before, after, now)
        return
      }
      before = found
    }
  }

  #moved(upstream: number, slot: number, before: number, after: number, now: number): void {
    const was = (before & unusableBits) === 0
    const is = (after & unusableBits) === 0
    if (was === is) return
    this.#floats[(slot * slotWords) / 2 + sinceAt] = now
    Atomics.add(this.#words, upstream * slotWords, 1)
  }
}
