/**
 * One TCP connection as the HTTP/1 engine uses it: bytes in without an allocation, text and bytes out, back-pressure by
 * counts, one deadline. This is the only file that knows how Node's sockets are fed from a reused buffer.
 */
import net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { clock } from '../clock.ts'
import { highWater } from '../high-water.ts'
import type { Deadline, TimerWheel } from '../timer-wheel.ts'
import { readDirectly } from './direct-read.ts'
import { type DirectHandle, directHandle, internalsAreKnown, type PendingWrite } from './direct-write.ts'

/** Who gets what happens on a wire. Calls never nest: each comes from the event loop. */
export interface WireOwner {
  /** Bytes `[0, length)` of `bytes`, valid only during the call. */
  onBytes(bytes: Buffer, length: number): void
  /** The peer will send nothing more. */
  onEnd(): void
  /** Everything that was written has been taken over by the kernel, after a time when it had not. */
  onDrain(): void
  /** The connection is gone, whoever ended it. Always the last call. */
  onClose(error: Error | null): void
  onDeadline(now: number): void
}

/** One read's worth of bytes, and how much text is joined rather than written in two calls. */
export const readSize = 64 * 1024
const joinSize = 16 * 1024

/** Shared by all wires of a thread: what arrives is dealt with or copied before the call returns. */
const scratch = Buffer.allocUnsafeSlow(readSize)
const spares: Buffer[] = []
const sparesKept = 64

export interface ReadOptions {
  buffer: () => Buffer | undefined
  callback: (length: number, bytes: Buffer) => boolean
  /** Both in one, for reads that come from the handle itself. */
  take: (length: number) => Buffer | undefined
}

/** Makes the socket of a wire, with what its reads go through. */
export type SocketMaker = (onread: ReadOptions) => net.Socket

export class Wire implements Deadline {
  readonly socket: net.Socket
  owner: WireOwner

  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  /** Bytes go to the handle of the socket; else, as with TLS, through the socket. */
  private readonly isDirect: boolean
  /** The connection below, where `socket` is one with TLS that was accepted. */
  plain: net.Socket | null = null
  private readonly wheel: TimerWheel
  private paused = false
  private text = ''
  /** What the kernel had not taken after the last look; asked again only when it was something. */
  private untaken = 0
  /** Direct writes that the kernel has not taken completely. */
  private pendingWrites = 0
  private closed = false
  private failure: Error | null = null
  /** The buffer that the next read fills when it is not the shared one; see `streamTo`. */
  private own: Buffer | null = null
  /** The wire that still waits to write from `own`; null when `own` may be read into again. */
  private ownLentTo: Wire | null = null
  /** Earlier buffers of which the kernel has not taken everything, each with the wire it waits on: they can differ. */
  private readonly lent: { buffer: Buffer; to: Wire }[] = []
  /** The wire whose buffers wait on this one. */
  private lender: Wire | null = null
  private streaming = false
  private started = false
  /** What the read under way fills, when reads come from the handle itself. */
  private filled: Buffer = scratch
  private queueAtStall = Number.POSITIVE_INFINITY

  /** Wraps an accepted connection: `socket` made with the options that `make` gives to it. */
  constructor(owner: WireOwner, wheel: TimerWheel, make: SocketMaker) {
    this.owner = owner
    this.wheel = wheel
    const socket = make({
      buffer: () => this.nextBuffer(),
      callback: (length, bytes) => {
        clock.tick()
        this.owner.onBytes(bytes, length)
        return !this.paused
      },
      take: (length) => this.take(length),
    })
    this.socket = socket
    this.isDirect = internalsAreKnown && socket instanceof net.Socket && !('encrypted' in socket)
    socket.on('end', () => {
      clock.tick()
      if (!this.closed) this.owner.onEnd()
    })
    socket.on('drain', () => this.drained())
    socket.on('error', (error) => {
      this.failure = error
    })
    socket.on('close', () => this.gone())
  }

  /** Bytes that the kernel has not taken yet. */
  get queued(): number {
    if (this.untaken > 0) this.untaken = this.lookUp()
    return this.untaken + this.text.length
  }

  get isClosed(): boolean {
    return this.closed
  }

  get isPaused(): boolean {
    return this.paused
  }

  /** More than the high-water mark is waiting: stop producing until `onDrain`. */
  get isFull(): boolean {
    return this.queued > highWater
  }

  /** Adds latin1 text to what leaves with the next `flush`. */
  send(text: string): void {
    this.text += text
    if (this.text.length > joinSize) this.flush()
  }

  /**
   * Adds `bytes[start, end)` of another wire's current read. Small pieces are joined with the text around them; large ones
   * are written from the read buffer itself, which then belongs to the kernel until it has taken them. To what comes from
   * no wire nobody else writes.
   */
  sendFrom(source: Wire | null, bytes: Buffer, start: number, end: number): void {
    if (end - start <= joinSize) {
      this.send(bytes.toString('latin1', start, end))
      return
    }
    this.flush()
    if (source === null) {
      this.write(bytes.subarray(start, end))
      return
    }
    source.streaming = true
    if (bytes !== source.own || (source.ownLentTo !== null && source.ownLentTo !== this)) {
      // The shared buffer, which other wires fill as soon as this call is over, or one that waits on another wire.
      this.write(Buffer.from(bytes.subarray(start, end)))
      return
    }
    this.write(bytes.subarray(start, end))
    if (this.untaken > 0) {
      source.ownLentTo = this
      this.lender = source
    }
  }

  /** Adds bytes that nobody else writes to. */
  sendOwned(bytes: Buffer): void {
    if (bytes.length <= joinSize) this.send(bytes.toString('latin1'))
    else {
      this.flush()
      this.write(bytes)
    }
  }

  /** Hands what was sent to the kernel, in one write. Called once at the end of each event. */
  flush(): void {
    const { text } = this
    if (text === '') return
    this.text = ''
    this.write(text)
  }

  /** No large piece is expected any more: the next read uses the shared buffer again. */
  streamEnded(): void {
    this.streaming = false
  }

  pause(): void {
    if (this.paused) return
    this.paused = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.socket.resume()
  }

  setDeadline(due: number): void {
    this.wheel.set(this, due)
  }

  clearDeadline(): void {
    this.due = 0
  }

  onDeadline(now: number): void {
    if (!this.closed) this.owner.onDeadline(now)
  }

  /** Did the peer take anything since the last call? Tells a slow reader from one that stopped. */
  hasProgressed(): boolean {
    const handle = (this.socket as unknown as { _handle?: { writeQueueSize?: number } })._handle
    const queue = handle?.writeQueueSize ?? this.socket.writableLength
    const progressed = queue < this.queueAtStall
    this.queueAtStall = queue
    return progressed
  }

  /** Sends FIN after what is queued. */
  end(): void {
    this.flush()
    this.socket.end()
  }

  /** Ends once the peer has taken what is queued, whatever else it sends. */
  closeAfterWrites(): void {
    this.flush()
    this.socket.destroySoon()
  }

  /** Gives the connection away: nothing of it comes to the owner any more. */
  release(): net.Socket {
    const { socket } = this
    this.wheel.clear(this)
    this.closed = true
    for (const event of ['end', 'drain', 'close', 'data']) socket.removeAllListeners(event)
    return socket
  }

  /** Ends at once; the peer sees that what it has is not complete when something is missing. */
  destroy(): void {
    this.socket.destroy()
  }

  /** Ends with RST, so that a body which ends with the connection cannot be taken for complete. */
  reset(): void {
    const { plain, socket } = this
    if (plain === null) socket.resetAndDestroy()
    else plain.resetAndDestroy()
  }

  /** Text is latin1. */
  private write(data: string | Uint8Array): void {
    const handle = this.isDirect ? directHandle(this.socket) : null
    if (handle === null) {
      if (typeof data === 'string') this.socket.write(data, 'latin1')
      else this.socket.write(data)
      this.untaken = this.socket.writableLength
      return
    }
    const result =
      typeof data === 'string' ? handle.writeLatin1String(null, data) : handle.writeBuffer(null, data)
    if (result === 0) return
    if (typeof result === 'number') this.socket.destroy(new Error(`write: ${getSystemErrorName(result)}`))
    else this.await(result, handle, data)
  }

  private await(write: PendingWrite, handle: DirectHandle, data: string | Uint8Array): void {
    this.pendingWrites++
    this.untaken = handle.writeQueueSize
    write.handle = handle
    write.buffer = data
    write.oncomplete = (status) => {
      this.pendingWrites--
      if (this.closed) return
      if (status < 0) this.socket.destroy(new Error(`write: ${getSystemErrorName(status)}`))
      else if (this.pendingWrites === 0) this.drained()
    }
    const { writeStatus } = write
    if (writeStatus === null) return
    write.writeStatus = null
    write.oncomplete(writeStatus)
  }

  private lookUp(): number {
    const handle = this.isDirect ? directHandle(this.socket) : null
    return handle?.writeQueueSize ?? this.socket.writableLength
  }

  private drained(): void {
    clock.tick()
    this.untaken = 0
    this.lender?.takeBack()
    if (!this.closed) this.owner.onDrain()
  }

  private take(length: number): Buffer | undefined {
    clock.tick()
    this.owner.onBytes(this.filled, length)
    const next = this.nextBuffer()
    if (next !== undefined) this.filled = next
    return next
  }

  /** What the next read fills; undefined keeps the buffer of the last one. */
  private nextBuffer(): Buffer | undefined {
    if (this.own === null && !this.streaming) {
      if (this.started) return undefined
      this.started = true
      return scratch
    }
    if (this.own !== null) {
      if (this.streaming && this.ownLentTo === null) return undefined
      if (this.ownLentTo !== null) this.lent.push({ buffer: this.own, to: this.ownLentTo })
      else keepSpare(this.own)
      this.own = null
      this.ownLentTo = null
    }
    this.takeBack()
    if (!this.streaming) return scratch
    this.own = spares.pop() ?? Buffer.allocUnsafeSlow(readSize)
    return this.own
  }

  /** A buffer comes back for use by others once the kernel has taken everything of it. */
  private takeBack(): void {
    if (this.ownLentTo !== null && this.ownLentTo.queued === 0) this.ownLentTo = null
    for (let i = this.lent.length - 1; i >= 0; i--) {
      const { buffer, to } = this.lent[i] as { buffer: Buffer; to: Wire }
      if (to.queued > 0) continue
      this.lent.splice(i, 1)
      keepSpare(buffer)
    }
  }

  private gone(): void {
    if (this.closed) return
    clock.tick()
    this.closed = true
    this.wheel.clear(this)
    this.own = null
    this.owner.onClose(this.failure)
  }
}

function keepSpare(buffer: Buffer): void {
  if (spares.length < sparesKept) spares.push(buffer)
}

/** What `acceptConnections` needs of the internals of Node's server; absent in a Node that changed them. */
interface ServerInternals {
  _handle?: { onconnection?: (error: number, handle: unknown) => void }
}

/**
 * Calls `accept` for each connection of a listening server with a factory for its socket.
 * Accepted sockets offer no reused read buffer, so the socket is made here, over the accepted handle. Where Node's
 * internals do not look as expected, the server's own socket and its `data` events are used: slower, same behaviour.
 */
export function acceptConnections(server: net.Server, accept: (make: SocketMaker) => void): void {
  const internals = (server as unknown as ServerInternals)._handle
  if (internals && typeof internals.onconnection === 'function') {
    internals.onconnection = (error, handle) => {
      if (error !== 0 || !handle) return
      accept((onread) => {
        const options = { handle, allowHalfOpen: true, onread } as unknown as net.SocketConstructorOpts
        const socket = new net.Socket(options)
        readDirectly(socket, onread.take)
        socket.setNoDelay(true)
        return socket
      })
    }
    return
  }
  server.on('connection', (socket) => accept((onread) => readByEvents(socket, onread)))
}

/** For sockets that were made elsewhere. */
export function readByEvents(socket: net.Socket, onread: ReadOptions): net.Socket {
  socket.setNoDelay(true)
  socket.on('data', (bytes: Buffer) => {
    if (!onread.callback(bytes.length, bytes)) socket.pause()
  })
  return socket
}

/** Opens a connection whose reads go through the reused buffer. */
export function connect(host: string, port: number): SocketMaker {
  return (onread) => {
    const options = { host, port, allowHalfOpen: true, noDelay: true, onread }
    const socket = net.connect(options as unknown as net.NetConnectOpts)
    readDirectly(socket, onread.take)
    return socket
  }
}
