import { setTimeout as delay } from 'node:timers/promises'
import { Backoff, type BackoffLimits } from './backoff.ts'

export interface TurnsOptions {
  /**
   * One question. @returns milliseconds until the next one. It rejects when it was in vain; then the next one comes
   * after a wait that grows with every failure.
   */
  turn: (signal: AbortSignal) => Promise<number>
  failed: (error: Error) => void
  backoff: BackoffLimits
}

/** Asks again and again, one question at a time, until it is closed. */
export class Turns {
  readonly #options: TurnsOptions
  readonly #backoff: Backoff
  readonly #closing = new AbortController()

  constructor(options: TurnsOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.backoff)
    void this.#run()
  }

  /** Ends what is under way; nothing is reported from now on. */
  close(): void {
    this.#closing.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const wait = await this.#turn(signal)
      if (signal.aborted) return
      await delay(wait, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  async #turn(signal: AbortSignal): Promise<number> {
    try {
      const wait = await this.#options.turn(signal)
      this.#backoff.reset()
      return wait
    } catch (error) {
      if (!signal.aborted) this.#options.failed(error as Error)
      return this.#backoff.next()
    }
  }
}
