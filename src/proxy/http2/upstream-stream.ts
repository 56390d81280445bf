/** One request on an HTTP/2 connection. */
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { Readable } from 'node:stream'
import { clock } from '../clock.ts'
import { highWater } from '../high-water.ts'
import type { Head } from '../http1/head.ts'
import { trailerLines } from '../http1/trailers.ts'
import type { Deadline } from '../timer-wheel.ts'
import type { UpstreamFault } from '../upstream/attempt.ts'
import type { AnswerBody, ByteSource, Carrier, UpstreamUser } from '../upstream/carrier.ts'
import { requestFields, responseHead, trailerHead } from './message-text.ts'
import type { UpstreamSession } from './upstream-session.ts'

/** Interim answers that one request may bring: more is an attack or a bug (endless 103). */
const maxInterim = 32
/** Milliseconds after which a deadline that has not really come is looked at again. */
const lookAgain = 1000

const endStream = 1
const code = { protocolError: 1, refusedStream: 7, cancel: 8 } as const

const owner = Symbol('owner')
type Owned = ClientHttp2Stream & { [owner]: UpstreamStream }

export class UpstreamStream implements Carrier, AnswerBody, Deadline {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  untouched = true
  trailers: Head | null = null
  readonly endsWithConnection = false
  /** Content bytes of the answer that are still to come; -1: nobody knows. */
  remaining = -1

  private readonly session: UpstreamSession
  private user: UpstreamUser | null
  private stream: ClientHttp2Stream | null = null
  private state: 'waiting' | 'request' | 'body' | 'complete' | 'over' = 'waiting'
  /** Of the request, until they are sent. */
  private fields: string[] = []
  /** The last piece of content, which may be the last of all. */
  private tail: Buffer | null = null
  private requestSent = false
  private requestTrailers: Head | null = null
  private interim = 0
  /** The peer said that the answer is complete. */
  sawEnd = false
  private isFlushing = false
  private queueAtLook = Number.POSITIVE_INFINITY
  private readonly since = clock.now

  constructor(session: UpstreamSession, user: UpstreamUser) {
    this.session = session
    this.user = user
    if (session.isReady) this.state = 'request'
  }

  get address(): string {
    return this.session.address
  }

  get isFull(): boolean {
    return this.stream !== null && this.stream.writableLength > highWater
  }

  get isPaused(): boolean {
    return this.stream?.isPaused() === true
  }

  /** The session is ready. */
  begin(isNew: boolean): void {
    this.state = 'request'
    this.user?.onConnected(isNew)
  }

  sendHead(text: string): void {
    this.fields = requestFields(text, this.session.scheme, this.session.isGrpc)
  }

  sendText(text: string): void {
    this.push(Buffer.from(text, 'latin1'))
  }

  sendContent(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    const piece = bytes.subarray(start, end) as Buffer
    this.push(from === null ? piece : Buffer.from(piece))
  }

  endRequest(trailers: Head | null): void {
    this.requestSent = true
    this.requestTrailers = trailers
    const { tail } = this
    this.tail = null
    const isEmpty = this.stream === null && tail === null && trailers === null
    this.open(isEmpty)
    if (isEmpty) return
    if (tail === null) this.stream?.end()
    else this.stream?.end(tail)
  }

  flush(): void {
    this.open(false)
    if (this.tail === null) return
    this.stream?.write(this.tail)
    this.tail = null
  }

  pause(): void {
    this.stream?.pause()
  }

  resume(): void {
    this.stream?.resume()
  }

  setDeadline(due: number): void {
    this.session.wheel.set(this, due)
  }

  release(): void {
    this.user = null
    if (!this.requestSent) this.stream?.close(code.cancel)
  }

  drop(): void {
    this.user = null
    this.end()
  }

  /** The request is over without an answer, or without all of it. */
  fail(fault: UpstreamFault, error: Error | null): void {
    if (this.state === 'over' || this.state === 'complete') return
    const { user } = this
    this.user = null
    this.end()
    user?.onFault(fault, error)
  }

  onDeadline(): void {
    const { stream } = this
    if (this.state === 'waiting') {
      this.fail('connect_timeout', null)
      return
    }
    if (this.state === 'complete' || this.state === 'over') return
    const queue = stream?.bufferSize ?? 0
    const progressed = queue > 0 && queue < this.queueAtLook
    this.queueAtLook = queue
    // It is slow in taking the request but takes it; or it waits for a client that is slow in taking the answer.
    if (this.isPaused || progressed) {
      this.setDeadline(clock.now + lookAgain)
      return
    }
    // Nothing came on the whole connection: it may be dead, so that no other request should have to find that out.
    if (this.session.heardAt <= this.since) this.session.discard()
    this.fail('timeout', null)
  }

  interimCame(raw: readonly string[]): void {
    this.heard()
    const head = responseHead(raw, this.session.limits)
    if (head === null || ++this.interim > maxInterim) this.fail('bad_response', null)
    else if (this.state === 'request') {
      this.user?.onInterim(head)
      this.flushSoon()
    }
  }

  headCame(raw: readonly string[], flags: number): void {
    this.heard()
    if (this.state !== 'request') return
    const head = responseHead(raw, this.session.limits)
    if (head === null || head.status < 200) {
      this.fail('bad_response', null)
      return
    }
    const isWhole = (flags & endStream) !== 0
    const isBodiless = head.status === 204 || head.status === 304 || this.user?.requestMethod === 'HEAD'
    if (isWhole && !isBodiless && head.contentLength < 0) head.contentLength = 0
    // The length is not known, but the end is.
    if (!isWhole && head.contentLength < 0) head.chunked = true
    this.remaining = isWhole || isBodiless ? 0 : head.contentLength
    this.state = 'body'
    this.user?.onHead(head, this)
    if (this.state !== 'body') return
    if (isWhole) this.complete()
    else {
      this.stream!.on('data', onData)
      this.flushSoon()
    }
  }

  contentCame(bytes: Buffer): void {
    this.heard()
    if (this.state !== 'body') return
    if (this.remaining > 0) this.remaining = Math.max(0, this.remaining - bytes.length)
    this.user?.onContent(null, bytes, 0, bytes.length)
    this.flushSoon()
  }

  trailersCame(raw: readonly string[]): void {
    this.heard()
    if (this.state !== 'body') return
    const trailers = trailerHead(raw, this.session.limits)
    if (trailers === null) this.fail('bad_response', null)
    else this.trailers = trailers
  }

  contentEnded(): void {
    clock.tick()
    if (this.state !== 'body') return
    const isWhole = this.sawEnd || this.trailers !== null || endedBeforeClose(this.stream!)
    if (isWhole && this.remaining <= 0) this.complete()
    else this.fail('closed', null)
  }

  closed(rstCode: number, id: number | undefined): void {
    clock.tick()
    this.session.streamClosed()
    if (this.state === 'complete' || this.state === 'over') return
    const isRefused = rstCode === code.refusedStream || (id !== undefined && this.session.ignored(id))
    if (isRefused && this.untouched) this.fail('refused', null)
    else this.fail(rstCode === code.protocolError ? 'bad_response' : 'closed', this.session.failure)
  }

  drained(): void {
    clock.tick()
    this.user?.onWritable()
  }

  sendTrailers(): void {
    if (!this.requestSent) return
    const fields: Record<string, string | string[]> = { __proto__: null } as never
    for (const line of trailerLines(this.requestTrailers).split('\r\n')) {
      const colon = line.indexOf(':')
      if (colon === -1) continue
      const name = line.slice(0, colon).toLowerCase()
      fields[name] = [...[fields[name] ?? []].flat(), line.slice(colon + 2)]
    }
    try {
      this.stream!.sendTrailers(fields)
    } catch (error) {
      this.fail('closed', error as Error)
    }
  }

  flushNow(): void {
    this.isFlushing = false
    this.user?.onReadOver()
  }

  private heard(): void {
    clock.tick()
    this.session.heardAt = clock.now
    this.untouched = false
  }

  private push(piece: Buffer): void {
    if (this.tail !== null) this.flush()
    this.tail = piece
  }

  private open(isEmpty: boolean): void {
    if (this.stream !== null || this.state !== 'request') return
    // Node.js also ends the body of a stream that is closed in the middle of it, as if it was whole, unless it has to wait.
    const waitForTrailers = !this.requestSent || this.requestTrailers !== null
    const stream = this.session.request(this.fields, { endStream: isEmpty, waitForTrailers }) as Owned
    stream[owner] = this
    stream.push = watchedPush
    stream.on('headers', onInterim)
    stream.on('response', onHead)
    stream.on('trailers', onTrailers)
    stream.on('end', onEnd)
    stream.on('drain', onDrain)
    stream.on('error', onError)
    stream.on('close', onClose)
    if (waitForTrailers) stream.on('wantTrailers', onWantTrailers)
    this.stream = stream
    this.fields = []
  }

  private complete(): void {
    this.state = 'complete'
    this.session.wheel.clear(this)
    this.stream?.resume()
    this.user?.onComplete()
  }

  private end(): void {
    const { state, stream } = this
    this.state = 'over'
    this.session.wheel.clear(this)
    if (stream !== null) {
      stream.resume()
      stream.close(code.cancel)
    } else if (state === 'waiting') this.session.leave(this)
    else if (state === 'request') this.session.streamClosed()
  }

  /** What came is passed on together with whatever else comes in the same read. */
  private flushSoon(): void {
    if (this.isFlushing) return
    this.isFlushing = true
    process.nextTick(flushNow, this)
  }
}

// Shared by all streams, so that none is made for each request.

/**
 * Node.js also ends the readable side of a stream that was reset with NO_ERROR or CANCEL in the middle of its content. What
 * was not ended before it was closed is not complete; see `endedBeforeClose` for one that was paused meanwhile.
 */
function watchedPush(this: Readable, piece: unknown, encoding?: BufferEncoding): boolean {
  const stream = this as Owned
  if (piece === null && !stream.closed) stream[owner].sawEnd = true
  return Readable.prototype.push.call(this, piece, encoding)
}

/** Of a stream that is closed: Node.js destroys it at its end where the peer reset it, and asks first where it did not. */
function endedBeforeClose(stream: ClientHttp2Stream): boolean {
  return stream.rstCode === 0 && !stream.listeners('end').includes(stream.destroy)
}

function onInterim(this: ClientHttp2Stream, _: IncomingHttpHeaders, _flags: number, raw?: string[]): void {
  ;(this as Owned)[owner].interimCame(raw ?? [])
}

function onHead(this: ClientHttp2Stream, _: IncomingHttpHeaders, flags: number, raw?: string[]): void {
  ;(this as Owned)[owner].headCame(raw ?? [], flags)
}

function onTrailers(this: ClientHttp2Stream, _: IncomingHttpHeaders, _flags: number, raw?: string[]): void {
  ;(this as Owned)[owner].trailersCame(raw ?? [])
}

function onData(this: ClientHttp2Stream, bytes: Buffer): void {
  ;(this as Owned)[owner].contentCame(bytes)
}

function onEnd(this: ClientHttp2Stream): void {
  ;(this as Owned)[owner].contentEnded()
}

function onDrain(this: ClientHttp2Stream): void {
  ;(this as Owned)[owner].drained()
}

function onWantTrailers(this: ClientHttp2Stream): void {
  ;(this as Owned)[owner].sendTrailers()
}

/** `close` follows, and tells what it was. */
function onError(): void {}

function onClose(this: ClientHttp2Stream): void {
  ;(this as Owned)[owner].closed(this.rstCode ?? 0, this.id)
}

function flushNow(stream: UpstreamStream): void {
  stream.flushNow()
}
