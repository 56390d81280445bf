/** Where stored answers are kept: a zone in shared memory, or one on disk. Both are shared by all threads. */
import { CacheTable } from './cache-table.ts'

/** An entry: what is known about it, as text, and its body. Digests are 32 bytes. */
export interface StoredEntry {
  readonly meta: string
  /** Bytes of the body. */
  readonly length: number
  /** A piece of the body, given away. @throws Error when the body turns out to be damaged */
  read(from: number, to: number): Buffer
  close(): void
}

/** One of `commit` and `abort` ends it. */
export interface EntryWriter {
  /** @returns false when the body has become too large; then there is nothing left but `abort` */
  write(piece: Buffer): boolean
  /** From now on it is found. @returns false when it could not be stored */
  commit(digest: Buffer, meta: string): boolean
  abort(): void
}

export interface CacheStore {
  /** Null: there is none, or it is damaged. */
  get(digest: Buffer): StoredEntry | null
  /** Null: nothing can be stored now. */
  begin(): EntryWriter | null
  /** Changes what is known about an entry that `get` gave; where that cannot be done, the entry stays as it is. */
  setMeta(digest: Buffer, meta: string, entry: StoredEntry): void
  remove(digest: Buffer): boolean
}

/** A zone in shared memory. */
export class MemoryStore implements CacheStore {
  readonly #table: CacheTable
  readonly #owner: number

  /** @param owner tag of the resource that everything stored through this belongs to */
  constructor(table: SharedArrayBuffer, size: number, threadId: number, owner: number) {
    this.#table = new CacheTable(table, size, threadId)
    this.#owner = owner
  }

  get(digest: Buffer): StoredEntry | null {
    const bytes = this.#table.get(digest)
    if (bytes === null) return null
    const start = 4 + bytes.readUInt32LE(0)
    return {
      meta: bytes.toString('latin1', 4, start),
      length: bytes.length - start,
      read: (from, to) => bytes.subarray(start + from, start + to),
      close() {},
    }
  }

  begin(): EntryWriter {
    const pieces: Buffer[] = []
    let size = 0
    return {
      write: (piece) => {
        size += piece.length
        if (size > this.#table.largest) return false
        pieces.push(Buffer.from(piece))
        return true
      },
      commit: (digest, meta) => this.#put(digest, meta, pieces),
      abort() {},
    }
  }

  setMeta(digest: Buffer, meta: string, entry: StoredEntry): void {
    this.#put(digest, meta, [entry.read(0, entry.length)])
  }

  remove(digest: Buffer): boolean {
    return this.#table.remove(digest)
  }

  #put(digest: Buffer, meta: string, body: readonly Buffer[]): boolean {
    const head = Buffer.allocUnsafe(4 + meta.length)
    head.writeUInt32LE(meta.length)
    head.write(meta, 4, 'latin1')
    return this.#table.put(digest, [head, ...body], this.#owner)
  }
}
