/** One stream of a client's HTTP/2 connection: reads its request, writes its answer, watches over both (RFC 9113 5.1, 8.1). */
import type { ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2'
import { engineCounter } from '../../telemetry/engine-counters.ts'
import type { ClientStream } from '../client-stream.ts'
import { clock } from '../clock.ts'
import { Conversation } from '../conversation.ts'
import type { Engine } from '../engine.ts'
import { errors, type GatewayError } from '../errors.ts'
import { knownHash } from '../headers.ts'
import type { ClientFacts } from '../http1/client-facts.ts'
import { Head } from '../http1/head.ts'
import type { HeaderEdits } from '../http1/header-edits.ts'
import { errorContent, ownAnswer } from '../http1/own-answer.ts'
import { type ClientFraming, upgradeHead } from '../http1/response-head.ts'
import type { Wire } from '../http1/wire.ts'
import type { Deadline } from '../timer-wheel.ts'
import { answerFields, interimFields, statusOf, trailerFields } from './answer-fields.ts'
import { type RequestForm, readFields, readTrailers } from './request-fields.ts'

/** RFC 9113 section 7. */
export const errorCode = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  refused: 0x7,
  cancel: 0x8,
  enhanceYourCalm: 0xb,
} as const

/** A client whose connection moves on gets that many times the usual while one of its streams does not. */
const patience = 4
/** Milliseconds for which a client may go on sending in a tunnel whose other side has ended. */
const lingerTime = 2000

/** The connection, as one of its streams needs it. */
export interface StreamOwner {
  /** Body bytes arrived. */
  arrived(bytes: number): void
  /** Bytes that the connection has sent. */
  readonly bytesWritten: number
  /** The connection takes no further requests. */
  readonly isClosing: boolean
  /** The stream is gone. `early`: before its exchange was over. */
  streamClosed(stream: RequestStream, early: boolean): void
}

/** Bytes, or a small number of them as latin1 text, which is cheaper to copy. */
type Piece = Buffer | string
const textSize = 4096

/** What the events of a stream of node:http2 belong to; so none of them needs a function of its own. */
const owner = Symbol('owner')
type OwnedStream = ServerHttp2Stream & { [owner]: RequestStream }

export class RequestStream implements ClientStream, Deadline, RequestForm {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  readonly framing: ClientFraming = 'frames'
  /** Its request is one of those that are handed on together, and is not yet. */
  isReading = false
  readonly hasClientEnded = false
  isBodyDone = true
  trailers: Head | null = null
  protocol = ''

  private readonly session: StreamOwner
  private readonly engine: Engine
  private readonly conversation: Conversation
  private readonly parsed: Head
  private stream: OwnedStream | null = null
  private isExchangeOver = true
  private isPaused = false
  private isTunnel = false
  /** The final head, until something follows it or it has to leave: what is complete by then leaves as one. */
  private headText = ''
  private headLength = 0
  /** The first piece of the body, as long as the head waits. */
  private piece: Piece | null = null
  private answerFraming: ClientFraming = 'none'
  private answerTrailers: Head | null = null
  /** A status with which no body may come. */
  private bodyless = false
  private writtenAtStall = -1
  private queueAtStall = 0
  private stalls = 0

  constructor(session: StreamOwner, facts: ClientFacts, engine: Engine) {
    this.session = session
    this.engine = engine
    this.parsed = new Head(engine.settings.limits.headers)
    this.conversation = new Conversation(facts, this, engine)
  }

  /** Begins with the fields of a request, names and values in turn. */
  begin(stream: ServerHttp2Stream, fields: readonly string[], hasBody: boolean): void {
    const owned = stream as OwnedStream
    owned[owner] = this
    this.stream = owned
    this.isExchangeOver = false
    this.isPaused = false
    this.isTunnel = false
    this.headText = ''
    this.piece = null
    this.answerFraming = 'none'
    this.answerTrailers = null
    this.bodyless = false
    this.trailers = null
    this.stalls = 0
    this.writtenAtStall = -1
    stream.on('close', onClose)
    stream.on('error', onError)
    const { engine, parsed } = this
    const refused = readFields(fields, hasBody, parsed, engine.settings.limits, this)
    this.isBodyDone = !hasBody || this.protocol !== ''
    if (refused !== null) {
      this.refuse(refused)
      return
    }
    this.isReading = true
    handOnLater(this)
    this.conversation.begin(parsed, '2.0')
    if (this.isBodyDone || this.isExchangeOver || stream.destroyed) return
    stream.on('trailers', onTrailers)
    stream.on('end', onEnd)
    stream.on('data', onData)
    if (this.isPaused) stream.pause()
    else this.watch(engine.settings.timeouts.body_idle)
  }

  /** A stream that may be used again. */
  get isFree(): boolean {
    return this.stream === null
  }

  /** Ends it, whatever it is doing. */
  reset(code: number): void {
    this.stream?.close(code)
  }

  // What happens on the stream.

  onData(bytes: Buffer): void {
    clock.tick()
    this.session.arrived(bytes.length)
    if (this.isTunnel) {
      if (!this.conversation.tunnelContent(null, bytes, 0, bytes.length)) this.pause()
      return
    }
    if (this.isExchangeOver) return
    this.conversation.requestContent(null, bytes, 0, bytes.length)
    if (!this.isReading) this.conversation.flushRequest()
    if (!this.isExchangeOver && !this.isPaused) this.watch(this.engine.settings.timeouts.body_idle)
  }

  onTrailers(fields: readonly string[]): void {
    clock.tick()
    const head = new Head(this.engine.settings.limits.headers)
    if (readTrailers(fields, head, this.engine.settings.limits)) this.trailers = head
    else this.reset(errorCode.protocol)
  }

  onEnd(): void {
    clock.tick()
    if (this.isTunnel) {
      this.conversation.clientEnded()
      return
    }
    // An end that comes with a reset is none.
    if (this.isExchangeOver || (this.stream as OwnedStream).rstCode !== errorCode.none) return
    if ((this.stream as OwnedStream).aborted) return
    this.isBodyDone = true
    this.due = 0
    this.conversation.requestEnd(this.trailers)
    if (!this.isReading) this.conversation.flushRequest()
  }

  /** What was read together was dealt with. */
  endRead(): void {
    if (!this.isReading) return
    this.isReading = false
    this.conversation.flushRequest()
    this.flush()
  }

  onWritable(): void {
    clock.tick()
    if (this.isExchangeOver) return
    if (this.isBodyDone) this.due = 0
    this.conversation.clientWritable()
  }

  onClose(): void {
    clock.tick()
    const early = !this.isExchangeOver
    this.engine.wheel.clear(this)
    this.stream = null
    this.isReading = false
    this.isExchangeOver = true
    this.conversation.gone()
    this.session.streamClosed(this, early && !this.isTunnel)
  }

  /** All data has left, and node:http2 asks what comes behind it. */
  onWantTrailers(): void {
    const { stream } = this
    if (stream === null || stream.destroyed || stream.closed) return
    try {
      stream.sendTrailers(trailerFields(this.answerTrailers))
    } catch {
      this.cut()
    }
  }

  onDeadline(now: number): void {
    const { stream } = this
    if (stream === null || stream.destroyed) return
    const { timeouts } = this.engine.settings
    if (stream.writableLength > 0) this.onSlowReader(now, timeouts.write_stall)
    else if (this.isTunnel) {
      if (stream.writableEnded) this.reset(errorCode.none)
    } else if (!this.isBodyDone && !this.isPaused && !this.isExchangeOver) {
      this.engine.counts.add(engineCounter.body_timeouts, 1)
      this.conversation.refuseRest(errors.bodyTimeout)
    }
  }

  /**
   * A client that takes its answer slowly gets all of it; one that takes nothing is let go. What a stream has sent can be
   * seen in pieces only, so one on a connection that moves on gets more time.
   */
  private onSlowReader(now: number, stall: number): void {
    const { stream, session } = this
    const queue = (stream as OwnedStream).writableLength
    const { bytesWritten } = session
    const hasMoved = this.writtenAtStall < 0 || queue < this.queueAtStall
    const isAlive = bytesWritten > this.writtenAtStall
    this.stalls = hasMoved ? 0 : this.stalls + 1
    this.queueAtStall = queue
    this.writtenAtStall = bytesWritten
    if (hasMoved || (isAlive && this.stalls < patience)) this.engine.wheel.set(this, now + stall)
    else {
      this.engine.counts.add(engineCounter.write_stalls, 1)
      this.reset(errorCode.cancel)
    }
  }

  private watch(time: number): void {
    this.engine.wheel.set(this, clock.now + time)
  }

  /** Answers what is no sound request. */
  private refuse(error: GatewayError): void {
    this.engine.counts.add(engineCounter.bad_requests, 1)
    const { server } = this.engine.settings
    const content = errorContent(error)
    const text = ownAnswer(error.status, content, server, '', '', null, true)
    this.protocol = ''
    this.sendWhole(text, text.length - content.body.length)
    this.exchangeOver()
  }

  // Answering, as `ClientStream`.

  get isFull(): boolean {
    return this.stream?.writableNeedDrain === true
  }

  pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.stream?.pause()
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.stream?.resume()
    if (!this.isBodyDone && !this.isExchangeOver) this.watch(this.engine.settings.timeouts.body_idle)
  }

  /** Streams know where they end: nothing is wrong with the connection. */
  closeAfter(): void {}

  connectionLine(): string {
    return ''
  }

  sendInterim(head: string): void {
    const { stream } = this
    if (stream === null || stream.destroyed || stream.closed || stream.headersSent) return
    try {
      stream.additionalHeaders(interimFields(head))
    } catch {
      // What HTTP/1 may say and HTTP/2 may not: the final answer is still to come.
    }
  }

  sendHead(head: string, framing: ClientFraming): void {
    this.headText = head
    this.headLength = head.length
    this.answerFraming = framing
  }

  sendPiece(_source: Wire | null, bytes: Buffer, start: number, end: number): void {
    if (end - start > textSize) this.sendOwned(Buffer.from(bytes.subarray(start, end)))
    else if (end > start) this.add(bytes.toString('latin1', start, end))
  }

  sendOwned(bytes: Buffer): void {
    this.add(bytes)
  }

  private add(piece: Piece): void {
    if (this.headText === '') this.write(piece)
    else if (this.piece === null) this.piece = piece
    else {
      this.open()
      this.write(piece)
    }
  }

  sendEnd(trailers: Head | null): void {
    this.answerTrailers = trailers
    const { stream, piece, headText } = this
    if (stream === null || stream.destroyed || stream.closed) return
    if (headText === '') {
      if (!stream.writableEnded) stream.end()
      return
    }
    this.headText = ''
    this.piece = null
    const isEmpty = this.answerFraming === 'none' || (piece === null && trailers === null)
    if (!this.respond(headText, isEmpty, trailers !== null)) return
    if (!isEmpty && !stream.writableEnded) {
      if (piece === null) stream.end()
      else stream.end(piece, 'latin1')
      this.watchQueue()
    }
  }

  sendWhole(text: string, headLength: number): void {
    const { stream } = this
    if (stream === null || stream.destroyed || stream.closed) return
    this.headLength = headLength
    const isEmpty = text.length === headLength
    if (!this.respond(text, isEmpty, false) || isEmpty || stream.writableEnded) return
    stream.end(text.slice(headLength), 'latin1')
    this.watchQueue()
  }

  /** What the client has not sent yet, it need not send (RFC 9113 8.1). */
  awaitsRest(): boolean {
    return false
  }

  becomeTunnel(head: Head, edits: HeaderEdits | null): void {
    const { stream } = this
    if (stream === null || stream.destroyed || stream.closed) return
    this.isTunnel = true
    head.dropNamed('sec-websocket-accept', acceptHash)
    const text = upgradeHead(head, edits)
    this.headLength = text.length
    stream.respond(answerFields(text, '200', text.length), noDate)
    stream.on('drain', onDrain)
    stream.on('end', onEnd)
    stream.on('data', onData)
  }

  tunnelPiece(_source: Wire | null, bytes: Buffer, start: number, end: number): void {
    this.write(Buffer.from(bytes.subarray(start, end)))
    this.watchQueue()
  }

  endTunnel(): void {
    const { stream } = this
    if (stream === null || stream.destroyed || stream.writableEnded) return
    stream.end()
    this.watch(lingerTime)
  }

  flush(): void {
    if (this.isReading) return
    if (this.headText !== '') this.open()
    this.watchQueue()
  }

  breakOff(): void {
    this.headText = ''
    this.piece = null
    this.cut()
  }

  cut(): void {
    this.isExchangeOver = true
    this.stream?.close(errorCode.internal)
  }

  exchangeOver(): void {
    this.isExchangeOver = true
    const { stream } = this
    if (stream === null || this.isBodyDone) return
    // The answer came before the end of the request, and nobody reads the rest.
    // A reset at once would overtake an answer that is a head only, and the client would get none.
    if (!stream.destroyed) setImmediate(endQuietly, stream)
  }

  /** Sends the head that waits, and the piece that waits with it. */
  private open(): void {
    const { headText, piece, stream } = this
    this.headText = ''
    this.piece = null
    if (stream === null || stream.destroyed || stream.closed) return
    const isEmpty = this.answerFraming === 'none'
    // A body whose end node:http2 waits for cannot get one by its stream being closed (RFC 9113 8.1).
    if (!this.respond(headText, isEmpty, true) || isEmpty) return
    stream.on('drain', onDrain)
    if (piece !== null) this.write(piece)
  }

  private respond(text: string, isEmpty: boolean, isOpen: boolean): boolean {
    const stream = this.stream as OwnedStream
    let status = statusOf(text)
    // 2xx would say that there is a tunnel (RFC 8441 4, RFC 9110 9.3.6).
    if (this.protocol !== '' && status.charCodeAt(0) === 0x32) status = '502'
    // It has no body, and node:http2 sends none (RFC 9110 15.3.6): a length would be a lie.
    this.bodyless = status === '205'
    const fields = answerFields(text, status, this.headLength)
    if (this.bodyless) withoutLength(fields)
    if (isOpen && !isEmpty) stream.on('wantTrailers', onWantTrailers)
    try {
      stream.respond(fields, isEmpty ? endsAtOnce : isOpen ? withTrailers : noDate)
      return true
    } catch {
      // What HTTP/1 may say and HTTP/2 may not: the client is told that there is no answer.
      this.cut()
      return false
    }
  }

  private write(piece: Piece): void {
    const { stream } = this
    if (this.bodyless || stream === null || stream.destroyed || stream.closed || stream.writableEnded) return
    stream.write(piece, 'latin1')
  }

  private watchQueue(): void {
    const { stream } = this
    if (this.due === 0 && stream !== null && stream.writableLength > 0)
      this.watch(this.engine.settings.timeouts.write_stall)
  }
}

/**
 * Requests that were read in this turn of the event loop, of whatever connection. They are handed on together: an upstream
 * that sleeps is woken once for all of them and not, at many times the cost of a write, for each.
 */
const readTogether: RequestStream[] = []

function handOnLater(stream: RequestStream): void {
  if (readTogether.push(stream) === 1) setImmediate(handOn)
}

function handOn(): void {
  clock.tick()
  for (const stream of readTogether) stream.endRead()
  readTogether.length = 0
}

const acceptHash = knownHash('sec-websocket-accept')
/** `sendDate` is documented for objects of fields; the types have forgotten it. */
const noDate = { sendDate: false } as ServerStreamResponseOptions
const endsAtOnce: ServerStreamResponseOptions = { ...noDate, endStream: true }
const withTrailers: ServerStreamResponseOptions = { ...noDate, waitForTrailers: true }

function withoutLength(fields: string[]): void {
  const at = fields.indexOf('content-length')
  if (at >= 0) fields.splice(at, 2)
}

function onData(this: OwnedStream, bytes: Buffer): void {
  this[owner].onData(bytes)
}

function onEnd(this: OwnedStream): void {
  this[owner].onEnd()
}

function onTrailers(this: OwnedStream, _fields: object, _flags: number, raw: string[]): void {
  this[owner].onTrailers(raw)
}

function onWantTrailers(this: OwnedStream): void {
  this[owner].onWantTrailers()
}

function onDrain(this: OwnedStream): void {
  this[owner].onWritable()
}

function onClose(this: OwnedStream): void {
  this[owner].onClose()
}

/** `close` follows, and tells all that there is to know. */
function onError(): void {}

function endQuietly(stream: ServerHttp2Stream): void {
  if (!stream.destroyed) stream.close(errorCode.none)
}
