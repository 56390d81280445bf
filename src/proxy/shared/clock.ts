/**
 * Monotonic milliseconds that mean the same moment in every thread of the process.
 *
 * `performance.now()` counts from each thread's own start; `process.hrtime` has one origin for all, but is dearer to
 * read. Both read the same clock, so their distance is a constant of the thread.
 */
const offset = measureOffset()

/** `at` is a `performance.now()` of this thread. */
export function sharedTime(at: number): number {
  return at + offset
}

/** The two clocks are read one after the other; of a few tries the one that was interrupted least. */
function measureOffset(): number {
  let least = Number.POSITIVE_INFINITY
  let offset = 0
  for (let attempt = 0; attempt < 5; attempt++) {
    const before = performance.now()
    const origin = Number(process.hrtime.bigint()) / 1e6
    const taken = performance.now() - before
    if (taken >= least) continue
    least = taken
    offset = origin - before - taken / 2
  }
  return offset
}
