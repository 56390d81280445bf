/**
 * Small records by key, one set for all threads of the process: what policies learn and cannot tell from the plan. They
 * stand in buckets, each with a lock, and in a full one the record that was written longest ago makes room.
 */
import { randomBytes } from 'node:crypto'
import { KeyHash } from './key-hash.ts'
import { lock } from './lock.ts'
import { ownerTag, tagOf } from './owner-tag.ts'

/*
 * Layout, in 32-bit words: a header, then buckets. A bucket is
 *   [lock] and padding, then for each record [hash] [hash] [owner] [time of writing + 1] [value] x 4
 * A record whose time is 0 is free.
 */
const recordsPerBucket = 16
const recordWords = 8
const headerWords = 16
const bucketWords = headerWords + recordsPerBucket * recordWords
const bucketsWord = 2
const usedWord = 3
const ownerAt = 2
const writtenAt = 3
const valuesAt = 4

/** Room for that many; pages that are never used cost nothing. */
const defaultRecords = 16 * 1024

/** @param records a power of two from 16 on */
export function createRecordTable(records: number = defaultRecords): SharedArrayBuffer {
  const buckets = records / recordsPerBucket
  const table = new SharedArrayBuffer((headerWords + buckets * bucketWords) * Int32Array.BYTES_PER_ELEMENT)
  const words = new Int32Array(table)
  const seed = randomBytes(8)
  words[0] = seed.readInt32LE(0)
  words[1] = seed.readInt32LE(4)
  words[bucketsWord] = buckets
  return table
}

/** Opens every lock that a dead thread holds. To be called before another thread takes over its id. */
export function releaseRecordLocks(table: SharedArrayBuffer, threadId: number): void {
  const words = new Int32Array(table)
  for (let bucket = headerWords; bucket < words.length; bucket += bucketWords)
    Atomics.compareExchange(words, bucket, threadId, 0)
}

/** One thread's access to the table. */
export class Records {
  /** Where the four values of an opened record are, from `open` to `close`. */
  readonly words: Int32Array
  readonly #threadId: number
  readonly #hash: KeyHash
  #bucket = 0

  /** `threadId` is above 0 and belongs to no other live thread. */
  constructor(table: SharedArrayBuffer, threadId: number) {
    this.words = new Int32Array(table)
    this.#threadId = threadId
    this.#hash = new KeyHash(this.words[0]!, this.words[1]!)
  }

  /** Records in use. */
  get size(): number {
    return Atomics.load(this.words, usedWord)
  }

  /**
   * Locks the record of that key until `close`, which has to follow.
   *
   * @param key begins with `ANY:OWNER:`, where the owner is two words with a colon between them (`route:1`)
   * @param second of a clock that all threads share, from 0 on
   * @returns where its values begin; they are 0 at first
   */
  open(key: string, second: number): number {
    const known = this.find(key)
    if (known >= 0) {
      this.words[known - valuesAt + writtenAt] = second + 1
      return known
    }
    const at = this.#freeRecord()
    const { low, high } = this.#hash
    const { words } = this
    words.fill(0, at, at + recordWords)
    words[at] = low
    words[at + 1] = high
    words[at + ownerAt] = ownerTag(key)
    words[at + writtenAt] = second + 1
    return at + valuesAt
  }

  /** The same for a record that there is; -1: there is none. `close` has to follow in either case. */
  find(key: string): number {
    const { words } = this
    this.#hash.update(key)
    const { low, high } = this.#hash
    const bucket = headerWords + (high & (words[bucketsWord]! - 1)) * bucketWords
    this.#bucket = bucket
    lock(words, bucket, this.#threadId)
    const end = bucket + bucketWords
    for (let at = bucket + headerWords; at < end; at += recordWords) {
      if (words[at] === low && words[at + 1] === high && words[at + writtenAt] !== 0) return at + valuesAt
    }
    return -1
  }

  close(): void {
    Atomics.store(this.words, this.#bucket, 0)
  }

  /** Forgets an opened record, which stays locked. */
  remove(values: number): void {
    this.words[values - valuesAt + writtenAt] = 0
    Atomics.sub(this.words, usedWord, 1)
  }

  /** Forgets the records of that owner, or all. @returns how many there were */
  clear(owner?: string): number {
    const { words } = this
    const tag = owner === undefined ? undefined : tagOf(owner)
    let cleared = 0
    for (let bucket = headerWords; this.size > 0 && bucket < words.length; bucket += bucketWords) {
      lock(words, bucket, this.#threadId)
      for (let at = bucket + headerWords; at < bucket + bucketWords; at += recordWords) {
        if (words[at + writtenAt] === 0 || (tag !== undefined && words[at + ownerAt] !== tag)) continue
        this.remove(at + valuesAt)
        cleared++
      }
      Atomics.store(words, bucket, 0)
    }
    return cleared
  }

  #freeRecord(): number {
    const { words } = this
    let oldest = this.#bucket + headerWords
    for (let at = oldest; at < this.#bucket + bucketWords; at += recordWords) {
      if (words[at + writtenAt] === 0) {
        Atomics.add(words, usedWord, 1)
        return at
      }
      if (words[at + writtenAt]! < words[oldest + writtenAt]!) oldest = at
    }
    return oldest
  }
}
