/**
 * Monotonic milliseconds that mean the same moment in every thread of the process.
 *
 * `performance.now()` counts from each thread's own start; `process.hrtime` has one origin for all, but is dearer to
 * read. Both read the same clock, so their distance is a constant of the thread.
 */
const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now()

/** `at` is a `performance.now()` of this thread. */
export function sharedTime(at: number): number {
  return at + offset
}
