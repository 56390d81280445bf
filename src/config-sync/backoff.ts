/** Waits between attempts: from one second, doubling up to a minute, each a random time between half of it and all of it. */
const firstMs = 1000
const longestMs = 60_000

export class Backoff {
  #failures = 0

  succeeded(): void {
    this.#failures = 0
  }

  /** Milliseconds until the next attempt. @param atLeast what the other side asked for */
  failed(atLeast = 0): number {
    const whole = Math.min(longestMs, firstMs * 2 ** Math.min(this.#failures++, 16))
    return Math.max(atLeast, whole / 2 + (Math.random() * whole) / 2)
  }
}
