/** A thread that holds a lock may lose its core; from here on we give up ours rather than burn it. */
const spinsBeforeSleep = 200
const sleepMs = 0.05

/**
 * Waits until the word is 0 and writes the owner there; storing 0 gives it back. What it guards takes some hundred
 * nanoseconds. The owner lets the control thread open the locks of a thread that died.
 */
export function lock(words: Int32Array, at: number, owner: number): void {
  for (let spins = 0; Atomics.compareExchange(words, at, 0, owner) !== 0; spins++) {
    // Nobody notifies: this is a sleep of a bounded time, ended early when the owner changes before it begins.
    if (spins >= spinsBeforeSleep) Atomics.wait(words, at, Atomics.load(words, at), sleepMs)
  }
}
