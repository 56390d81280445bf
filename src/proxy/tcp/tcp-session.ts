/**
 * One TCP session: bytes of a client to an endpoint and back, as they come. Neither side is read while the other does not
 * take what there is for it, so that a session holds no more than two buffers; either side may end its half.
 */
import { clock } from '../clock.ts'
import type { Engine } from '../engine.ts'
import type { GatewayError } from '../errors.ts'
import type { UpstreamConnection } from '../http1/upstream-connection.ts'
import { connect, Wire, type WireOwner } from '../http1/wire.ts'
import { proxyHeader } from '../proxy-protocol/header-writer.ts'
import { type Applicant, admit, observe, refuse } from '../stream/admission.ts'
import type { StreamSession } from '../stream/session.ts'
import { Tries } from '../stream/tries.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** What a session needs to know of the listener that it came in at. */
export interface TcpListener {
  /** What upstreams are told the client in, where they do not say it themselves. */
  readonly proxy_protocol_to_upstream?: 'v1' | 'v2'
}

/** What is asked for in TLS where the client asked for nothing and nobody looks at the certificate, as in APISIX. */
const unnamedServer = 'apisix_backend'

export class TcpSession implements WireOwner, Applicant {
  readonly wire: Wire
  readonly session: StreamSession
  isOpen = true
  private readonly engine: Engine
  private readonly listener: TcpListener
  private readonly closed: (session: TcpSession) => void
  private tries: Tries | null = null
  private leg: UpstreamLeg | null = null
  /** What arrived before there was a connection to send it to. */
  private early: Buffer | null = null
  private idleTimeout = 0
  private activeAt = clock.now
  /** The client sends nothing more. */
  private clientEnded = false
  /** Somebody waits for what the client sends first. */
  private peeking: Peek | null = null

  /** The wire has to be paused, or nothing may be read from it before `start`. */
  constructor(
    wire: Wire,
    session: StreamSession,
    listener: TcpListener,
    engine: Engine,
    closed: (session: TcpSession) => void,
  ) {
    this.wire = wire
    this.session = session
    this.listener = listener
    this.engine = engine
    this.closed = closed
    wire.owner = this
    session.session.reader = (most, isEnough) => this.peek(most, isEnough)
  }

  /** @param early what was read of the client already */
  start(early: Buffer | null): void {
    if (early !== null && early.length > 0) {
      this.early = early
      this.session.session.received += early.length
    }
    this.wire.pause()
    const { client } = this.session
    const binding = this.engine.runtime.streams.match({
      remoteAddress: client.address,
      localAddress: client.localAddress,
      localPort: client.localPort,
      serverName: client.tls?.serverName ?? '',
    })
    if (binding === null) this.refused(500)
    else admit(this, binding, this.engine)
  }

  admitted(upstream: Upstream<UpstreamConnection>): void {
    const { engine } = this
    const { session_timeout: timeout } = upstream.spec
    this.idleTimeout = timeout === undefined ? engine.settings.timeouts.session : timeout * 1000
    const tries = new Tries(this.session, upstream, engine)
    this.tries = tries
    const refusal = tries.begin()
    if (refusal === null) this.connect(tries)
    else refuse(this, refusal)
  }

  refused(status: number): void {
    this.session.session.status = status
    this.wire.destroy()
  }

  drain(): void {
    // Nothing can be asked of it: it has the time that there is for everything.
  }

  onBytes(bytes: Buffer, length: number): void {
    const { leg } = this
    if (leg === null || !leg.isOpen) {
      this.hold(bytes, length)
      this.look()
      return
    }
    this.activeAt = clock.now
    const counts = this.session.session
    counts.received += length
    counts.upstreamSent += length
    leg.wire.sendFrom(this.wire, bytes, 0, length)
    leg.wire.flush()
    if (leg.wire.isFull) this.wire.pause()
  }

  onEnd(): void {
    this.clientEnded = true
    this.endPeek(null)
    const { leg } = this
    if (leg?.isOpen) leg.wire.end()
  }

  onDrain(): void {
    this.activeAt = clock.now
    this.leg?.wire.resume()
  }

  onClose(error: Error | null): void {
    this.isOpen = false
    this.endPeek(null)
    const { leg, session } = this
    if (leg !== null && !leg.wire.isClosed) {
      // Half a message must not pass for a whole one.
      if (error !== null && session.outcome === 'pending') session.outcome = 'client_abort'
      if (!leg.isOpen) leg.wire.destroy()
      else if (error !== null) leg.wire.reset()
      else leg.close(this.engine.settings.timeouts.write_stall)
    }
    this.finishWhenClosed()
  }

  onDeadline(now: number): void {
    if (this.peeking !== null) {
      this.endPeek(null)
      return
    }
    if (isTaking(this.wire) || (this.leg !== null && isTaking(this.leg.wire))) this.activeAt = now
    const due = this.activeAt + this.idleTimeout
    if (now < due) this.wire.setDeadline(due)
    else this.wire.destroy()
  }

  connected(leg: UpstreamLeg): void {
    this.tries?.opened()
    const { wire, early } = this
    if (wire.isClosed) {
      leg.wire.destroy()
      return
    }
    leg.introduce()
    if (early !== null) {
      this.early = null
      this.session.session.upstreamSent += early.length
      leg.wire.sendOwned(early)
    }
    leg.wire.flush()
    if (this.clientEnded) leg.wire.end()
    this.activeAt = clock.now
    wire.setDeadline(clock.now + this.idleTimeout)
    if (!leg.wire.isFull) wire.resume()
  }

  /** Bytes of the upstream. */
  received(leg: UpstreamLeg, bytes: Buffer, length: number): void {
    this.activeAt = clock.now
    const counts = this.session.session
    counts.upstreamReceived += length
    counts.sent += length
    this.wire.sendFrom(leg.wire, bytes, 0, length)
    this.wire.flush()
    if (this.wire.isFull) leg.wire.pause()
  }

  upstreamEnded(): void {
    this.wire.end()
  }

  upstreamDrained(): void {
    this.activeAt = clock.now
    if (this.leg?.isOpen) this.wire.resume()
  }

  /** The connection to the upstream is gone. */
  upstreamClosed(leg: UpstreamLeg, error: Error | null): void {
    if (leg !== this.leg) return
    if (leg.isOpen) {
      if (error !== null && this.isOpen) {
        this.session.session.status = 502
        this.session.outcome = 'upstream_abort'
      }
      // What came of it is still delivered, to a client that takes it.
      this.idleTimeout = this.engine.settings.timeouts.write_stall
      this.activeAt = clock.now
      this.wire.closeAfterWrites()
      if (this.isOpen) this.wire.setDeadline(clock.now + this.idleTimeout)
      this.finishWhenClosed()
      return
    }
    this.leg = null
    if (this.wire.isClosed) this.finishWhenClosed()
    else this.retry(leg.isLate ? 'connect_timeout' : 'connect_failed', error)
  }

  private retry(fault: 'connect_failed' | 'connect_timeout', error: Error | null): void {
    const tries = this.tries as Tries
    const refusal = tries.failed(fault, error)
    if (refusal === null) this.connect(tries)
    else refuse(this, refusal)
  }

  private connect(tries: Tries): void {
    const address = tries.next()
    if (typeof address === 'string')
      this.leg = new UpstreamLeg(this, this.engine, tries, address, this.header())
    else refuse(this, address satisfies GatewayError)
  }

  /** Who the client is, for an upstream that wants to know; null: it does not. */
  private header(): Buffer | null {
    const { upstream } = this.tries as Tries
    const version = upstream.spec.proxy_protocol ?? this.listener.proxy_protocol_to_upstream
    return version === undefined ? null : proxyHeader(version, this.session.client)
  }

  private peek(most: number, isEnough: (arrived: Buffer) => boolean): Promise<Buffer | null> {
    const { promise, resolve } = Promise.withResolvers<Buffer | null>()
    this.peeking = { most, isEnough, resolve, reads: 0 }
    this.wire.setDeadline(clock.now + this.engine.settings.timeouts.handshake)
    this.look()
    return promise
  }

  private look(): void {
    const { peeking, early } = this
    if (peeking === null) return
    if (early !== null && peeking.isEnough(early)) this.endPeek(early)
    else if (
      !this.isOpen ||
      this.clientEnded ||
      (early?.length ?? 0) >= peeking.most ||
      ++peeking.reads > mostReads
    )
      this.endPeek(null)
    else this.wire.resume()
  }

  private endPeek(found: Buffer | null): void {
    const { peeking } = this
    if (peeking === null) return
    this.peeking = null
    this.wire.clearDeadline()
    this.wire.pause()
    peeking.resolve(found)
  }

  private hold(bytes: Buffer, length: number): void {
    const piece = Buffer.from(bytes.subarray(0, length))
    this.session.session.received += length
    this.early = this.early === null ? piece : Buffer.concat([this.early, piece])
    // Also for a read that was under way when the wire was paused.
    this.wire.pause()
  }

  private finishWhenClosed(): void {
    const { leg, session } = this
    if (this.isOpen || (leg !== null && !leg.wire.isClosed) || session.end !== 0) return
    const isRefused = session.session.status !== 200
    if (session.outcome === 'pending')
      session.outcome = leg?.isOpen || isRefused ? 'complete' : 'client_abort'
    this.tries?.over(leg?.isOpen ? 'complete' : 'abandoned')
    observe(session, session.binding?.chain(), this.engine)
    this.closed(this)
  }
}

/** Who waits for what the client sends first. */
interface Peek {
  readonly most: number
  isEnough(arrived: Buffer): boolean
  resolve(found: Buffer | null): void
  reads: number
}

/** Pieces in which that may arrive. */
const mostReads = 256

/** It is slow, but takes what there is for it. */
const isTaking = (wire: Wire) => wire.queued > 0 && wire.hasProgressed()

/** The side of a session that faces the endpoint. */
class UpstreamLeg implements WireOwner {
  readonly wire: Wire
  /** It is connected. */
  isOpen = false
  /** It took too long. */
  isLate = false
  private readonly owner: TcpSession
  private readonly header: Buffer | null
  private readonly isSecure: boolean

  constructor(owner: TcpSession, engine: Engine, tries: Tries, address: string, header: Buffer | null) {
    this.owner = owner
    this.header = header
    const endpoint = tries.endpoint!
    const { tls, port } = endpoint
    this.isSecure = tls !== null
    const name = owner.session.client.tls?.serverName || (tls?.options.verify === false ? unnamedServer : '')
    const make =
      tls === null
        ? connect(address, port)
        : tls.connect(address, port, name || tries.upstream.serverName(endpoint), {
            protocols: null,
            preamble: header,
          })
    this.wire = new Wire(this, engine.wheel, make)
    this.wire.socket.once(tls === null ? 'connect' : 'secureConnect', () => this.connected())
    this.wire.setDeadline(clock.now + tries.upstream.timeouts.connect)
  }

  /** In TLS the header stands in front of the handshake. */
  introduce(): void {
    if (this.header !== null && !this.isSecure) this.wire.sendOwned(this.header)
  }

  /** The client has gone. */
  close(patience: number): void {
    this.wire.closeAfterWrites()
    this.wire.setDeadline(clock.now + patience)
  }

  onBytes(bytes: Buffer, length: number): void {
    this.owner.received(this, bytes, length)
  }

  onEnd(): void {
    if (this.isOpen) this.owner.upstreamEnded()
    else this.wire.destroy()
  }

  onDrain(): void {
    this.owner.upstreamDrained()
  }

  onClose(error: Error | null): void {
    this.owner.upstreamClosed(this, error)
  }

  onDeadline(): void {
    this.isLate = true
    this.wire.destroy()
  }

  private connected(): void {
    if (this.wire.isClosed) return
    clock.tick()
    this.isOpen = true
    this.wire.clearDeadline()
    this.owner.connected(this)
  }
}
