/**
 * What the threads of a process know together about the load of upstreams and their endpoints: whose turn it is, what is
 * under way, how fast answers came. A thread claims a cell by name and shares it with all that claim the same name; a
 * cell is free again when the last of them let go of it. So nobody has to hand cells out, and what an endpoint has under
 * way is known still when it leaves an upstream for a moment, or when its upstream is written anew.
 *
 * Sums are kept beside every thread's own share of them: a balancer reads a sum with one load however many threads there
 * are, a limit is decided by one atomic addition, and the share of a thread that died is taken out again.
 */
import { randomBytes } from 'node:crypto'
import { KeyHash } from './key-hash.ts'
import { lock } from './lock.ts'

/*
 * Layout, in 32-bit words: a header, a lock for each bucket, the cells, and then for each thread a share for each cell.
 * A cell has a cache line, because different threads write neighbours at the same time:
 *   [hash] [hash] [claims] [turns] [sums] x 4 [value: float64] [its time: float64] [refusals] x 4
 * A share is [sums] x 4 [claimed] and padding. A cell without claims is free.
 */
const cellsPerBucket = 16
const cellWords = 16
const shareWords = 8
const headerWords = 16
const threadsWord = 2
const cellsWord = 3
const refusedClaimsWord = 4

const claimsAt = 2
const turnsAt = 3
const sumsAt = 4
const valueAt = 8
const timeAt = 10
const refusalsAt = 12
const sumCount = 4
const claimedAt = 4

/** What is summed up in a cell. */
export const loadSum = {
  /** Attempts under way. */
  requests: 0,
  /** Connections that are being opened. */
  pending: 1,
  /** Connections that are open, or being opened. */
  connections: 2,
  /** Attempts under way that are not the first of their request. */
  retries: 3,
} as const
export type LoadSum = (typeof loadSum)[keyof typeof loadSum]

/** Room for that many upstreams and endpoints with something to share. Pages that are never used cost nothing. */
const defaultCells = 32 * 1024

const controlThread = 0x7fff_ffff

/** @param cells a power of two from 16 on */
export function createLoadTable(threads: number, cells: number = defaultCells): SharedArrayBuffer {
  const words = firstCell(cells) + cells * (cellWords + threads * shareWords)
  const table = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT)
  const header = new Int32Array(table)
  const seed = randomBytes(8)
  header[0] = seed.readInt32LE(0)
  header[1] = seed.readInt32LE(4)
  header[threadsWord] = threads
  header[cellsWord] = cells
  return table
}

function firstCell(cells: number): number {
  return Math.ceil((headerWords + cells / cellsPerBucket) / cellWords) * cellWords
}

/** Where things stand in a table. */
class Layout {
  readonly words: Int32Array
  readonly threads: number
  readonly cells: number
  private readonly firstCell: number

  constructor(table: SharedArrayBuffer) {
    this.words = new Int32Array(table)
    this.threads = this.words[threadsWord]!
    this.cells = this.words[cellsWord]!
    this.firstCell = firstCell(this.cells)
  }

  lockOf(bucket: number): number {
    return headerWords + bucket
  }

  cell(index: number): number {
    return this.firstCell + index * cellWords
  }

  share(threadId: number, index: number): number {
    return this.cell(this.cells) + ((threadId - 1) * this.cells + index) * shareWords
  }
}

/** One cell as one thread has it. */
export class LoadCell {
  /** -1: a cell that no other thread shares. */
  readonly index: number
  readonly #words: Int32Array
  readonly #floats: Float64Array
  readonly #at: number
  /** Written by this thread alone; read by the control thread when this one is dead. */
  readonly #share: number
  /** No other thread writes to the cell: then plain arithmetic does, which costs a fifth. */
  readonly #sole: boolean

  constructor(
    index: number,
    words: Int32Array,
    floats: Float64Array,
    at: number,
    share: number,
    sole: boolean,
  ) {
    this.index = index
    this.#words = words
    this.#floats = floats
    this.#at = at
    this.#share = share
    this.#sole = sole
  }

  /** A cell of the calling thread alone. */
  static alone(turn = 0): LoadCell {
    const words = new Int32Array(cellWords + shareWords)
    words[turnsAt] = turn
    return new LoadCell(-1, words, new Float64Array(words.buffer), 0, cellWords, true)
  }

  /**
   * Takes `count` turns at once, or gives them back.
   * @returns the first of them; turns count from 0 to 2^31 - 1, and on from 0
   */
  takeTurns(count: number): number {
    return this.#add(this.#at + turnsAt, count) & 0x7fff_ffff
  }

  /** Adds to a sum. @returns the sum before */
  add(sum: LoadSum, count: number): number {
    this.#words[this.#share + sum]! += count
    return this.#add(this.#at + sumsAt + sum, count)
  }

  #add(word: number, count: number): number {
    const words = this.#words
    if (!this.#sole) return Atomics.add(words, word, count)
    const before = words[word]!
    words[word] = before + count
    return before
  }

  /** Adds one unless the sum is at `limit` already; that is counted as a refusal. */
  addWithin(sum: LoadSum, limit: number): boolean {
    if (Atomics.add(this.#words, this.#at + sumsAt + sum, 1) >= limit) {
      Atomics.sub(this.#words, this.#at + sumsAt + sum, 1)
      Atomics.add(this.#words, this.#at + refusalsAt + sum, 1)
      return false
    }
    this.#words[this.#share + sum]! += 1
    return true
  }

  /**
   * Adds one unless the sum is at `limit`. Unlike `addWithin` it never goes beyond for a moment, so that no other thread
   * is refused what there is room for.
   * @returns the sum then; 0: it is at the limit
   */
  addUpTo(sum: LoadSum, limit: number): number {
    const words = this.#words
    const word = this.#at + sumsAt + sum
    for (let known = Atomics.load(words, word); known < limit; ) {
      const before = Atomics.compareExchange(words, word, known, known + 1)
      if (before === known) {
        words[this.#share + sum]! += 1
        return known + 1
      }
      known = before
    }
    return 0
  }

  sum(sum: LoadSum): number {
    return Atomics.load(this.#words, this.#at + sumsAt + sum)
  }

  refusals(sum: LoadSum): number {
    return Atomics.load(this.#words, this.#at + refusalsAt + sum) >>> 0
  }

  /** A number and the time it was set, both 0 at first. Of two threads that set it at the same moment, one is lost. */
  get value(): number {
    return this.#floats[(this.#at + valueAt) / 2]!
  }

  get time(): number {
    return this.#floats[(this.#at + timeAt) / 2]!
  }

  setValue(value: number, time: number): void {
    this.#floats[(this.#at + valueAt) / 2] = value
    this.#floats[(this.#at + timeAt) / 2] = time
  }
}

/** One thread's access to the table. */
export class LoadTable {
  readonly #layout: Layout
  readonly #floats: Float64Array
  readonly #threadId: number
  readonly #hash: KeyHash

  /** @param threadId from 1 on, and of no other live thread */
  constructor(table: SharedArrayBuffer, threadId: number) {
    this.#layout = new Layout(table)
    this.#floats = new Float64Array(table)
    this.#threadId = threadId
    this.#hash = new KeyHash(this.#layout.words[0]!, this.#layout.words[1]!)
  }

  /** Data threads that share the table. */
  get threads(): number {
    return this.#layout.threads
  }

  /**
   * The cell of that name, for this thread until `release`, once for each claim. Where no room is left it is one that the
   * thread has for itself; see `refusedClaims`.
   */
  claim(name: string): LoadCell {
    const { words } = this.#layout
    const { low, high, bucket } = hashOf(this.#hash, name, this.#layout)
    lock(words, this.#layout.lockOf(bucket), this.#threadId)
    let index = findCell(this.#layout, bucket, low, high)
    if (index < 0) {
      index = freeCell(this.#layout, bucket)
      if (index >= 0) {
        const at = this.#layout.cell(index)
        words.fill(0, at, at + cellWords)
        words[at] = low
        words[at + 1] = high
        words[at + turnsAt] = someTurn()
      }
    }
    if (index >= 0) this.#count(index, 1)
    else Atomics.add(words, refusedClaimsWord, 1)
    Atomics.store(words, this.#layout.lockOf(bucket), 0)
    return index < 0 ? LoadCell.alone(someTurn()) : this.#cell(index)
  }

  /** Takes out of the cell's sums what this thread still has in them, with its last claim. */
  release(cell: LoadCell): void {
    const { index } = cell
    if (index < 0) return
    const { words } = this.#layout
    const lockWord = this.#layout.lockOf(Math.floor(index / cellsPerBucket))
    lock(words, lockWord, this.#threadId)
    this.#count(index, -1)
    if (words[this.#layout.share(this.#threadId, index) + claimedAt] === 0)
      withdraw(this.#layout, this.#threadId, index)
    Atomics.store(words, lockWord, 0)
  }

  #count(index: number, claims: number): void {
    const { words } = this.#layout
    words[this.#layout.cell(index) + claimsAt]! += claims
    words[this.#layout.share(this.#threadId, index) + claimedAt]! += claims
  }

  #cell(index: number): LoadCell {
    const layout = this.#layout
    const share = layout.share(this.#threadId, index)
    return new LoadCell(index, layout.words, this.#floats, layout.cell(index), share, layout.threads === 1)
  }
}

/** What others see of a cell. */
export interface LoadReading {
  /** By `loadSum`. */
  sums: readonly number[]
  /** By `loadSum`. */
  refusals: readonly number[]
  value: number
  time: number
}

/** For the control thread, which claims nothing and counts nothing. */
export class LoadReader {
  readonly #layout: Layout
  readonly #floats: Float64Array
  readonly #hash: KeyHash

  constructor(table: SharedArrayBuffer) {
    this.#layout = new Layout(table)
    this.#floats = new Float64Array(table)
    this.#hash = new KeyHash(this.#layout.words[0]!, this.#layout.words[1]!)
  }

  /** Undefined: no thread has claimed it. */
  read(name: string): LoadReading | undefined {
    const { low, high, bucket } = hashOf(this.#hash, name, this.#layout)
    const index = findCell(this.#layout, bucket, low, high)
    if (index < 0) return undefined
    const { words } = this.#layout
    const at = this.#layout.cell(index)
    return {
      sums: Array.from(words.subarray(at + sumsAt, at + sumsAt + sumCount)),
      refusals: Array.from(words.subarray(at + refusalsAt, at + refusalsAt + sumCount), (n) => n >>> 0),
      value: this.#floats[(at + valueAt) / 2]!,
      time: this.#floats[(at + timeAt) / 2]!,
    }
  }

  clearRefusals(name: string): void {
    const { low, high, bucket } = hashOf(this.#hash, name, this.#layout)
    const index = findCell(this.#layout, bucket, low, high)
    if (index < 0) return
    const at = this.#layout.cell(index) + refusalsAt
    for (let sum = 0; sum < sumCount; sum++) Atomics.store(this.#layout.words, at + sum, 0)
  }

  /** Claims that found no room, since the table was made. */
  get refusedClaims(): number {
    return Atomics.load(this.#layout.words, refusedClaimsWord) >>> 0
  }
}

/** Takes out everything that a dead thread held. To be called before another thread takes over its id. */
export function reclaimLoads(table: SharedArrayBuffer, threadId: number): void {
  const layout = new Layout(table)
  const { words } = layout
  for (let bucket = 0; bucket < layout.cells / cellsPerBucket; bucket++) {
    const lockWord = layout.lockOf(bucket)
    Atomics.compareExchange(words, lockWord, threadId, 0)
    for (let index = bucket * cellsPerBucket; index < (bucket + 1) * cellsPerBucket; index++) {
      const claimed = layout.share(threadId, index) + claimedAt
      if (words[claimed] === 0) continue
      lock(words, lockWord, controlThread)
      words[layout.cell(index) + claimsAt]! -= words[claimed]!
      words[claimed] = 0
      withdraw(layout, threadId, index)
      Atomics.store(words, lockWord, 0)
    }
  }
}

/** Somewhere in any cycle, so that gateways that start together do not all favour the first endpoint. */
function someTurn(): number {
  return Math.floor(Math.random() * 2 ** 31)
}

function hashOf(
  hash: KeyHash,
  name: string,
  { cells }: Layout,
): { low: number; high: number; bucket: number } {
  hash.update(name)
  const { low, high } = hash
  return { low, high, bucket: high & (cells / cellsPerBucket - 1) }
}

/** -1: none. */
function findCell(layout: Layout, bucket: number, low: number, high: number): number {
  const { words } = layout
  for (let index = bucket * cellsPerBucket; index < (bucket + 1) * cellsPerBucket; index++) {
    const at = layout.cell(index)
    if (words[at] === low && words[at + 1] === high && words[at + claimsAt]! > 0) return index
  }
  return -1
}

function freeCell(layout: Layout, bucket: number): number {
  for (let index = bucket * cellsPerBucket; index < (bucket + 1) * cellsPerBucket; index++) {
    if (layout.words[layout.cell(index) + claimsAt] === 0) return index
  }
  return -1
}

function withdraw(layout: Layout, threadId: number, index: number): void {
  const { words } = layout
  const sums = layout.cell(index) + sumsAt
  const share = layout.share(threadId, index)
  for (let sum = 0; sum < sumCount; sum++)
    Atomics.sub(words, sums + sum, Atomics.exchange(words, share + sum, 0))
}
