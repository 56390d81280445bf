/**
 * One client connection of HTTP/1: reads requests strictly in turn and writes the answers.
 * The next request is not looked at before the answer to this one is written, so that nothing that a policy does for a
 * request happens before it is that request's turn.
 */

import { engineCounter } from '../../telemetry/engine-counters.ts'
import { causeLine } from '../cause.ts'
import type { ClientStream } from '../client-stream.ts'
import { clock } from '../clock.ts'
import { Conversation } from '../conversation.ts'
import type { Engine } from '../engine.ts'
import { errors, type GatewayError } from '../errors.ts'
import { BodyReader } from './body.ts'
import type { ClientFacts } from './client-facts.ts'
import { Head, Parse } from './head.ts'
import type { HeaderEdits } from './header-edits.ts'
import { errorContent, ownAnswer, parseError } from './own-answer.ts'
import { type ClientFraming, upgradeHead } from './response-head.ts'
import { trailerLines } from './trailers.ts'
import type { Wire, WireOwner } from './wire.ts'

/** A body that nobody wants is read to its end when no more than this is missing, so that the connection can be kept. */
const discardSize = 64 * 1024
/** After a last answer: bytes and milliseconds for which the client may go on sending before the connection is cut. */
const lingerSize = 1024 * 1024
const lingerTime = 2000
/** Milliseconds without a request after which none is expected to be on its way. */
const crossingTime = 500

/** Bytes of empty lines before a request: one line is usual, a stream of them is an attack. */
const maxEmptyBytes = 64
/** Bytes of further requests held while one is in work. */
const pipelineSize = 64 * 1024

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
const closeLine = 'Connection: close\r\n'
const CR = 0x0d
const LF = 0x0a

/** Whoever accepted a connection. */
export interface ConnectionOwner {
  gone(connection: ClientConnection): void
  /**
   * The client begins with the preface of HTTP/2, or with what can become it: null where that is not spoken. All that was
   * read goes along, and the connection is no longer one of HTTP/1.
   */
  readonly takeOver: ((read: Buffer) => void) | null
}

export class ClientConnection implements WireOwner, ClientStream {
  readonly wire: Wire
  private readonly engine: Engine
  private readonly owner: ConnectionOwner
  private readonly conversation: Conversation

  /** head: between requests or inside a head. exchange: a request is in work. tunnel: raw bytes. linger: reading to the end. preface: of HTTP/2. */
  private state: 'head' | 'exchange' | 'tunnel' | 'linger' | 'preface' | 'over' = 'head'
  private readonly parsed: Head
  private readonly body: BodyReader
  /** Bytes that were read and not yet used: an unfinished head, or pipelined requests. */
  private pending: Buffer | null = null
  private headBegun = false
  private emptyBytes = 0
  /** Inside `read`, which flushes at its end and goes on with the next request by itself. */
  private reading = false
  private served = 0
  /** Its listener closes, or the gateway does: it ends with the request in work, or the one that is on its way. */
  private draining = false
  private inputEnded = false
  private lingered = 0
  private keepAlive = false
  /** Of the answer that is being written. */
  private answerFraming: ClientFraming = 'none'

  constructor(wire: Wire, facts: ClientFacts, engine: Engine, owner: ConnectionOwner) {
    this.wire = wire
    this.engine = engine
    this.owner = owner
    this.parsed = new Head(engine.settings.limits.headers)
    this.body = new BodyReader(engine.settings.limits)
    this.body.beginNone()
    this.conversation = new Conversation(facts, this, engine)
    wire.setDeadline(clock.now + engine.settings.timeouts.header)
  }

  /**
   * Ends after the answer to the request in work, or to one that comes within a moment: a request that crosses the FIN
   * of an idle connection would be lost.
   */
  drain(): void {
    // A second look would take the deadline that the first one set for that of an idle connection.
    if (this.draining) return
    this.draining = true
    this.keepAlive = false
    if (this.state === 'tunnel') this.conversation.drainTunnel()
    if (this.state !== 'head' || this.pending !== null) return
    const now = clock.now
    const idleFor = now - (this.wire.due - this.engine.settings.timeouts.keepalive)
    if (this.served > 0 && idleFor >= crossingTime) this.close()
    else this.wire.setDeadline(now + crossingTime)
  }

  /** The client speaks without TLS where it is spoken. */
  refusePlain(): void {
    this.refuse(errors.plainHttp)
    this.wire.flush()
  }

  // What the wire tells.

  onBytes(bytes: Buffer, length: number): void {
    switch (this.state) {
      case 'head':
        this.read(bytes, length)
        break
      case 'exchange':
        this.readDuringExchange(bytes, length)
        break
      case 'tunnel':
        if (!this.conversation.tunnelContent(this.wire, bytes, 0, length)) this.wire.pause()
        break
      case 'linger':
        this.lingered += length
        if (this.lingered > lingerSize) this.wire.destroy()
        break
      case 'preface':
        this.hold(bytes, 0, length)
        break
      default:
    }
  }

  onEnd(): void {
    this.inputEnded = true
    if (this.state === 'exchange' || this.state === 'tunnel') {
      // The request will never be complete. After complete ones the client may wait for its answers (RFC 9112 9.6).
      if (this.state === 'exchange' && !this.body.done) this.wire.destroy()
      else this.conversation.clientEnded()
    } else if (this.state === 'head') this.close()
    else this.wire.destroy()
  }

  onDrain(): void {
    if (this.state === 'exchange' || this.state === 'tunnel') {
      if (this.body.done) this.wire.setDeadline(0)
      this.conversation.clientWritable()
    } else if (this.state === 'head') this.readPending()
    else if (this.state === 'linger') this.wire.setDeadline(clock.now + lingerTime)
  }

  onClose(): void {
    this.state = 'over'
    this.conversation.gone()
    this.owner.gone(this)
  }

  onDeadline(now: number): void {
    if (this.state === 'head') {
      if (this.pending === null) this.close()
      else {
        this.engine.counts.add(engineCounter.header_timeouts, 1)
        this.refuse(errors.headTimeout)
      }
    } else if (this.wire.queued > 0) this.onSlowReader(now)
    else if (this.state === 'exchange') this.onSlowBody()
    else this.wire.destroy()
  }

  /** A client that takes its answer slowly gets all of it; one that takes nothing at all is let go. */
  private onSlowReader(now: number): void {
    const { settings, counts } = this.engine
    if (this.wire.hasProgressed()) this.wire.setDeadline(now + settings.timeouts.write_stall)
    else {
      counts.add(engineCounter.write_stalls, 1)
      this.wire.destroy()
    }
  }

  private onSlowBody(): void {
    if (this.body.done || this.wire.isPaused) return
    this.engine.counts.add(engineCounter.body_timeouts, 1)
    this.conversation.refuseRest(errors.bodyTimeout)
  }

  // Reading.

  /** Reads requests, one after the other, from what has arrived. */
  private read(bytes: Buffer, length: number): void {
    let source = bytes
    let end = length
    if (this.pending !== null) {
      source = Buffer.concat([this.pending, bytes.subarray(0, length)])
      end = source.length
      this.pending = null
      // An unfinished head is looked at again when a line ends or when it is too long, not with every byte of a drip.
      if (!bytes.subarray(0, length).includes(LF) && end <= this.engine.settings.limits.head) {
        this.pending = source
        return
      }
    }
    let at = 0
    this.reading = true
    while (at < end && this.is('head') && !this.wire.isFull) {
      const next = this.readRequest(source, at, end)
      if (next === at) break
      at = next
    }
    this.reading = false
    this.conversation.flushRequest()
    this.flush()
    if (at < end && (this.is('head') || this.is('exchange'))) this.hold(source, at, end)
    if (this.is('head')) this.watchHead()
  }

  /** @returns the offset after what was used; `at` when the head is not complete */
  private readRequest(bytes: Buffer, at: number, end: number): number {
    const start = afterEmptyLines(bytes, at, end)
    this.emptyBytes += start - at
    if (this.emptyBytes > maxEmptyBytes) {
      this.refuse(errors.badRequest)
      return end
    }
    // A lone CR may be the first half of another empty line.
    if (start === end || (start + 1 === end && bytes[start] === CR)) return start
    const next = this.parsed.parseRequest(bytes, start, end, this.engine.settings.limits)
    if (next === Parse.incomplete) return at
    if (next > 0) return this.begin(bytes, next, end)
    if (next === Parse.badVersion && this.isPreface(bytes, start, end)) {
      this.leave(bytes, start, end)
      return end
    }
    this.refuse(parseError(next))
    return end
  }

  /** What HTTP/2 begins with (RFC 9113 3.4), or the beginning of it; nghttp2 reads the rest. */
  private isPreface(bytes: Buffer, start: number, end: number): boolean {
    if (this.served > 0 || this.emptyBytes > 0 || this.owner.takeOver === null) return false
    const length = Math.min(end - start, preface.length)
    return bytes.compare(preface, 0, length, start, start + length) === 0
  }

  /** Leaves the connection to HTTP/2, once the event that this read belongs to is over. */
  private leave(bytes: Buffer, start: number, end: number): void {
    this.state = 'preface'
    this.wire.clearDeadline()
    this.pending = Buffer.from(bytes.subarray(start, end))
    process.nextTick(() => {
      if (this.is('preface')) this.owner.takeOver?.(this.pending as Buffer)
    })
  }

  /** Begins an exchange with the head that was just parsed. @returns the offset after what its body used */
  private begin(bytes: Buffer, at: number, end: number): number {
    const { parsed, engine, body } = this
    this.state = 'exchange'
    this.headBegun = false
    this.emptyBytes = 0
    this.served++
    this.wire.clearDeadline()
    this.keepAlive =
      (parsed.minor === 1
        ? !parsed.connectionClose
        : parsed.connectionKeepAlive && !parsed.connectionClose) &&
      this.served < engine.settings.limits.requests_per_connection &&
      !engine.draining &&
      !this.draining
    if (parsed.chunked) body.beginChunked()
    else if (parsed.contentLength > 0) body.beginLength(parsed.contentLength)
    else body.beginNone()
    this.conversation.begin(parsed, parsed.minor === 1 ? '1.1' : '1.0')
    return body.done || !this.is('exchange') ? at : this.readBody(bytes, at, end)
  }

  private readDuringExchange(bytes: Buffer, length: number): void {
    let at = 0
    if (!this.body.done) {
      this.reading = true
      at = this.readBody(bytes, 0, length)
      this.reading = false
      this.conversation.flushRequest()
      this.flush()
    }
    if (at === length) return
    if (this.is('head')) this.read(bytes.subarray(at, length) as Buffer, length - at)
    else if (this.is('exchange')) this.hold(bytes, at, length)
  }

  /** @returns the offset after the body, or `end` */
  private readBody(bytes: Buffer, from: number, end: number): number {
    const { body } = this
    let at = from
    while (at < end && !body.done && this.is('exchange')) {
      at = body.next(bytes, at, end)
      if (body.failed) {
        this.engine.counts.add(engineCounter.bad_requests, 1)
        this.conversation.refuseRest(errors.badBody)
        return end
      }
      if (body.to > body.from) this.conversation.requestContent(this.wire, bytes, body.from, body.to)
    }
    if (!this.is('exchange')) return body.done ? at : end
    if (body.done) {
      this.wire.clearDeadline()
      this.wire.streamEnded()
      this.conversation.requestEnd(body.trailers)
    } else this.wire.setDeadline(clock.now + this.engine.settings.timeouts.body_idle)
    return at
  }

  private hold(bytes: Buffer, start: number, end: number): void {
    const held = bytes.subarray(start, end)
    this.pending = this.pending === null ? Buffer.from(held) : Buffer.concat([this.pending, held])
    if (this.state === 'exchange' && this.pending.length > pipelineSize) this.wire.pause()
  }

  private readPending(): void {
    if (this.wire.isFull) return
    const { pending } = this
    this.pending = null
    this.wire.resume()
    if (pending !== null) this.read(pending, pending.length)
  }

  /** After a read that left no request in work. */
  private watchHead(): void {
    if (this.inputEnded) this.close()
    else if (this.pending !== null && !this.headBegun) {
      this.headBegun = true
      this.wire.setDeadline(clock.now + this.engine.settings.timeouts.header)
    }
  }

  private is(state: string): boolean {
    return this.state === state
  }

  // Answering, as `ClientStream`.

  get isFull(): boolean {
    return this.wire.isFull
  }

  get isReading(): boolean {
    return this.reading
  }

  get isBodyDone(): boolean {
    return this.body.done
  }

  get trailers(): Head | null {
    return this.body.trailers
  }

  get hasClientEnded(): boolean {
    return this.inputEnded
  }

  get framing(): ClientFraming {
    return this.parsed.minor === 1 ? 'chunked' : 'close'
  }

  pause(): void {
    this.wire.pause()
  }

  resume(): void {
    this.wire.resume()
  }

  closeAfter(): void {
    this.keepAlive = false
  }

  connectionLine(readsRest: boolean): string {
    if (!this.body.done && !(readsRest && this.isRestSmall)) this.keepAlive = false
    if (!this.keepAlive || this.isLast) return closeLine
    return this.parsed.minor === 0 ? 'Connection: keep-alive\r\n' : ''
  }

  /** What is left of a small body is read and forgotten; a client that may or may not send it is not waited for. */
  private get isRestSmall(): boolean {
    return !this.parsed.expectContinue && this.body.remaining >= 0 && this.body.remaining <= discardSize
  }

  /** The client sends nothing more, and everything that it sent is in work. */
  private get isLast(): boolean {
    return this.inputEnded && this.pending === null
  }

  sendInterim(head: string): void {
    this.wire.send(head)
  }

  sendHead(head: string, framing: ClientFraming): void {
    this.answerFraming = framing
    this.wire.send(head)
  }

  sendPiece(source: Wire | null, bytes: Buffer, start: number, end: number): void {
    const { wire } = this
    if (this.answerFraming === 'chunked') {
      wire.send(`${(end - start).toString(16)}\r\n`)
      wire.sendFrom(source, bytes, start, end)
      wire.send('\r\n')
    } else wire.sendFrom(source, bytes, start, end)
  }

  sendOwned(bytes: Buffer): void {
    const { wire } = this
    if (this.answerFraming === 'chunked') {
      wire.send(`${bytes.length.toString(16)}\r\n`)
      wire.sendOwned(bytes)
      wire.send('\r\n')
    } else wire.sendOwned(bytes)
  }

  sendEnd(trailers: Head | null): void {
    if (this.answerFraming === 'chunked') this.wire.send(`0\r\n${trailerLines(trailers)}\r\n`)
  }

  sendWhole(text: string): void {
    this.wire.send(text)
  }

  awaitsRest(): boolean {
    if (this.body.done || !this.keepAlive) return false
    this.wire.setDeadline(clock.now + this.engine.settings.timeouts.body_idle)
    return true
  }

  becomeTunnel(head: Head, edits: HeaderEdits | null): void {
    const { pending, wire } = this
    this.state = 'tunnel'
    wire.send(upgradeHead(head, edits))
    wire.flush()
    wire.setDeadline(0)
    this.pending = null
    if (pending !== null) this.conversation.tunnelContent(wire, pending, 0, pending.length)
    wire.resume()
    if (this.inputEnded) this.conversation.clientEnded()
  }

  tunnelPiece(source: Wire | null, bytes: Buffer, start: number, end: number): void {
    this.wire.sendFrom(source, bytes, start, end)
    this.wire.flush()
  }

  endTunnel(): void {
    this.wire.end()
    this.watchOut()
  }

  flush(): void {
    if (this.reading) return
    this.wire.flush()
    if (this.state === 'exchange' && this.wire.due === 0 && this.wire.queued > 0) {
      this.wire.setDeadline(clock.now + this.engine.settings.timeouts.write_stall)
    }
  }

  breakOff(): void {
    this.wire.flush()
    // A body that ends with the connection would look complete after FIN; RST says that it is not.
    if (this.answerFraming === 'close') this.wire.reset()
    else this.close()
  }

  cut(): void {
    this.wire.destroy()
  }

  exchangeOver(): void {
    if (!this.keepAlive || this.isLast || !this.body.done) {
      this.close()
      return
    }
    this.state = 'head'
    this.wire.setDeadline(clock.now + this.engine.settings.timeouts.keepalive)
    if (!this.reading) this.readPending()
  }

  /** Answers bytes that are no request, and ends the connection. */
  private refuse(error: GatewayError): void {
    this.engine.counts.add(engineCounter.bad_requests, 1)
    const { server, forwarding } = this.engine.settings
    this.engine.answered(error)
    const lines = forwarding.show_cause ? causeLine(error) : ''
    this.wire.send(ownAnswer(error.status, errorContent(error), server, closeLine, lines, null, true))
    this.pending = null
    this.close()
  }

  /** Sends FIN and reads on for a while, because closing with unread input would take the answer back (RFC 9112 9.6). */
  private close(): void {
    this.state = 'linger'
    this.wire.end()
    this.wire.resume()
    this.watchOut()
  }

  /** After FIN was sent, or will be once everything before it has been taken. */
  private watchOut(): void {
    const { write_stall: stall } = this.engine.settings.timeouts
    this.wire.setDeadline(clock.now + (this.wire.queued > 0 ? stall : lingerTime))
  }
}

/** Requests may be preceded by empty lines (RFC 9112 2.2). */
function afterEmptyLines(bytes: Buffer, at: number, end: number): number {
  let i = at
  while (i + 1 < end && bytes[i] === CR && bytes[i + 1] === LF) i += 2
  return i
}
