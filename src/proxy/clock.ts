/**
 * The time of the event that is being handled. Reading the system's clock costs as much as parsing a field line, and
 * nothing that happens inside one event needs a finer answer.
 */
export const clock = {
  /** Monotonic milliseconds, as `performance.now()` counts them. */
  now: performance.now(),

  /** At the begin of each event. @returns the time */
  tick(): number {
    clock.now = performance.now()
    return clock.now
  },
}
