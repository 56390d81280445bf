/**
 * Requests that have to wait before they go on: a bounded heap, in the order of their turn, on one timer of the thread.
 * The timer wheel of connections is not used, because its slots are wider than most of these waits.
 */
import { clock } from './clock.ts'

/** Requests that may wait in one thread at a time. */
export const mostDelays = 10_000

interface Waiting {
  /** Monotonic milliseconds. */
  readonly due: number
  readonly who: object
  readonly go: () => void
  /** Its place in the heap; -1 once it is out. */
  at: number
}

export class Delays {
  readonly #heap: Waiting[] = []
  readonly #byWho = new Map<object, Waiting>()
  readonly #most: number
  #timer: NodeJS.Timeout | undefined
  #timerDue = Number.POSITIVE_INFINITY

  constructor(most = mostDelays) {
    this.#most = most
  }

  get size(): number {
    return this.#heap.length
  }

  /**
   * Resolves after that many milliseconds, or at once when `release` is called for the same object. One wait at a time
   * for each object. Undefined: too many wait already.
   */
  wait(ms: number, who: object): Promise<void> | undefined {
    if (this.#heap.length >= this.#most) return undefined
    return new Promise((go) => {
      const waiting = { due: clock.now + ms, who, go, at: this.#heap.length }
      this.#heap.push(waiting)
      this.#byWho.set(who, waiting)
      this.#rise(waiting)
      this.#arm()
    })
  }

  /** Its client has gone: it waits no longer. */
  release(who: object): void {
    const waiting = this.#byWho.get(who)
    if (waiting === undefined) return
    this.#take(waiting)
    waiting.go()
    this.#arm()
  }

  /** Lets everything go on that is due. Called by the timer; tests call it with a time of their own. */
  advance(now: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.due <= now; first = this.#heap[0]) {
      this.#take(first)
      first.go()
    }
    this.#arm()
  }

  #arm(): void {
    const due = this.#heap[0]?.due ?? Number.POSITIVE_INFINITY
    // A timer that comes too early finds nothing to do and is set again.
    if (due >= this.#timerDue && due !== Number.POSITIVE_INFINITY) return
    clearTimeout(this.#timer)
    this.#timerDue = due
    if (due === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(
      () => {
        this.#timerDue = Number.POSITIVE_INFINITY
        this.advance(clock.tick())
      },
      Math.max(0, Math.ceil(due - clock.now)),
    )
  }

  #take(waiting: Waiting): void {
    const heap = this.#heap
    this.#byWho.delete(waiting.who)
    const last = heap.pop()!
    if (last !== waiting) {
      heap[waiting.at] = last
      last.at = waiting.at
      this.#rise(last)
      this.#sink(last)
    }
    waiting.at = -1
  }

  #rise(waiting: Waiting): void {
    const heap = this.#heap
    while (waiting.at > 0) {
      const parent = heap[(waiting.at - 1) >> 1]!
      if (parent.due <= waiting.due) return
      this.#swap(waiting, parent)
    }
  }

  #sink(waiting: Waiting): void {
    const heap = this.#heap
    for (;;) {
      const left = heap[2 * waiting.at + 1]
      const right = heap[2 * waiting.at + 2]
      const next = right !== undefined && right.due < left!.due ? right : left
      if (next === undefined || next.due >= waiting.due) return
      this.#swap(next, waiting)
    }
  }

  /** Of two neighbours, the one below takes the place of the other. */
  #swap(below: Waiting, above: Waiting): void {
    const { at } = below
    this.#heap[above.at] = below
    this.#heap[at] = above
    below.at = above.at
    above.at = at
  }
}
