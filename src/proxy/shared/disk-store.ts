/**
 * A zone on disk: a file for each entry, found by its digest, which outlives the process.
 *
 * An entry becomes visible with a rename, complete or not at all; checksums tell what was damaged since. Reads and writes
 * are synchronous, as nginx does them without `aio`: an entry that was used lately is in the page cache. What all threads
 * hold together is counted in shared memory; whoever goes beyond the limit removes what was not used for the longest time.
 */
import fs from 'node:fs'
import { readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { CacheStore, EntryWriter, StoredEntry } from './cache-store.ts'

const magic = Buffer.from('SLUICEC1')
/** Magic, bytes of the area for what is known, bytes in use there, its checksum, that of the body, its length, digest. */
const headSize = 64
const areaUnit = 512
/** What one read takes in; a body that is in there is checked before anything of it is used. */
const firstRead = 64 * 1024
/** Set aside for what is known about an entry with a large body. */
const largeArea = 32 * 1024
/** An entry's file is marked as used at most that often. */
const touchAfterMs = 60_000
/** Part of the limit that is left after a clean-up. */
const keptShare = 0.9

/** Shared by all threads. */
const cell = { usedKiB: 0, cleaner: 1, counter: 2 } as const

export function createDiskCounts(): SharedArrayBuffer {
  return new SharedArrayBuffer(16)
}

/** Lets another thread clean up where a dead one began to. */
export function releaseDiskCounts(counts: SharedArrayBuffer, threadId: number): void {
  const cells = new Int32Array(counts)
  Atomics.compareExchange(cells, cell.cleaner, threadId, 0)
  Atomics.compareExchange(cells, cell.counter, threadId, 0)
}

export interface DiskZone {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Characters of the digest for each level of folders, as nginx counts them: from its end. */
  readonly levels: readonly number[]
}

export interface DiskEvents {
  warn(fields: object, message: string): void
}

export class DiskStore implements CacheStore {
  readonly #zone: DiskZone
  readonly #counts: Int32Array
  readonly #threadId: number
  readonly #events: DiskEvents
  #files = 0
  /** The clean-up under way, for tests and for the end of the thread. */
  cleaning: Promise<void> = Promise.resolve()

  /** @throws Error when the folder cannot be used, or belongs to somebody else */
  constructor(zone: DiskZone, counts: SharedArrayBuffer, threadId: number, events: DiskEvents) {
    this.#zone = zone
    this.#counts = new Int32Array(counts)
    this.#threadId = threadId
    this.#events = events
    claimFolder(zone.path)
    if (Atomics.compareExchange(this.#counts, cell.counter, 0, threadId) === 0)
      this.cleaning = this.#clean(true)
  }

  get(digest: Buffer): StoredEntry | null {
    let file: number
    try {
      file = fs.openSync(this.#path(digest), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
    } catch {
      return null
    }
    try {
      const entry = readEntry(file, digest, () => this.remove(digest))
      if (entry !== null) return entry
    } catch (error) {
      this.#events.warn({ err: error, zone: this.#zone.path }, 'a stored answer cannot be read')
    }
    fs.closeSync(file)
    this.remove(digest)
    return null
  }

  begin(): EntryWriter | null {
    const path = join(this.#zone.path, `${process.pid}-${this.#threadId}-${this.#files++}.tmp`)
    let file: number
    try {
      file = fs.openSync(path, 'wx+', 0o600)
    } catch (error) {
      this.#events.warn({ err: error, zone: this.#zone.path }, 'an answer cannot be stored')
      return null
    }
    return this.#writer(path, file)
  }

  setMeta(digest: Buffer, meta: string, entry: StoredEntry): void {
    const { area, file, bodySum } = entry as DiskEntry
    if (meta.length > area) return
    const head = headOf(digest, area, meta, bodySum, entry.length)
    try {
      const writable = fs.openSync(this.#path(digest), 'r+')
      // Another answer may have taken its place since.
      if (fs.fstatSync(writable).ino === fs.fstatSync(file).ino)
        fs.writeSync(writable, head, 0, head.length, 0)
      fs.closeSync(writable)
    } catch (error) {
      this.#events.warn({ err: error, zone: this.#zone.path }, 'a stored answer cannot be marked as valid')
    }
  }

  remove(digest: Buffer): boolean {
    const path = this.#path(digest)
    try {
      const { size } = fs.lstatSync(path)
      fs.unlinkSync(path)
      this.#count(-size)
      return true
    } catch {
      return false
    }
  }

  #writer(path: string, file: number): EntryWriter {
    // A small body waits for what is known about it; the area of a large one is set aside before that is known.
    const pieces: Buffer[] = []
    let length = 0
    let sum = 0
    let broken = false
    const abort = () => {
      fs.closeSync(file)
      fs.rmSync(path, { force: true })
    }
    const bodyAt = (area: number) => headSize + area
    let area = 0
    return {
      write: (piece) => {
        if (broken || length + piece.length > this.#zone.size / 4) return false
        length += piece.length
        sum = crc32(piece, sum)
        if (area === 0 && length <= firstRead) {
          pieces.push(Buffer.from(piece))
          return true
        }
        try {
          if (area === 0) {
            area = areaFor(largeArea)
            fs.writeSync(file, Buffer.concat(pieces), 0, length - piece.length, bodyAt(area))
            pieces.length = 0
          }
          fs.writeSync(file, piece, 0, piece.length, bodyAt(area) + length - piece.length)
        } catch (error) {
          broken = true
          this.#events.warn({ err: error, zone: this.#zone.path }, 'an answer cannot be stored')
        }
        return !broken
      },
      commit: (digest, meta) => {
        try {
          if (area === 0) area = areaFor(meta.length + areaUnit)
          if (broken || meta.length > area) {
            abort()
            return false
          }
          const head = headOf(digest, area, meta, sum, length)
          const first =
            pieces.length === 0
              ? head
              : Buffer.concat([head, Buffer.alloc(bodyAt(area) - head.length), ...pieces])
          fs.writeSync(file, first, 0, first.length, 0)
          fs.ftruncateSync(file, bodyAt(area) + length)
          this.#publish(path, digest)
          fs.closeSync(file)
          this.#count(bodyAt(area) + length)
          return true
        } catch (error) {
          this.#events.warn({ err: error, zone: this.#zone.path }, 'an answer cannot be stored')
          abort()
          return false
        }
      },
      abort,
    }
  }

  #publish(temporary: string, digest: Buffer): void {
    const path = this.#path(digest)
    const before = fs.lstatSync(path, { throwIfNoEntry: false })
    try {
      fs.renameSync(temporary, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      fs.mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 })
      fs.renameSync(temporary, path)
    }
    if (before !== undefined) this.#count(-before.size)
  }

  #path(digest: Buffer): string {
    const name = digest.toString('hex')
    let end = name.length
    const folders = this.#zone.levels.map((length) => {
      end -= length
      return name.slice(end, end + length)
    })
    return join(this.#zone.path, ...folders, name)
  }

  #count(bytes: number): void {
    const kib = Math.sign(bytes) * Math.ceil(Math.abs(bytes) / 1024)
    const used = Atomics.add(this.#counts, cell.usedKiB, kib) + kib
    if (used * 1024 <= this.#zone.size) return
    if (Atomics.compareExchange(this.#counts, cell.cleaner, 0, this.#threadId) !== 0) return
    this.cleaning = this.#clean(false).finally(() => Atomics.store(this.#counts, cell.cleaner, 0))
  }

  /** Counts what there is, and removes what is too much; at the start also what an earlier process left unfinished. */
  async #clean(first: boolean): Promise<void> {
    try {
      const files: { path: string; size: number; usedAt: number }[] = []
      let total = 0
      for (const entry of await readdir(this.#zone.path, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue
        const path = join(entry.parentPath, entry.name)
        const found = await stat(path).catch(() => null)
        if (found === null) continue
        if (entry.name.endsWith('.tmp')) {
          if (first && !entry.name.startsWith(`${process.pid}-`)) await unlink(path).catch(() => {})
        } else if (/^[0-9a-f]{64}$/.test(entry.name)) {
          const size = Math.ceil(found.size / 1024)
          files.push({ path, size, usedAt: found.mtimeMs })
          total += size
        }
      }
      const limit = (this.#zone.size / 1024) * (total * 1024 > this.#zone.size ? keptShare : 1)
      files.sort((a, b) => a.usedAt - b.usedAt)
      for (const { path, size } of files) {
        if (total <= limit) break
        await unlink(path).catch(() => {})
        total -= size
      }
      Atomics.store(this.#counts, cell.usedKiB, total)
    } catch (error) {
      this.#events.warn({ err: error, zone: this.#zone.path }, 'a cache on disk cannot be cleaned up')
    }
  }
}

interface DiskEntry extends StoredEntry {
  readonly file: number
  readonly area: number
  readonly bodySum: number
}

/** @returns null when it is not what it should be; then the file stays open */
function readEntry(file: number, digest: Buffer, damaged: () => void): DiskEntry | null {
  const { size, mtimeMs } = fs.fstatSync(file)
  const first = Buffer.allocUnsafe(Math.min(size, firstRead + headSize + largeArea))
  if (fs.readSync(file, first, 0, first.length, 0) !== first.length || first.length < headSize) return null
  if (!first.subarray(0, 8).equals(magic) || !first.subarray(32, headSize).equals(digest)) return null
  const area = first.readUInt32LE(8)
  const metaLength = first.readUInt32LE(12)
  const bodySum = first.readUInt32LE(20)
  const length = Number(first.readBigUInt64LE(24))
  const bodyAt = headSize + area
  if (metaLength > area || size !== bodyAt + length || headSize + metaLength > first.length) return null
  const meta = first.subarray(headSize, headSize + metaLength)
  if (crc32(meta) !== first.readUInt32LE(16)) return null
  const isHere = bodyAt + length <= first.length
  if (isHere && crc32(first.subarray(bodyAt)) !== bodySum) return null
  if (Date.now() - mtimeMs > touchAfterMs) touch(file)
  let summed = 0
  let sum = 0
  let isOpen = true
  return {
    file,
    area,
    bodySum,
    meta: meta.toString('latin1'),
    length,
    read(from, to) {
      if (isHere) return first.subarray(bodyAt + from, bodyAt + to)
      const piece = Buffer.allocUnsafe(to - from)
      if (fs.readSync(file, piece, 0, piece.length, bodyAt + from) !== piece.length)
        throw new Error('a stored answer is shorter than it was')
      if (from === summed) {
        sum = crc32(piece, sum)
        summed = to
        if (summed === length && sum !== bodySum) {
          damaged()
          throw new Error('a stored answer is damaged')
        }
      }
      return piece
    },
    close() {
      if (!isOpen) return
      isOpen = false
      fs.closeSync(file)
    },
  }
}

function headOf(digest: Buffer, area: number, meta: string, bodySum: number, length: number): Buffer {
  const head = Buffer.alloc(headSize + meta.length)
  magic.copy(head)
  head.writeUInt32LE(area, 8)
  head.writeUInt32LE(meta.length, 12)
  head.write(meta, headSize, 'latin1')
  head.writeUInt32LE(crc32(head.subarray(headSize)), 16)
  head.writeUInt32LE(bodySum, 20)
  head.writeBigUInt64LE(BigInt(length), 24)
  digest.copy(head, 32)
  return head
}

function areaFor(bytes: number): number {
  return Math.ceil(bytes / areaUnit) * areaUnit
}

function touch(file: number): void {
  try {
    const now = new Date(Date.now())
    fs.futimesSync(file, now, now)
  } catch {
    // Only the order of removal depends on it.
  }
}

/** Others could put answers into a folder that they may write to. */
function claimFolder(path: string): void {
  fs.mkdirSync(path, { recursive: true, mode: 0o700 })
  const found = fs.lstatSync(path)
  const { uid, mode } = found
  if (!found.isDirectory()) throw new Error(`${path} is not a folder`)
  if (process.getuid !== undefined && uid !== process.getuid())
    throw new Error(`${path} belongs to another user`)
  if ((mode & 0o022) !== 0) throw new Error(`others can write to ${path}`)
}
