/**
 * Probes of one endpoint: a request, a request over TLS, or a connection and nothing more. Each has one result, whatever
 * the endpoint does; who waits for it decides how long.
 *
 * The connection of a probe that was answered well is used for the next one, which saves most of what a probe costs. It
 * proves less than a new one, so it is given up after a minute; and what goes wrong on it before any answer counts only
 * when it goes wrong on a new one too.
 */
import { equal } from '../../../config/copy.ts'
import { clock } from '../../clock.ts'
import { BodyReader } from '../../http1/body.ts'
import { Head, Parse } from '../../http1/head.ts'
import { connect, type SocketMaker, Wire, type WireOwner } from '../../http1/wire.ts'
import type { TimerWheel } from '../../timer-wheel.ts'
import { requestsBehind, UpstreamTls } from '../../tls/upstream-tls.ts'

/** What an endpoint made of a probe. */
export type ProbeResult =
  /** It answered, see the status. */
  | 'status'
  /** It took the connection, which is all that was asked for. */
  | 'connected'
  | 'connect_failed'
  | 'tls_failed'
  /** It closed the connection without an answer. */
  | 'closed'
  | 'bad_response'

/** `status` is 0 unless the result is `status`. */
export type ProbeDone = (result: ProbeResult, status: number) => void

export interface Probe {
  /** Never while one is under way. `done` is called once, never within this call, unless the probe is given up. */
  start(done: ProbeDone): void
  /** Ends what is under way, without a result. */
  giveUp(): void
}

export interface ProbeTarget {
  address: string
  port: number
  /** The whole request as latin1 text; null: a connection is enough. */
  request: string | null
  /** An answer to `HEAD` has no body, whatever its fields say. */
  isHead: boolean
  tls: { serverName: string; verify: boolean } | null
  /** In front of everything on a new connection: a header of the PROXY protocol; absent: nothing is. */
  preamble?: Buffer
}

const limits = { head: 32 * 1024, headers: 100, target: 0 }
const mostInterim = 16
/** An answer with a longer body ends its connection: reading it would cost more than a new one. */
const longestBody = 64 * 1024
const longestUseMs = 60_000

/** Heads are read again from their start when more of them arrives, so all probes share one reader. */
const head = new Head(limits.headers)

export class SocketProbe implements Probe {
  private readonly target: ProbeTarget
  private readonly wheel: TimerWheel
  private readonly authorities: () => readonly string[]
  private connection: ProbeConnection | null = null
  private done: ProbeDone | null = null

  /** @param authorities certificates that are trusted, in PEM; none: those that Node.js brings */
  constructor(target: ProbeTarget, wheel: TimerWheel, authorities: () => readonly string[] = () => []) {
    this.target = target
    this.wheel = wheel
    this.authorities = authorities
  }

  start(done: ProbeDone): void {
    this.done = done
    const { connection } = this
    if (connection?.isReusable === true) {
      connection.send()
      return
    }
    connection?.drop()
    this.open()
  }

  giveUp(): void {
    this.done = null
    this.connection?.drop()
    this.connection = null
  }

  /** What became of a probe on `connection`, or of the connection after it. */
  ended(connection: ProbeConnection, result: ProbeResult | null, status: number): void {
    if (connection.isOver && this.connection === connection) this.connection = null
    const { done } = this
    if (result === null || done === null) return
    if (result !== 'status' && connection.wasReused && !connection.hasAnswered) {
      this.open()
      return
    }
    this.done = null
    done(result, status)
  }

  private open(): void {
    this.connection = new ProbeConnection(this, this.target, this.wheel, this.authorities())
  }
}

class ProbeConnection implements WireOwner {
  isOver = false
  wasReused = false
  /** Something of an answer to the current request has arrived. */
  hasAnswered = false

  private readonly probe: SocketProbe
  private readonly target: ProbeTarget
  private readonly wire: Wire
  private readonly openedAt = clock.now
  private state: 'connecting' | 'securing' | 'waiting' | 'draining' | 'idle' = 'connecting'
  private pending: Buffer | null = null
  private body: BodyReader | null = null
  private bodyBytes = 0
  private interim = 0

  constructor(probe: SocketProbe, target: ProbeTarget, wheel: TimerWheel, authorities: readonly string[]) {
    this.probe = probe
    this.target = target
    const { address, port, tls } = target
    this.wire = new Wire(
      this,
      wheel,
      tls === null ? connect(address, port) : connectTls(target, tls, authorities),
    )
    const { socket } = this.wire
    if (tls === null) socket.once('connect', () => this.connected())
    else {
      socket.once('connect', () => {
        this.state = 'securing'
      })
      socket.once('secureConnect', () => this.connected())
    }
  }

  get isReusable(): boolean {
    return this.state === 'idle' && !this.isOver && clock.now - this.openedAt < longestUseMs
  }

  send(): void {
    this.wasReused = true
    this.hasAnswered = false
    this.request()
  }

  drop(): void {
    this.isOver = true
    this.wire.destroy()
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.isOver) return
    if (this.state === 'waiting') this.read(bytes, length)
    else if (this.state === 'draining') this.drain(bytes, 0, length)
    // Bytes that nobody asked for make an idle connection useless (RFC 9112 9.2).
    else this.end(null)
  }

  onEnd(): void {
    if (!this.isOver) this.end(this.state === 'waiting' ? 'closed' : null)
  }

  onDrain(): void {}

  onClose(): void {
    if (this.isOver) return
    if (this.state === 'connecting') this.end('connect_failed')
    else if (this.state === 'securing') this.end('tls_failed')
    else this.end(this.state === 'waiting' ? 'closed' : null)
  }

  onDeadline(): void {}

  private connected(): void {
    if (this.isOver) return
    clock.tick()
    const { preamble, request, tls } = this.target
    if (preamble !== undefined && tls === null) this.wire.sendOwned(preamble)
    if (request === null) this.end('connected')
    else this.request()
  }

  private request(): void {
    this.state = 'waiting'
    this.interim = 0
    this.wire.send(this.target.request ?? '')
    this.wire.flush()
  }

  private read(bytes: Buffer, length: number): void {
    this.hasAnswered = true
    const held = this.pending
    const source = held === null ? bytes : Buffer.concat([held, bytes.subarray(0, length)])
    const end = held === null ? length : source.length
    this.pending = null
    let at = 0
    do {
      const next = head.parseResponse(source, at, end, limits)
      if (next === Parse.incomplete) {
        this.pending = Buffer.from(source.subarray(at, end))
        return
      }
      if (next < 0) {
        this.end('bad_response')
        return
      }
      at = next
    } while (head.status < 200 && head.status !== 101 && ++this.interim <= mostInterim)
    this.answered(source, at, end)
  }

  private answered(bytes: Buffer, at: number, end: number): void {
    const { status } = head
    if (status < 200 || head.minor === 0 || head.connectionClose || !this.beginBody()) {
      this.end(status < 200 && status !== 101 ? 'bad_response' : 'status', status)
      return
    }
    this.state = 'draining'
    this.drain(bytes, at, end)
    this.probe.ended(this, 'status', status)
  }

  /** @returns false when its end is not worth waiting for */
  private beginBody(): boolean {
    const { status, contentLength, chunked } = head
    this.bodyBytes = 0
    this.body ??= new BodyReader(limits)
    if (this.target.isHead || status === 204 || status === 304) this.body.beginNone()
    else if (chunked) this.body.beginChunked()
    else if (contentLength >= 0 && contentLength <= longestBody) this.body.beginLength(contentLength)
    else return false
    return true
  }

  /** Reads the body to its end, so that the connection can be used again. */
  private drain(bytes: Buffer, from: number, end: number): void {
    const body = this.body as BodyReader
    this.bodyBytes += end - from
    let at = from
    while (at < end && !body.done && !body.failed) at = body.next(bytes, at, end)
    if (body.failed || this.bodyBytes > longestBody || (body.done && at < end)) {
      this.end(null)
      return
    }
    if (body.done) this.state = 'idle'
  }

  private end(result: ProbeResult | null, status = 0): void {
    this.drop()
    this.probe.ended(this, result, status)
  }
}

/** What probes have in common: with the same authorities, and verified or not. */
const verified: { tls: UpstreamTls | null } = { tls: null }
const unverified: { tls: UpstreamTls | null } = { tls: null }

function connectTls(
  { address, port, preamble }: ProbeTarget,
  { serverName, verify }: NonNullable<ProbeTarget['tls']>,
  authorities: readonly string[],
): SocketMaker {
  const shared = verify ? verified : unverified
  if (shared.tls === null || !equal(shared.tls.options.ca, authorities)) {
    shared.tls = new UpstreamTls({ verify, ca: authorities, client: null, problem: '' })
  }
  shared.tls.prepare()
  return shared.tls.connect(address, port, serverName, requestsBehind(preamble ?? null))
}
