/** Time as far as secrets are concerned; tests have one that they turn themselves. */
export interface Clock {
  /** Wall clock, epoch milliseconds. */
  now(): number
  /** Calls once, after that many milliseconds. @returns what takes it back */
  after(ms: number, call: () => void): () => void
}

/** A wait for a secret keeps no process alive. */
export const systemClock: Clock = {
  now: Date.now,
  after(ms, call) {
    const timer = setTimeout(call, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
