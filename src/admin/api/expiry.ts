/** Takes away resources whose time (`?ttl=`) is over. */
import type { Log } from '../../telemetry/log.ts'
import type { LiveConfiguration } from '../live-configuration.ts'
import { remove } from './holding.ts'
import { readTarget } from './target.ts'

/** Timers of Node.js do not go further; whatever is later is looked at again. */
const longestWaitMs = 24 * 3600 * 1000

export class Expiry {
  readonly #live: LiveConfiguration
  readonly #log: Log
  /** Epoch milliseconds. */
  readonly #now: () => number
  #timer: NodeJS.Timeout | undefined
  /** Epoch seconds. */
  #next = Number.POSITIVE_INFINITY

  constructor(live: LiveConfiguration, log: Log, now: () => number) {
    this.#live = live
    this.#log = log
    this.#now = now
    this.expect(live.store.nextExpiry())
  }

  /** That something is over at this time, in epoch seconds. */
  expect(time: number | undefined): void {
    if (time === undefined || time >= this.#next) return
    clearTimeout(this.#timer)
    this.#next = time
    const wait = Math.min(longestWaitMs, Math.max(0, time * 1000 - this.#now()))
    this.#timer = setTimeout(() => void this.#takeAway(), wait)
    this.#timer.unref()
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  async #takeAway(): Promise<void> {
    this.#next = Number.POSITIVE_INFINITY
    try {
      await this.#live.run((transaction) => {
        for (const { kind, id } of transaction.store.due(Math.floor(this.#now() / 1000))) {
          remove(readTarget([...kind.split('/'), ...id.split('/')])!, transaction)
        }
      })
      this.expect(this.#live.store.nextExpiry())
    } catch (err) {
      this.#log.error({ err }, 'resources whose time is over could not be taken away')
      this.expect(Math.ceil(this.#now() / 1000) + 60)
    }
  }
}
