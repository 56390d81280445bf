/** Code of an operator in a data thread: whoever is called is known to the control thread while the call lasts. */
import type { PolicyHandlers } from './proxy/exchange.ts'
import type { WatchSlot } from './proxy/shared/watch-slot.ts'

type Call = (this: unknown, ...values: unknown[]) => unknown

export class OwnCodeGuard {
  readonly #slot: WatchSlot
  readonly #failed: (name: string, error: unknown) => void

  /** @param failed hears of a promise that nobody else waits for */
  constructor(slot: WatchSlot, failed: (name: string, error: unknown) => void) {
    this.#slot = slot
    this.#failed = failed
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

  /** The same function, watched. */
  watched<F>(name: string, run: F): F {
    const slot = this.#slot
    const label = slot.label(name)
    const settled = () => slot.settle(label)
    return function (this: unknown, ...values: unknown[]) {
      const before = slot.enter(label)
      try {
        const result = (run as Call).apply(this, values)
        if (result instanceof Promise) {
          slot.await(label)
          result.then(settled, settled)
        }
        return result
      } finally {
        slot.leave(before)
      }
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

  #unawaited(name: string, result: unknown): unknown {
    if (result instanceof Promise) {
      result.catch((error: unknown) => this.#failed(name, error))
      return undefined
    }
    return isFilter(result) ? this.#filter(name, result) : result
  }

  #filter(name: string, filter: { write: Call; end?: Call }): object {
    return {
      write: this.watched(name, filter.write.bind(filter)),
      ...(filter.end && { end: this.watched(name, filter.end.bind(filter)) }),
    }
  }
}

const isFilter = (value: unknown): value is { write: Call; end?: Call } =>
  typeof (value as { write?: unknown } | undefined)?.write === 'function'
