/** Code of an operator in a data thread: whoever is called is known to the control thread while the call lasts. */
import { Delays } from './proxy/delays.ts'
import type { PolicyHandlers } from './proxy/exchange.ts'
import type { WatchSlot } from './proxy/shared/watch-slot.ts'

type Call = (this: unknown, ...values: unknown[]) => unknown

export class OwnCodeGuard {
  readonly #slot: WatchSlot
  readonly #failed: (name: string, error: unknown) => void
  readonly #patience: () => number
  readonly #delays: Delays

  /**
   * @param failed hears of a promise that nobody else waits for
   * @param patience milliseconds that a promise may take to settle
   */
  constructor(
    slot: WatchSlot,
    failed: (name: string, error: unknown) => void,
    patience: () => number,
    // As many as there are requests in flight, which are bounded elsewhere.
    delays = new Delays(Number.POSITIVE_INFINITY),
  ) {
    this.#slot = slot
    this.#failed = failed
    this.#patience = patience
    this.#delays = delays
  }

  /** Runs once. */
  run<T>(name: string, call: () => T): T {
    const label = this.#slot.label(name)
    const before = this.#slot.enter(label)
    try {
      return call()
    } finally {
      this.#slot.leave(before)
    }
  }

  /** The same function, watched, and with it the filter of bodies that it may give back. */
  watched<F>(name: string, run: F): F {
    const call = this.#watchedCall(name, run as Call)
    const filterOf = (filter: Filter) => this.#filter(name, filter)
    return function (this: unknown, ...values: unknown[]) {
      const result = call.apply(this, values)
      return isFilter(result) ? filterOf(result) : result
    } as F
  }

  handlers(name: string, handlers: PolicyHandlers): PolicyHandlers {
    const watched: Record<string, unknown> = {}
    for (const [phase, run] of Object.entries(handlers)) {
      if (typeof run !== 'function') continue
      const call = this.watched(name, (run as Call).bind(handlers))
      const isAwaited = phase === 'request' || phase === 'serve'
      watched[phase] = isAwaited ? call : (...values: unknown[]) => this.#unawaited(name, call(...values))
    }
    return watched as PolicyHandlers
  }

  #watchedCall(name: string, run: Call): Call {
    const slot = this.#slot
    const label = slot.label(name)
    const settling = (promise: Promise<unknown>) => this.#settling(name, label, promise)
    return function (this: unknown, ...values: unknown[]) {
      const before = slot.enter(label)
      try {
        const result = run.apply(this, values)
        return result instanceof Promise ? settling(result) : result
      } finally {
        slot.leave(before)
      }
    }
  }

  /** Rejects when the promise has not settled in its time. */
  #settling(name: string, label: number, promise: Promise<unknown>): Promise<unknown> {
    const ms = this.#patience()
    const wait = {}
    this.#slot.await(label)
    return new Promise((resolve, reject) => {
      let settled = false
      const settle = () => {
        if (settled) return
        settled = true
        this.#slot.settle(label)
        this.#delays.release(wait)
      }
      const late = () => {
        if (settled) return
        settle()
        reject(new Error(`${name} has not settled its promise within ${ms / 1000} s`))
      }
      void this.#delays.wait(ms, wait)?.then(late)
      promise.then(resolve, reject)
      promise.then(settle, settle)
    })
  }

  #unawaited(name: string, result: unknown): unknown {
    if (!(result instanceof Promise)) return result
    result.catch((error: unknown) => this.#failed(name, error))
    return undefined
  }

  #filter(name: string, filter: Filter): Filter {
    return {
      write: this.#watchedCall(name, filter.write.bind(filter)),
      ...(filter.end && { end: this.#watchedCall(name, filter.end.bind(filter)) }),
    }
  }
}

/** Of a body, or what looks at one. */
interface Filter {
  write: Call
  end?: Call
}

const isFilter = (value: unknown): value is Filter =>
  typeof (value as { write?: unknown } | undefined | null)?.write === 'function' && !Buffer.isBuffer(value)
