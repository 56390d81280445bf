/** How often somebody may be wrong about a secret, so that it cannot be found by trying. */

/** Attempts that are free, and how long it takes until one is forgotten, in milliseconds. */
export interface AttemptLimit {
  most: number
  forgottenAfterMs: number
}

/** Of those that are kept in mind; of more, the ones that were wrong longest ago are forgotten. */
const mostKeys = 10_000

export class Attempts {
  /** When all that was wrong is forgotten, in epoch milliseconds, in the order of the last mistake. */
  readonly #forgotten = new Map<string, number>()
  readonly #limit: AttemptLimit
  readonly #now: () => number

  /** @param now milliseconds since 1970 */
  constructor(limit: AttemptLimit, now: () => number) {
    this.#limit = limit
    this.#now = now
  }

  /** Seconds until the next attempt is looked at; 0: now. */
  wait(key: string): number {
    const forgotten = this.#forgotten.get(key)
    if (forgotten === undefined) return 0
    const { most, forgottenAfterMs } = this.#limit
    const excess = forgotten - this.#now() - (most - 1) * forgottenAfterMs
    return excess <= 0 ? 0 : Math.ceil(excess / 1000)
  }

  /** Counts before it is known to be wrong, so that many at once do not all get their turn. */
  add(key: string): void {
    const now = this.#now()
    const forgotten = Math.max(this.#forgotten.get(key) ?? 0, now) + this.#limit.forgottenAfterMs
    this.#forgotten.delete(key)
    this.#forgotten.set(key, forgotten)
    if (this.#forgotten.size > mostKeys) this.#forgotten.delete(this.#forgotten.keys().next().value!)
  }

  /** It was right. */
  forget(key: string): void {
    this.#forgotten.delete(key)
  }
}
