/** Waits between failed tries: each about twice as long as the one before, and none as long as that of anybody else. */
export interface BackoffLimits {
  /** Milliseconds. */
  first: number
  longest: number
}

export class Backoff {
  readonly #limits: BackoffLimits
  readonly #random: () => number
  #failures = 0

  constructor(limits: BackoffLimits, random: () => number = Math.random) {
    this.#limits = limits
    this.#random = random
  }

  /** Milliseconds to wait after one more failure, between half of what the count of failures says and all of it. */
  next(): number {
    const { first, longest } = this.#limits
    const full = Math.min(longest, first * 2 ** this.#failures)
    // Beyond 30 doublings the limit was reached long ago.
    this.#failures = Math.min(this.#failures + 1, 30)
    return full * (1 - this.#random() / 2)
  }

  reset(): void {
    this.#failures = 0
  }
}
