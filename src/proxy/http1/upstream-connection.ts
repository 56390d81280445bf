/**
 * One connection to an endpoint: carries one request after the other, never two at a time. A connection that did anything
 * out of turn (bytes while idle, bytes after a complete answer, a doubtful head) never serves another request.
 */

import { clock } from '../clock.ts'
import type { TimerWheel } from '../timer-wheel.ts'
import { requestsBehind, type UpstreamTls } from '../tls/upstream-tls.ts'
import type { UpstreamFault } from '../upstream/attempt.ts'
import type { Breaker } from '../upstream/breaker.ts'
import type { ByteSource, Carrier, Tunnel, UpstreamUser } from '../upstream/carrier.ts'
import type { Endpoint, PooledConnection } from '../upstream/endpoint.ts'
import type { Opening } from '../upstream/opening.ts'
import { BodyReader } from './body.ts'
import { Head, type HeadLimits, Parse } from './head.ts'
import { trailerLines } from './trailers.ts'
import { connect, Wire, type WireOwner } from './wire.ts'

/** Interim answers that one request may bring: more is an attack or a bug (endless 103). */
const maxInterim = 32

export class UpstreamConnection implements WireOwner, PooledConnection, Carrier, Tunnel {
  readonly endpoint: Endpoint<UpstreamConnection>
  readonly address: string
  readonly tls: UpstreamTls | null
  readonly purpose: string
  readonly isPersonal: boolean
  readonly wire: Wire
  served = 0
  /** Nothing of an answer has arrived for the current request. */
  untouched = true
  connected = false

  private user: UpstreamUser | null
  private readonly head: Head
  private readonly body: BodyReader
  private readonly limits: HeadLimits
  private pending: Buffer | null = null
  private state: 'connecting' | 'idle' | 'head' | 'body' | 'answered' | 'tunnel' | 'over' = 'connecting'
  private interim = 0
  private keepAlive = false
  /** The request has left completely, so the connection may serve another one after the answer. */
  private requestSent = false
  /** Its content is sent in chunks. */
  private chunked = false
  private connectDeadline = true
  /** Where it is counted until it is closed; null: nowhere. */
  private breaker: Breaker | null

  constructor(
    endpoint: Endpoint<UpstreamConnection>,
    address: string,
    user: UpstreamUser,
    wheel: TimerWheel,
    limits: HeadLimits,
    connectTimeout: number,
    breaker: Breaker | null,
    opening: Opening,
  ) {
    this.breaker = breaker
    this.endpoint = endpoint
    this.address = address
    this.user = user
    this.limits = limits
    this.head = new Head(limits.headers)
    this.body = new BodyReader(limits)
    const { tls, port } = endpoint
    this.tls = tls
    const { serverName, header, purpose } = opening
    this.purpose = purpose
    this.isPersonal = header !== null
    const make =
      tls === null ? connect(address, port) : tls.connect(address, port, serverName, requestsBehind(header))
    this.wire = new Wire(this, wheel, make)
    this.wire.socket.once(tls === null ? 'connect' : 'secureConnect', () => {
      // In TLS it stands in front of the handshake.
      if (header !== null && tls === null) this.wire.sendOwned(header)
      this.onConnect()
    })
    this.wire.setDeadline(clock.now + connectTimeout)
  }

  /** Begins to serve a request over a pooled connection. */
  use(user: UpstreamUser): void {
    this.breaker?.leaveIdle()
    this.user = user
    this.begin()
  }

  /** The user has no more interest. A connection with an unfinished exchange ends. */
  drop(): void {
    this.user = null
    this.close()
  }

  discard(): void {
    this.close()
  }

  get isFull(): boolean {
    return this.wire.isFull
  }

  get isPaused(): boolean {
    return this.wire.isPaused
  }

  sendHead(text: string, chunked: boolean): void {
    this.chunked = chunked
    this.wire.send(text)
  }

  sendText(text: string): void {
    this.wire.send(this.chunked ? `${text.length.toString(16)}\r\n${text}\r\n` : text)
  }

  sendContent(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    const { wire } = this
    if (this.chunked) {
      wire.send(`${(end - start).toString(16)}\r\n`)
      wire.sendFrom(from, bytes, start, end)
      wire.send('\r\n')
    } else wire.sendFrom(from, bytes, start, end)
  }

  endRequest(trailers: Head | null): void {
    if (this.chunked) this.wire.send(`0\r\n${trailerLines(trailers)}\r\n`)
    this.requestSent = true
  }

  flush(): void {
    this.wire.flush()
  }

  pause(): void {
    this.wire.pause()
  }

  resume(): void {
    this.wire.resume()
  }

  tunnelContent(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    this.wire.sendFrom(from, bytes, start, end)
    this.wire.flush()
  }

  endTunnel(): void {
    this.wire.end()
  }

  setDeadline(due: number): void {
    this.wire.setDeadline(due)
  }

  /** After a complete answer: back to the pool if both sides are where they should be, else ends. */
  release(): void {
    this.user = null
    if (this.state === 'over') return
    this.served++
    const reusable = this.state === 'answered' && this.keepAlive && this.requestSent && !this.wire.isClosed
    if (!reusable || this.wire.queued > 0 || !this.enterPool()) {
      this.discard()
      return
    }
    this.state = 'idle'
    this.wire.streamEnded()
    this.wire.resume()
    this.wire.setDeadline(clock.now + this.endpoint.limits.idleTimeout)
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.state === 'head' || this.state === 'body') {
      this.read(bytes, 0, length)
    } else if (this.state === 'tunnel') {
      this.user?.onTunnel(this.wire, bytes, 0, length)
    } else if (this.state !== 'over') {
      // Idle or still connecting: whatever this is, it answers nothing we asked (RFC 9112 9.2).
      this.leavePool()
    }
  }

  onEnd(): void {
    if (this.state === 'tunnel') {
      this.user?.onTunnelEnd()
      return
    }
    if (this.state === 'body' && this.body.endsWithConnection) {
      this.body.connectionEnded()
      this.finish(false)
      return
    }
    if (this.state === 'idle') this.leavePool()
    else this.fault('closed', null)
  }

  onDrain(): void {
    this.user?.onWritable()
  }

  onClose(error: Error | null): void {
    if (this.state === 'idle') this.leavePool()
    else if (this.state === 'tunnel') {
      const user = this.user
      this.close()
      user?.onFault('closed', error)
    } else if (this.state === 'connecting') this.fault('connect_failed', error)
    else this.fault('closed', error)
  }

  onDeadline(): void {
    if (this.state === 'idle') {
      this.leavePool()
      return
    }
    // It is slow in taking the request but takes it; or it waits for a client that is slow in taking the answer.
    if (this.wire.isPaused || (this.wire.queued > 0 && this.wire.hasProgressed())) {
      this.wire.setDeadline(clock.now + 1000)
      return
    }
    this.fault(this.connectDeadline ? 'connect_timeout' : 'timeout', null)
  }

  private onConnect(): void {
    if (this.state !== 'connecting') return
    clock.tick()
    this.connected = true
    this.breaker?.connectionSettled()
    this.connectDeadline = false
    this.begin()
    this.user?.onConnected(true)
  }

  private begin(): void {
    this.state = 'head'
    this.untouched = true
    this.requestSent = false
    this.keepAlive = false
    this.interim = 0
    this.pending = null
  }

  private read(bytes: Buffer, from: number, to: number): void {
    this.untouched = false
    const user = this.user
    let at = from
    let source = bytes
    let end = to
    if (this.pending !== null) {
      source = Buffer.concat([this.pending, bytes.subarray(from, to)])
      this.pending = null
      at = 0
      end = source.length
    }
    while (at < end) {
      if (this.state === 'head') {
        const next = this.readHead(source, at, end)
        if (next < 0) return
        at = next
      } else if (this.state === 'body') {
        at = this.body.next(source, at, end)
        if (this.body.to > this.body.from)
          this.user?.onContent(this.wire, source, this.body.from, this.body.to)
        if (this.body.failed) {
          this.fault('bad_response', null)
          return
        }
        if (this.body.done) this.finish(at < end)
      } else if (this.state === 'tunnel') {
        this.user?.onTunnel(this.wire, source, at, end)
        at = end
      } else return
    }
    if (user !== null && this.user === user) user.onReadOver()
  }

  /** @returns the offset after the head, or -1 when there is nothing more to do with this read */
  private readHead(bytes: Buffer, at: number, end: number): number {
    const next = this.head.parseResponse(bytes, at, end, this.limits)
    if (next === Parse.incomplete) {
      this.pending = Buffer.from(bytes.subarray(at, end))
      return -1
    }
    if (next < 0) {
      this.fault('bad_response', null)
      return -1
    }
    const { head, user } = this
    if (user === null) return -1
    if (head.status < 200 && head.status !== 101) {
      if (++this.interim > maxInterim || head.minor === 0 || head.chunked) {
        this.fault('bad_response', null)
        return -1
      }
      user.onInterim(head)
      return next
    }
    this.keepAlive =
      head.minor === 1 ? !head.connectionClose : head.connectionKeepAlive && !head.connectionClose
    this.state = 'body'
    if (head.status === 101) {
      this.state = 'tunnel'
      user.onSwitch(head, this)
      const isOver = (this.state as string) === 'over'
      return isOver ? -1 : next
    }
    const bodiless = user.requestMethod === 'HEAD' || head.status === 204 || head.status === 304
    if (bodiless) this.body.beginNone()
    else if (head.chunked) this.body.beginChunked()
    else if (head.contentLength >= 0) this.body.beginLength(head.contentLength)
    else {
      this.body.beginUntilClose()
      this.keepAlive = false
    }
    user.onHead(head, this.body)
    // Read again: the user may have refused the answer.
    const state: string = this.state
    if (state === 'over') return -1
    if (state === 'body' && this.body.done) this.finish(next < end)
    return next
  }

  private finish(extraBytes: boolean): void {
    // Bytes that follow a complete answer belong to no request (RFC 9112 9.2): this connection has said enough.
    if (extraBytes) this.keepAlive = false
    this.state = 'answered'
    this.user?.onComplete()
  }

  /** The body's trailer section, once the answer is complete. */
  get trailers(): Head | null {
    return this.body.trailers
  }

  private enterPool(): boolean {
    if (this.breaker === null) return this.endpoint.checkin(this)
    if (!this.breaker.keepIdle()) return false
    if (this.endpoint.checkin(this)) return true
    this.breaker.leaveIdle()
    return false
  }

  private leavePool(): void {
    this.endpoint.forget(this)
    this.close()
  }

  /** Ends the connection, whatever it is doing. */
  private close(): void {
    const { breaker } = this
    if (breaker !== null) {
      this.breaker = null
      if (this.state === 'idle') breaker.leaveIdle()
      if (!this.connected) breaker.connectionSettled()
      breaker.connectionClosed(this.endpoint.poolFor(this.purpose))
    }
    this.state = 'over'
    this.wire.destroy()
  }

  private fault(fault: UpstreamFault, error: Error | null): void {
    if (this.state === 'over') return
    const user = this.user
    this.user = null
    this.close()
    user?.onFault(fault, error)
  }
}
