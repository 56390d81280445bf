/**
 * Open client connections of the process and of each thread, in shared memory.
 * The limit of a process holds for all its threads together, and a dead thread's share is given back.
 */

/** Shares stand a cache line apart, so that threads do not slow each other down. */
const stride = 16
const total = 0

export function createConnectionTable(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer((threads + 1) * stride * Int32Array.BYTES_PER_ELEMENT)
}

export class ConnectionCounts {
  readonly #counts: Int32Array
  readonly #share: number

  /** `threadId` counts from 1. */
  constructor(table: SharedArrayBuffer, threadId: number) {
    this.#counts = new Int32Array(table)
    this.#share = threadId * stride
  }

  /** Counts one more connection, or returns false when `limit` are open in the process. */
  open(limit: number): boolean {
    if (Atomics.add(this.#counts, total, 1) >= limit) {
      Atomics.sub(this.#counts, total, 1)
      return false
    }
    Atomics.add(this.#counts, this.#share, 1)
    return true
  }

  close(): void {
    Atomics.sub(this.#counts, this.#share, 1)
    Atomics.sub(this.#counts, total, 1)
  }

  get ofThread(): number {
    return Atomics.load(this.#counts, this.#share)
  }
}

export function openConnections(table: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(table), total)
}

/** Takes a dead thread's connections out of the total, and gives back how many there were. To be called before another thread takes over its id. */
export function reclaimConnections(table: SharedArrayBuffer, threadId: number): number {
  const counts = new Int32Array(table)
  const share = Atomics.exchange(counts, threadId * stride, 0)
  Atomics.sub(counts, total, share)
  return share
}
