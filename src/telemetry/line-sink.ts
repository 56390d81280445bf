/** Lines on their way to a file or to standard output: collected in memory and written in batches, off the request path. */
import { close, constants, fstat, open, write } from 'node:fs'
import { promisify } from 'node:util'

const openFile = promisify(open)
const closeFile = promisify(close)
const fileStatus = promisify(fstat)
const writeFile = promisify(write)

/** Takes `count` whole lines of UTF-8, each with its line feed. The bytes are the caller's again when it resolves. */
export interface LineDestination {
  write(lines: Buffer, count: number): Promise<void>
  /** The file may have been renamed: go on with a new one of the same name. */
  reopen(): Promise<void>
  close(): Promise<void>
}

export interface LineSinkOptions {
  /** Bytes that are written at once rather than after `flushMs`. */
  batchSize?: number
  /** Longest time a line waits for others; 0: for those of the same turn of the event loop. */
  flushMs?: number
  /** Bytes that may wait while the destination is busy; further lines are dropped and counted. */
  queueSize?: number
  /** Called at the first failure of a row. The lines that it cost count as dropped. */
  onError?: (error: Error) => void
  /** Called with the number of lines that were lost. */
  onDrop?: (lines: number) => void
}

export class LineSink {
  readonly #destination: LineDestination
  readonly #batchSize: number
  readonly #flushMs: number
  readonly #queueSize: number
  readonly #onError: ((error: Error) => void) | undefined
  readonly #onDrop: ((lines: number) => void) | undefined
  /** Lines are encoded as they come: text that waits would be copied by every garbage collection in between. */
  #batch: Buffer | undefined
  #used = 0
  #lines = 0
  /** Batches that are full, in order, behind the one that is being written. */
  readonly #full: { bytes: Buffer; lines: number }[] = []
  #waiting = 0
  #spare: Buffer | undefined
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Immediate | undefined
  /** A batch is being written, and the next one follows by itself. */
  #busy = false
  /** Everything that uses the destination, one after the other. Never rejects. */
  #turns: Promise<void> = Promise.resolve()
  #failing = false
  #dropped = 0

  constructor(destination: LineDestination, options: LineSinkOptions = {}) {
    this.#destination = destination
    this.#batchSize = options.batchSize ?? 192 * 1024
    this.#flushMs = options.flushMs ?? 200
    this.#queueSize = options.queueSize ?? 8 * 1024 * 1024
    this.#onError = options.onError
    this.#onDrop = options.onDrop
  }

  /** Lines lost because the destination was too slow or failed. */
  get dropped(): number {
    return this.#dropped
  }

  /**
   * `line` comes without its line feed and holds none, unless it is several lines; then `count` tells how many.
   * Never blocks and never throws.
   */
  write(line: string, count = 1): void {
    if (this.#waiting + line.length >= this.#queueSize) {
      this.#drop(count)
      return
    }
    const longest = line.length * 3 + 1
    if (this.#used + longest > batchBytes) this.#seal()
    if (longest > batchBytes) {
      const bytes = Buffer.from(`${line}\n`)
      this.#full.push({ bytes, lines: count })
      this.#waiting += bytes.length
    } else this.#append(line, count)
    if (this.#waiting >= this.#batchSize) this.#begin()
    else if (this.#flushMs > 0) this.#timer ??= setTimeout(() => this.#due(), this.#flushMs)
    else this.#soon ??= setImmediate(() => this.#due())
  }

  /** Everything written so far has reached the destination, or was dropped. */
  flush(): Promise<void> {
    return this.#next(() => this.#writeWaiting())
  }

  /** Goes on with a new file once it resolves; lines written before the call go to the old one. */
  reopen(): Promise<void> {
    this.flush()
    return this.#next(() => this.#guard(this.#destination.reopen(), 0))
  }

  close(): Promise<void> {
    this.flush()
    return this.#next(() => this.#guard(this.#destination.close(), 0))
  }

  #next(turn: () => Promise<void>): Promise<void> {
    this.#turns = this.#turns.then(turn)
    return this.#turns
  }

  #append(line: string, count: number): void {
    this.#batch ??= this.#spare ?? Buffer.allocUnsafeSlow(batchBytes)
    if (this.#batch === this.#spare) this.#spare = undefined
    const start = this.#used
    this.#used += this.#batch.write(line, start)
    this.#batch[this.#used++] = 0x0a
    this.#lines += count
    this.#waiting += this.#used - start
  }

  #seal(): void {
    if (this.#batch === undefined) return
    this.#full.push({ bytes: this.#batch.subarray(0, this.#used), lines: this.#lines })
    this.#batch = undefined
    this.#used = 0
    this.#lines = 0
  }

  #due(): void {
    this.#timer = undefined
    this.#soon = undefined
    this.#begin()
  }

  #begin(): void {
    if (this.#busy) return
    this.#busy = true
    this.#next(async () => {
      await this.#writeWaiting()
      this.#busy = false
      // What came meanwhile waits for its own batch to fill or its own time, else each write would carry a few lines.
      const due = this.#waiting > 0 && this.#timer === undefined && this.#soon === undefined
      if (due || this.#waiting >= this.#batchSize) this.#begin()
    })
  }

  async #writeWaiting(): Promise<void> {
    clearTimeout(this.#timer)
    clearImmediate(this.#soon)
    this.#timer = undefined
    this.#soon = undefined
    this.#seal()
    this.#waiting = 0
    for (const { bytes, lines } of this.#full.splice(0)) {
      await this.#guard(this.#destination.write(bytes, lines), lines)
      if (bytes.buffer.byteLength === batchBytes) this.#spare = Buffer.from(bytes.buffer)
    }
  }

  async #guard(work: Promise<void>, lines: number): Promise<void> {
    try {
      await work
      this.#failing = false
    } catch (error) {
      if (lines > 0) this.#drop(lines)
      if (!this.#failing) this.#onError?.(error as Error)
      this.#failing = true
    }
  }

  #drop(lines: number): void {
    this.#dropped += lines
    this.#onDrop?.(lines)
  }
}

/** Size of the buffers that lines are collected in. */
const batchBytes = 256 * 1024
/** Largest write that a pipe takes in one piece beside other writers (PIPE_BUF of Linux; POSIX promises 512). */
const pipeBuffer = 4096
const retryMs = 10

/**
 * A file that several threads and processes may append to: O_APPEND and one `write` for a batch keep lines whole.
 * On a pipe or a terminal that holds up to 4096 bytes, so batches are cut there, between lines.
 */
export class FileDestination implements LineDestination {
  readonly #path: string
  #file: Promise<{ fd: number; largestWrite: number }> | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** Before the first line: what it costs is not waited for then. A failure shows when a line is written. */
  prepare(): void {
    this.#file ??= this.#open()
    this.#file.catch(() => {})
  }

  async write(lines: Buffer): Promise<void> {
    this.#file ??= this.#open()
    const { fd, largestWrite } = await this.#file
    await writeLines(fd, lines, largestWrite)
  }

  async reopen(): Promise<void> {
    await this.close()
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) await closeFile((await file).fd)
  }

  async #open(): Promise<{ fd: number; largestWrite: number }> {
    try {
      // Without O_NONBLOCK a named pipe that nobody reads would hold one of the few file system threads for ever.
      const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants
      const fd = await openFile(this.#path, O_APPEND | O_CREAT | O_NONBLOCK | O_WRONLY, 0o640)
      return { fd, largestWrite: await largestWriteOf(fd) }
    } catch (error) {
      // The next batch tries again: the folder may be there by then.
      this.#file = undefined
      throw error
    }
  }
}

/** An open descriptor that has one writer in this process, such as standard output. It is never closed. */
export class DescriptorDestination implements LineDestination {
  readonly #fd: number

  constructor(fd: number) {
    this.#fd = fd
  }

  async write(lines: Buffer): Promise<void> {
    await writeLines(this.#fd, lines, Number.POSITIVE_INFINITY)
  }

  async reopen(): Promise<void> {}

  async close(): Promise<void> {}
}

async function largestWriteOf(fd: number): Promise<number> {
  return (await fileStatus(fd)).isFile() ? Number.POSITIVE_INFINITY : pipeBuffer
}

async function writeLines(fd: number, lines: Buffer, largestWrite: number): Promise<void> {
  let start = 0
  while (start < lines.length) {
    const end = endOfBatch(lines, start, largestWrite)
    // A short write (a full disk, a full pipe) goes on where it stopped.
    while (start < end) start += await writeSome(fd, lines, start, end)
  }
}

function endOfBatch(lines: Buffer, start: number, largestWrite: number): number {
  if (lines.length - start <= largestWrite) return lines.length
  const lastInside = lines.lastIndexOf(0x0a, start + largestWrite - 1)
  if (lastInside >= start) return lastInside + 1
  return lines.indexOf(0x0a, start) + 1
}

async function writeSome(fd: number, lines: Buffer, start: number, end: number): Promise<number> {
  try {
    const { bytesWritten } = await writeFile(fd, lines, start, end - start, null)
    return bytesWritten
  } catch (error) {
    // A non-blocking pipe is full for now.
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    await new Promise((resolve) => setTimeout(resolve, retryMs))
    return 0
  }
}
