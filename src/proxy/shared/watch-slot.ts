/**
 * What a data thread leaves behind for the control thread while it is too busy to answer: a count that goes on while its
 * event loop turns, the code of the operator that it is in, and the code that something is still awaited from.
 */
const beats = 0
const held = 1
const pending = 2

/** Names that are told apart at a time; while all are taken, others share the last one. */
const mostLabels = 256
const sharedLabel = mostLabels - 1

export function createWatchMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((pending + mostLabels) * Int32Array.BYTES_PER_ELEMENT)
}

/** Of the data thread. */
export class WatchSlot {
  readonly #cells: Int32Array
  readonly #labels = new Map<string, number>()
  /** Labels of names that are gone, the one that has been free the longest first. */
  readonly #free: number[] = []
  #used = 0
  readonly #announce: (label: number, name: string) => void

  /** @param announce tells the control thread what a label stands for, before it is used */
  constructor(memory: SharedArrayBuffer, announce: (label: number, name: string) => void) {
    this.#cells = new Int32Array(memory)
    this.#announce = announce
  }

  beat(): void {
    Atomics.add(this.#cells, beats, 1)
  }

  /** Stands for that name from now on; from 1. */
  label(name: string): number {
    const known = this.#labels.get(name)
    if (known !== undefined) return known
    const label = this.#unused()
    if (label === undefined) {
      this.#announce(sharedLabel, 'one of many')
      return sharedLabel
    }
    this.#labels.set(name, label)
    this.#announce(label, name)
    return label
  }

  /**
   * Frees the labels of names that nothing goes by any more. Calls that are under way keep theirs: a label that something
   * is awaited from is not given away, and the others go round all that are free.
   */
  retain(isUsed: (name: string) => boolean): void {
    for (const [name, label] of this.#labels) {
      if (isUsed(name)) continue
      this.#labels.delete(name)
      this.#free.push(label)
    }
  }

  #unused(): number | undefined {
    if (this.#used + 1 < sharedLabel) return ++this.#used
    const index = this.#free.findIndex((label) => Atomics.load(this.#cells, pending + label) === 0)
    return index === -1 ? undefined : this.#free.splice(index, 1)[0]
  }

  /** @returns for `leave` */
  enter(label: number): number {
    return Atomics.exchange(this.#cells, held, label)
  }

  leave(before: number): void {
    Atomics.store(this.#cells, held, before)
  }

  await(label: number): void {
    Atomics.add(this.#cells, pending + label, 1)
  }

  settle(label: number): void {
    Atomics.sub(this.#cells, pending + label, 1)
  }
}

/** What is read there. */
export interface WatchReading {
  beats: number
  /** 0: none. */
  held: number
  /** That something is awaited from. */
  awaited: number[]
}

export function readWatch(memory: SharedArrayBuffer): WatchReading {
  const cells = new Int32Array(memory)
  const awaited: number[] = []
  for (let label = 1; label < mostLabels; label++)
    if (Atomics.load(cells, pending + label) > 0) awaited.push(label)
  return { beats: Atomics.load(cells, beats), held: Atomics.load(cells, held), awaited }
}
