/**
 * One HTTP/2 connection of a client, over node:http2: hands each request to a stream, and ends the connection when it is
 * idle, has served its number of requests, drains, or costs more than it is worth (RFC 9113 5.1, 6.8, 10.5).
 */
import http2, { type SecureServerOptions } from 'node:http2'
import type net from 'node:net'
import type { Http2Limits } from '../../config/settings.ts'
import { engineCounter } from '../../telemetry/engine-counters.ts'
import { clock } from '../clock.ts'
import type { Engine } from '../engine.ts'
import type { ClientFacts } from '../http1/client-facts.ts'
import type { OpenConnection } from '../listener.ts'
import type { Deadline } from '../timer-wheel.ts'
import { Allowance } from './allowance.ts'
import { errorCode, RequestStream, type StreamOwner } from './request-stream.ts'

/** Bytes of one body that are on their way, and of all of a connection. */
const streamWindow = 64 * 1024
const connectionWindow = 1024 * 1024

/** Bytes beside fields and content that a request may bring along, and that a received KiB may: frames and updates of windows. */
const perRequest = 256
const perKibibyte = 2
/** Milliseconds between two looks at a connection that is in use, and at one that is not. */
const closeLook = 250
const farLook = 1000

/** Milliseconds between the two GOAWAY of an end that was announced, in which requests that are on their way arrive. */
const crossingTime = 1000
/** Milliseconds that a client has to end its side after a GOAWAY and the last answer. */
const lingerTime = 2000
/** Streams that are kept for the next requests. */
const sparesKept = 32

export class ClientSession implements StreamOwner, Deadline, OpenConnection {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  /** What it can be ended by. */
  readonly wire = this
  private readonly socket: net.Socket
  /** The connection below TLS, or the same. */
  private readonly plain: net.Socket
  private readonly facts: ClientFacts
  private readonly engine: Engine
  private readonly onGone: (session: ClientSession) => void
  private readonly session: http2.ServerHttp2Session
  private readonly live = new Set<RequestStream>()
  private readonly spares: RequestStream[] = []
  private served = 0
  /**
   * open: requests come. announced: they still do, for a while. closing: no more. expelled: it does harm. lingering: nothing
   * is left to say.
   */
  private state: 'open' | 'announced' | 'closing' | 'expelled' | 'lingering' | 'over' = 'open'
  /** When the state is to change, or an idle connection to end. */
  private until: number
  private readonly limits: Http2Limits
  /** Streams that end before their exchange does, whoever resets them (CVE-2023-44487, CVE-2025-8671). */
  private readonly ends: Allowance
  /**
   * Bytes that are no part of a request. PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA and what nobody knows all count
   * here (CVE-2019-9511 to -9518).
   */
  private readonly extra: Allowance
  /** Bytes of requests since the last look. */
  private useful = 0
  private bytesRead = 0
  /** Of the socket, at the last look at which they were more than before, and when that was. */
  private written = 0
  private writtenAt: number
  private queue = 0

  /** `socket` is one of which nothing was taken since the client's preface. */
  constructor(
    socket: net.Socket,
    plain: net.Socket,
    facts: ClientFacts,
    engine: Engine,
    limits: Http2Limits,
    onGone: (session: ClientSession) => void,
  ) {
    this.socket = socket
    this.plain = plain
    this.facts = facts
    this.engine = engine
    this.onGone = onGone
    const now = clock.now
    this.limits = limits
    this.ends = new Allowance(limits.resets, limits.resets_per_second, now)
    this.extra = new Allowance(limits.overhead, limits.overhead_per_second, now)
    this.until = now + engine.settings.timeouts.header
    this.writtenAt = now
    this.bytesRead = socket.bytesRead
    this.written = socket.bytesWritten
    engine.counts.add(engineCounter.http2_connections, 1)
    const session = http2.performServerHandshake(socket, sessionOptions(engine, limits))
    this.session = session
    session.on('stream', (stream, _fields, flags, raw) => this.onStream(stream, flags, raw as string[]))
    session.on('error', (error) => this.onError(error))
    session.on('frameError', () => {})
    session.on('close', () => this.onSessionClose())
    // Whoever ends its side gives up what it asked for: HTTP/2 has no other use for it.
    socket.on('end', () => this.destroy())
    socket.on('close', () => this.gone())
    session.setLocalWindowSize(connectionWindow)
    engine.wheel.set(this, now + closeLook)
  }

  /** Takes no new requests, and ends after those in work. The client is told in time (RFC 9113 6.8). */
  drain(): void {
    if (this.state !== 'open') return
    const now = clock.now
    const idleFor = now - (this.until - this.engine.settings.timeouts.keepalive)
    if (this.live.size === 0 && this.served > 0 && idleFor >= crossingTime) {
      this.close()
      return
    }
    this.state = 'announced'
    this.session.goaway(errorCode.none, 2 ** 31 - 1)
    this.until = now + crossingTime
    this.look(now)
  }

  destroy(): void {
    this.session.destroy()
    this.socket.destroy()
  }

  // As `StreamOwner`.

  get isClosing(): boolean {
    return this.state !== 'open'
  }

  get bytesWritten(): number {
    return this.socket.bytesWritten
  }

  arrived(bytes: number): void {
    this.useful += bytes
  }

  streamClosed(stream: RequestStream, early: boolean): void {
    this.live.delete(stream)
    if (this.spares.length < sparesKept) this.spares.push(stream)
    if (this.live.size === 0) this.rest()
    if (early) this.endedEarly()
  }

  onDeadline(now: number): void {
    this.look(now)
  }

  private onStream(stream: http2.ServerHttp2Stream, flags: number, fields: readonly string[]): void {
    clock.tick()
    this.useful += perRequest
    for (let i = 0; i < fields.length; i++) this.useful += (fields[i] as string).length
    // It was reset by the time its turn came: nothing was done for it. Where its connection ended with an error, that comes still.
    if (stream.destroyed || stream.closed) {
      stream.on('error', ignore)
      this.endedEarly()
      return
    }
    if (this.live.size >= this.limits.streams || this.state === 'over') {
      stream.on('error', ignore)
      stream.close(errorCode.refused)
      return
    }
    this.served++
    this.until = Number.POSITIVE_INFINITY
    const taken = this.spares.pop() ?? new RequestStream(this, this.facts, this.engine)
    this.live.add(taken)
    taken.begin(stream, fields, (flags & endStream) === 0)
    if (this.served >= this.engine.settings.limits.requests_per_connection) this.drain()
  }

  private endedEarly(): void {
    this.engine.counts.add(engineCounter.http2_early_ends, 1)
    if (this.session.destroyed) return
    if (this.ends.take(1, clock.now)) return
    this.engine.counts.add(engineCounter.http2_excess_resets, 1)
    this.expel()
  }

  /** Nothing is in work. */
  private rest(): void {
    if (this.state === 'open') this.until = clock.now + this.engine.settings.timeouts.keepalive
  }

  private look(now: number): void {
    if (this.state === 'over') return
    if (!this.isWorth(now)) {
      this.engine.counts.add(engineCounter.http2_floods, 1)
      this.expel()
      return
    }
    if (!this.hasTaken(now)) {
      this.engine.counts.add(engineCounter.write_stalls, 1)
      this.destroy()
      return
    }
    if (now >= this.until) this.turn()
    const next = now + (this.live.size > 0 || this.useful > 0 ? closeLook : farLook)
    this.engine.wheel.set(this, Math.max(now, Math.min(next, this.until)))
  }

  /** What came since the last look was requests, or is within what else may come. */
  private isWorth(now: number): boolean {
    const { bytesRead } = this.socket
    const read = bytesRead - this.bytesRead
    if (read === 0) return true
    const sent = this.socket.bytesWritten - this.written
    const allowed = this.useful + ((Math.max(0, sent) + this.useful) / 1024) * perKibibyte
    this.bytesRead = bytesRead
    this.useful = 0
    return this.extra.take(Math.max(0, read - allowed), now)
  }

  /** The client takes what the connection has for it. */
  private hasTaken(now: number): boolean {
    const { bytesWritten } = this.socket
    const { _handle: handle } = this.plain as unknown as { _handle?: { writeQueueSize?: number } | null }
    const queue = handle?.writeQueueSize ?? 0
    const hasMoved = queue < this.queue || bytesWritten > this.written
    this.queue = queue
    if (queue === 0 || hasMoved) {
      this.written = bytesWritten
      this.writtenAt = now
      return true
    }
    return now - this.writtenAt < this.engine.settings.timeouts.write_stall
  }

  private turn(): void {
    if (this.state === 'open' || this.state === 'announced') this.close()
    else this.destroy()
  }

  /** The last GOAWAY: what comes from now on is for another connection. Ends when nothing is in work any more. */
  private close(): void {
    this.state = 'closing'
    this.until = Number.POSITIVE_INFINITY
    this.session.close()
  }

  /** Ends the connection of a client that does harm. */
  private expel(): void {
    this.state = 'expelled'
    this.session.destroy(new Error('the client does harm'), errorCode.enhanceYourCalm)
  }

  private onError(error: Error): void {
    const { code } = error as NodeJS.ErrnoException
    if (this.state === 'expelled') return
    if (code?.startsWith('ERR_HTTP2') === true) this.engine.counts.add(engineCounter.http2_session_errors, 1)
  }

  /** The client has until then to end its side. */
  private onSessionClose(): void {
    clock.tick()
    if (this.state === 'over') return
    this.state = 'lingering'
    this.until = clock.now + lingerTime
    this.engine.wheel.set(this, this.until)
  }

  private gone(): void {
    if (this.state === 'over') return
    clock.tick()
    this.state = 'over'
    this.engine.wheel.clear(this)
    if (!this.session.destroyed) this.session.destroy()
    this.onGone(this)
  }
}

function ignore(): void {}

/** END_STREAM on the fields of a request: nothing follows. */
const endStream = 0x1

/** Pairs beyond the limit of HTTP/1 that may come, so that it is our parser that says what is too much: crumbs of cookies, pseudo-fields. */
const extraPairs = 64

function sessionOptions({ settings }: Engine, limits: Http2Limits): SecureServerOptions {
  const { head, headers } = settings.limits
  return {
    settings: {
      maxConcurrentStreams: limits.streams,
      initialWindowSize: streamWindow,
      // As RFC 9113 6.5.2 counts it: 32 bytes for each field beside its text.
      maxHeaderListSize: head + headers * 32,
      enablePush: false,
      enableConnectProtocol: true,
    },
    maxHeaderListPairs: headers + extraPairs,
    // Node.js counts empty DATA here for as long as the connection lives.
    maxSessionInvalidFrames: 1000,
    maxSessionRejectedStreams: 100,
    maxOutstandingPings: 10,
    maxSettings: 32,
    maxSessionMemory: 16,
    streamResetBurst: 2 * limits.resets,
    streamResetRate: 2 * limits.resets_per_second,
    strictFieldWhitespaceValidation: true,
    strictSingleValueFields: false,
  } as SecureServerOptions
}
