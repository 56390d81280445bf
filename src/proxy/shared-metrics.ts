/** What a data thread knows of the metrics of the whole gateway: it asks the control thread, which adds all threads up. */
import type { MetricsText } from '../telemetry/exposition.ts'

/** Milliseconds that the control thread may take. */
const patience = 10_000

export class SharedMetrics {
  readonly #ask: () => void
  #asked: PromiseWithResolvers<MetricsText | undefined> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(ask: () => void) {
    this.#ask = ask
  }

  /** Whoever asks while an answer is awaited gets the same. Undefined: the control thread has none, or takes too long. */
  text(): Promise<MetricsText | undefined> {
    if (this.#asked === undefined) {
      this.#asked = Promise.withResolvers()
      this.#timer = setTimeout(() => this.answer(undefined), patience)
      this.#ask()
    }
    return this.#asked.promise
  }

  answer(text: MetricsText | undefined): void {
    clearTimeout(this.#timer)
    this.#asked?.resolve(text)
    this.#asked = undefined
  }
}
