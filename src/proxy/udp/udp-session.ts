/**
 * One UDP session: the datagrams of one client, told from others by its address and port, to one endpoint and back. It ends
 * when it has been silent for long enough; nothing else says that it is over.
 */
import type dgram from 'node:dgram'
import { isIPv6 } from 'node:net'
import { clock } from '../clock.ts'
import type { Engine } from '../engine.ts'
import type { UpstreamConnection } from '../http1/upstream-connection.ts'
import { type Applicant, admit, observe, refuse } from '../stream/admission.ts'
import type { StreamSession } from '../stream/session.ts'
import type { StreamBinding } from '../stream/stream-routes.ts'
import { Tries } from '../stream/tries.ts'
import type { Deadline } from '../timer-wheel.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** Where the answers of a session go. */
export interface UdpReturn {
  answer(session: UdpSession, datagram: Buffer): void
  over(session: UdpSession): void
}

/** Datagrams that wait while a session is decided on. */
const mostWaiting = 16
/** Bytes that a socket may have queued; what comes beyond is dropped, as a network would. */
export const mostQueued = 1024 * 1024
/** Milliseconds that a datagram without an answer has left when the listener closes. */
const lastWait = 1000

export class UdpSession implements Applicant, Deadline {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  readonly session: StreamSession
  /** As the system knows its client. */
  readonly peer: { readonly address: string; readonly port: number }
  isOpen = true
  private readonly engine: Engine
  private readonly back: UdpReturn
  private waiting: Buffer[] | null = []
  private idleTimeout: number
  private tries: Tries | null = null
  private socket: dgram.Socket | null = null
  private ready = false
  /** What the endpoint said came after everything that the client said. */
  private answered = false

  constructor(
    session: StreamSession,
    peer: { readonly address: string; readonly port: number },
    engine: Engine,
    back: UdpReturn,
  ) {
    this.session = session
    this.peer = peer
    this.engine = engine
    this.back = back
    this.idleTimeout = engine.settings.timeouts.datagrams
    engine.wheel.set(this, clock.now + this.idleTimeout)
  }

  /** For the worker, which ends whatever it has. */
  get wire(): { destroy(): void } {
    return { destroy: () => this.finish() }
  }

  /** After its first datagram. */
  start(binding: StreamBinding): void {
    admit(this, binding, this.engine)
  }

  /** A datagram of the client. */
  received(datagram: Buffer): void {
    if (!this.isOpen) return
    this.session.session.received += datagram.length
    this.answered = false
    this.engine.wheel.set(this, clock.now + this.idleTimeout)
    if (this.ready) this.send(datagram)
    else if (this.waiting !== null && this.waiting.length < mostWaiting) this.waiting.push(datagram)
  }

  admitted(upstream: Upstream<UpstreamConnection>): void {
    const { session_timeout: timeout } = upstream.spec
    if (timeout !== undefined) this.idleTimeout = timeout * 1000
    const tries = new Tries(this.session, upstream, this.engine)
    this.tries = tries
    const refusal = tries.begin()
    if (refusal !== null) refuse(this, refusal)
    else this.connect(tries)
  }

  /** What comes of the same client while it is silent for no longer is dropped, so that refusing costs once. */
  refused(status: number): void {
    this.session.session.status = status
    this.waiting = null
    this.engine.wheel.set(this, clock.now + this.idleTimeout)
  }

  drain(): void {
    if (this.answered || this.tries === null) this.finish()
    else this.engine.wheel.set(this, clock.now + lastWait)
  }

  onDeadline(): void {
    this.finish()
  }

  private connect(tries: Tries): void {
    const address = tries.next()
    if (typeof address !== 'string') {
      refuse(this, address)
      return
    }
    const { createSocket } = process.getBuiltinModule('node:dgram')
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    this.socket = socket
    socket.on('message', (datagram) => this.answer(datagram))
    socket.on('error', (error) => this.failed(error))
    socket.connect(tries.port, address, () => this.connected())
  }

  private connected(): void {
    if (!this.isOpen) return
    clock.tick()
    this.tries?.opened()
    this.ready = true
    const { waiting } = this
    this.waiting = null
    for (const datagram of waiting ?? []) this.send(datagram)
  }

  private send(datagram: Buffer): void {
    const socket = this.socket as dgram.Socket
    if (socket.getSendQueueSize() > mostQueued) return
    this.session.session.upstreamSent += datagram.length
    socket.send(datagram)
  }

  private answer(datagram: Buffer): void {
    if (!this.isOpen) return
    clock.tick()
    this.answered = true
    this.session.session.upstreamReceived += datagram.length
    this.engine.wheel.set(this, clock.now + this.idleTimeout)
    this.back.answer(this, datagram)
  }

  /** Nobody listens there, or it cannot be reached. The next datagram begins a new session, which may go elsewhere. */
  private failed(error: Error): void {
    if (!this.isOpen) return
    clock.tick()
    this.session.session.status = 502
    if (this.session.session.upstreamReceived === 0) this.tries?.failed('connect_failed', error)
    this.finish()
  }

  private finish(): void {
    if (!this.isOpen) return
    this.isOpen = false
    const { session, socket } = this
    this.engine.wheel.clear(this)
    this.waiting = null
    session.outcome = 'complete'
    this.tries?.over(session.session.upstreamReceived > 0 ? 'complete' : 'abandoned')
    socket?.close()
    observe(session, session.binding?.chain(), this.engine)
    this.back.over(this)
  }
}
