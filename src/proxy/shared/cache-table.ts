/**
 * Stored answers of one zone in shared memory: what one thread stored, every other finds, and what one purges is gone for
 * all. A bounded hash table of entries over small pages; the entry that was not used for the longest time makes room.
 *
 * One lock guards a zone. It is held for the copy of an entry, and names its owner: when a thread dies inside, the control
 * thread empties the zone, because its lists may be half changed.
 */

/** Bytes of a page; an entry takes whole pages. */
const pageSize = 1024
/** Words of the header. */
const at = {
  lock: 0,
  freePage: 1,
  usedPages: 2,
  freeEntry: 3,
  usedEntries: 4,
  newest: 5,
  oldest: 6,
  entries: 7,
  takenPages: 8,
} as const
const headerWords = 16
/** Words of an entry: eight of its digest, then these. */
const digestWords = 8
const entry = { next: 8, newer: 9, older: 10, page: 11, length: 12, owner: 13 } as const
const entryWords = 14
const spinsBeforeSleep = 200
const sleepMs = 1

/** No larger part of a zone for one entry, and no more bytes: an entry is copied while the zone is locked. */
const largestShare = 4
const largestEntry = 8 * 1024 * 1024

interface Layout {
  readonly pages: number
  readonly buckets: number
  readonly bucketsAt: number
  readonly entriesAt: number
  readonly linksAt: number
  readonly dataAt: number
  readonly bytes: number
}

/** @param size bytes for entries; their index comes on top */
function layoutOf(size: number): Layout {
  const pages = Math.max(16, Math.floor(size / pageSize))
  const buckets = 2 ** Math.ceil(Math.log2(pages))
  const bucketsAt = headerWords
  const entriesAt = bucketsAt + buckets
  const linksAt = entriesAt + (pages + 1) * entryWords
  const dataAt = (linksAt + pages + 1) * 4
  return { pages, buckets, bucketsAt, entriesAt, linksAt, dataAt, bytes: dataAt + pages * pageSize }
}

/** Memory for a zone that holds `size` bytes of entries. What is not used of it is not taken from the machine. */
export function createCacheTable(size: number): SharedArrayBuffer {
  return new SharedArrayBuffer(layoutOf(size).bytes)
}

/** Empties a zone that a dead thread left locked. To be called before another thread takes over its id. */
export function releaseCacheLock(table: SharedArrayBuffer, size: number, threadId: number): void {
  const words = new Int32Array(table, 0, headerWords)
  if (Atomics.load(words, at.lock) !== threadId) return
  new CacheTable(table, size, threadId).reset()
  Atomics.store(words, at.lock, 0)
}

/** One thread's access to a zone. Digests are 32 bytes. Numbers of pages and entries count from 1; 0 is none. */
export class CacheTable {
  readonly #layout: Layout
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #threadId: number

  /**
   * @param size as `createCacheTable` got it
   * @param threadId from 1 on, and of no other live thread
   */
  constructor(table: SharedArrayBuffer, size: number, threadId: number) {
    this.#layout = layoutOf(size)
    this.#words = new Int32Array(table, 0, this.#layout.dataAt / 4)
    this.#bytes = new Uint8Array(table, this.#layout.dataAt)
    this.#threadId = threadId
  }

  get count(): number {
    return Atomics.load(this.#words, at.entries)
  }

  /** Bytes that one entry may have at most. */
  get largest(): number {
    return Math.min(largestEntry, Math.floor(this.#layout.pages / largestShare) * pageSize)
  }

  /** A copy of what is stored; null for nothing. */
  get(digest: Buffer): Buffer | null {
    this.#lock()
    try {
      const found = this.#find(digest)
      if (found === 0) return null
      this.#unlink(found)
      this.#linkNewest(found)
      return this.#read(found)
    } finally {
      this.#unlock()
    }
  }

  /**
   * Stores the pieces as one entry, in place of one with that digest.
   * @param owner tag of the resource that it goes with
   * @returns false when it is too large
   */
  put(digest: Buffer, pieces: readonly Buffer[], owner: number): boolean {
    let length = 0
    for (const piece of pieces) length += piece.length
    if (length > this.largest) return false
    this.#lock()
    try {
      const known = this.#find(digest)
      if (known !== 0) this.#drop(known)
      this.#makeRoom(Math.max(1, Math.ceil(length / pageSize)))
      const index = this.#takeEntry()
      const words = this.#words
      const base = this.#entry(index)
      for (let i = 0; i < digestWords; i++) words[base + i] = digest.readInt32LE(i * 4)
      const bucket = this.#bucket(digest)
      words[base + entry.next] = words[bucket]!
      words[bucket] = index
      words[base + entry.length] = length
      words[base + entry.owner] = owner
      words[base + entry.page] = this.#write(pieces)
      this.#linkNewest(index)
      words[at.entries]!++
      return true
    } finally {
      this.#unlock()
    }
  }

  remove(digest: Buffer): boolean {
    this.#lock()
    try {
      const found = this.#find(digest)
      if (found !== 0) this.#drop(found)
      return found !== 0
    } finally {
      this.#unlock()
    }
  }

  /** Forgets what one owner has. @returns how many entries that were */
  removeOwned(owner: number): number {
    const words = this.#words
    let removed = 0
    this.#lock()
    try {
      for (let index = words[at.newest]!; index !== 0; ) {
        const base = this.#entry(index)
        const older = words[base + entry.older]!
        if (words[base + entry.owner] === owner) {
          this.#drop(index)
          removed++
        }
        index = older
      }
      return removed
    } finally {
      this.#unlock()
    }
  }

  clear(): void {
    this.#lock()
    this.reset()
    this.#unlock()
  }

  /** Empties the zone; for whoever holds its lock. */
  reset(): void {
    const { bucketsAt, buckets } = this.#layout
    this.#words.fill(0, 1, headerWords)
    this.#words.fill(0, bucketsAt, bucketsAt + buckets)
  }

  #bucket(digest: Buffer): number {
    const { bucketsAt, buckets } = this.#layout
    return bucketsAt + (digest.readUInt32LE(28) & (buckets - 1))
  }

  #entry(index: number): number {
    return this.#layout.entriesAt + index * entryWords
  }

  #find(digest: Buffer): number {
    const words = this.#words
    let index = words[this.#bucket(digest)]!
    while (index !== 0) {
      const base = this.#entry(index)
      let i = 0
      while (i < digestWords && words[base + i] === digest.readInt32LE(i * 4)) i++
      if (i === digestWords) return index
      index = words[base + entry.next]!
    }
    return 0
  }

  #read(index: number): Buffer {
    const words = this.#words
    const base = this.#entry(index)
    const length = words[base + entry.length]!
    const copy = Buffer.allocUnsafe(length)
    let page = words[base + entry.page]!
    for (let from = 0; from < length; from += pageSize) {
      const start = (page - 1) * pageSize
      copy.set(this.#bytes.subarray(start, start + Math.min(pageSize, length - from)), from)
      page = words[this.#layout.linksAt + page]!
    }
    return copy
  }

  /** @returns the first page */
  #write(pieces: readonly Buffer[]): number {
    const words = this.#words
    const { linksAt } = this.#layout
    const first = this.#takePage()
    let page = first
    let used = 0
    for (const piece of pieces) {
      for (let from = 0; from < piece.length; ) {
        if (used === pageSize) {
          const next = this.#takePage()
          words[linksAt + page] = next
          page = next
          used = 0
        }
        const size = Math.min(pageSize - used, piece.length - from)
        this.#bytes.set(piece.subarray(from, from + size), (page - 1) * pageSize + used)
        from += size
        used += size
      }
    }
    words[linksAt + page] = 0
    return first
  }

  #makeRoom(pages: number): void {
    const words = this.#words
    while (this.#layout.pages - words[at.takenPages]! < pages) this.#drop(words[at.oldest]!)
  }

  /** From those that came back, or the next that was never used. */
  #takePage(): number {
    const words = this.#words
    words[at.takenPages]!++
    const free = words[at.freePage]!
    if (free === 0) return ++words[at.usedPages]!
    words[at.freePage] = words[this.#layout.linksAt + free]!
    return free
  }

  #takeEntry(): number {
    const words = this.#words
    const free = words[at.freeEntry]!
    if (free === 0) return ++words[at.usedEntries]!
    words[at.freeEntry] = words[this.#entry(free) + entry.next]!
    return free
  }

  #drop(index: number): void {
    const words = this.#words
    const base = this.#entry(index)
    this.#leaveBucket(index)
    this.#unlink(index)
    let page = words[base + entry.page]!
    while (page !== 0) {
      const next = words[this.#layout.linksAt + page]!
      words[this.#layout.linksAt + page] = words[at.freePage]!
      words[at.freePage] = page
      words[at.takenPages]!--
      page = next
    }
    words[base + entry.next] = words[at.freeEntry]!
    words[at.freeEntry] = index
    words[at.entries]!--
  }

  #leaveBucket(index: number): void {
    const words = this.#words
    const { bucketsAt, buckets } = this.#layout
    const base = this.#entry(index)
    let link = bucketsAt + (words[base + digestWords - 1]! & (buckets - 1))
    while (words[link] !== index) link = this.#entry(words[link]!) + entry.next
    words[link] = words[base + entry.next]!
  }

  #linkNewest(index: number): void {
    const words = this.#words
    const base = this.#entry(index)
    const newest = words[at.newest]!
    words[base + entry.newer] = 0
    words[base + entry.older] = newest
    if (newest === 0) words[at.oldest] = index
    else words[this.#entry(newest) + entry.newer] = index
    words[at.newest] = index
  }

  #unlink(index: number): void {
    const words = this.#words
    const base = this.#entry(index)
    const newer = words[base + entry.newer]!
    const older = words[base + entry.older]!
    if (newer === 0) words[at.newest] = older
    else words[this.#entry(newer) + entry.older] = older
    if (older === 0) words[at.oldest] = newer
    else words[this.#entry(older) + entry.newer] = newer
  }

  #lock(): void {
    const words = this.#words
    for (let spins = 0; Atomics.compareExchange(words, at.lock, 0, this.#threadId) !== 0; spins++) {
      // Nobody notifies: this is a sleep of a bounded time, ended early when the owner changes before it begins.
      if (spins >= spinsBeforeSleep) Atomics.wait(words, at.lock, Atomics.load(words, at.lock), sleepMs)
    }
  }

  #unlock(): void {
    Atomics.store(this.#words, at.lock, 0)
  }
}
