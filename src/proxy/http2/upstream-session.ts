/**
 * One HTTP/2 connection to an endpoint. It is ready when the peer's SETTINGS have come: until then nothing of a request is
 * sent, so that a peer that speaks something else costs nothing but the attempt.
 */
import type http2 from 'node:http2'
import net from 'node:net'
import { clock } from '../clock.ts'
import type { HeadLimits } from '../http1/head.ts'
import type { Deadline, TimerWheel } from '../timer-wheel.ts'
import type { UpstreamTls } from '../tls/upstream-tls.ts'
import type { UpstreamFault } from '../upstream/attempt.ts'
import type { Breaker } from '../upstream/breaker.ts'
import type { UpstreamUser } from '../upstream/carrier.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Opening } from '../upstream/opening.ts'
import type { SessionPool } from './session-pool.ts'
import { UpstreamStream } from './upstream-stream.ts'

/** Bytes of one answer, and of all of a connection, that a peer may send before it hears that they were taken. */
const streamWindow = 256 * 1024
const connectionWindow = 4 * 1024 * 1024

/** Megabytes that Node.js grants one connection for everything that waits in it. */
const sessionMemory = 64

export interface SessionOptions {
  readonly endpoint: Endpoint
  readonly pool: SessionPool
  readonly address: string
  readonly opening: Opening
  readonly wheel: TimerWheel
  readonly limits: HeadLimits
  /** Milliseconds until it has to be ready. */
  readonly connectTimeout: number
  /** Where the connection is counted until it is closed; null: nowhere. */
  readonly breaker: Breaker | null
  /** Its requests are calls of gRPC. */
  readonly isGrpc: boolean
}

export class UpstreamSession implements Deadline {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  readonly address: string
  readonly purpose: string
  readonly wheel: TimerWheel
  readonly limits: HeadLimits
  readonly isGrpc: boolean
  readonly scheme: 'http' | 'https'
  isReady = false

  private readonly endpoint: Endpoint
  private readonly pool: SessionPool
  readonly tls: UpstreamTls | null
  private breaker: Breaker | null
  private readonly session: http2.ClientHttp2Session
  /** Requests that are to be sent once it is ready. */
  private waiting: UpstreamStream[] = []
  /** Streams that are open, whoever still wants them. */
  private open = 0
  /** Requests that it has carried. */
  private served = 0
  private leaving = false
  private over = false
  private countedIdle = false
  /** The last stream that the peer says it looked at. */
  private lastSeen = Number.POSITIVE_INFINITY
  /** Why it ended, where that is known. */
  failure: Error | null = null
  /** When something came that says that the peer is there. */
  heardAt = clock.now

  /** The TLS of the endpoint, if it has any, has to be prepared. */
  constructor(options: SessionOptions) {
    const { endpoint, address, opening } = options
    this.endpoint = endpoint
    this.pool = options.pool
    this.address = address
    this.purpose = opening.purpose
    this.wheel = options.wheel
    this.limits = options.limits
    this.breaker = options.breaker
    this.isGrpc = options.isGrpc
    this.tls = endpoint.tls
    this.scheme = this.tls === null ? 'http' : 'https'
    const { port } = endpoint
    const socket =
      this.tls === null
        ? connectAfter(opening.header, address, port)
        : this.tls.connectHttp2(address, port, opening.serverName, opening.header)
    this.session = connectOver(socket, options.limits)
    this.session.on('connect', () => this.session.setLocalWindowSize(connectionWindow))
    this.session.on('remoteSettings', (settings) => this.settingsCame(settings))
    this.session.on('goaway', (_code, lastStreamId) => this.goAway(lastStreamId))
    this.session.on('error', (error) => {
      this.failure ??= error
    })
    this.session.on('close', () => this.closed())
    this.wheel.set(this, clock.now + options.connectTimeout)
    this.pool.add(this)
  }

  /** It takes a further request. */
  get hasRoom(): boolean {
    const { open, waiting, pool, endpoint } = this
    return (
      !this.leaving &&
      open + waiting.length < pool.streams &&
      this.served + waiting.length < endpoint.limits.requests
    )
  }

  get isIdle(): boolean {
    return this.isReady && this.open === 0
  }

  /** Takes a request, which may be sent at once if the session is ready, else when it hears so. */
  join(user: UpstreamUser): UpstreamStream {
    const stream = new UpstreamStream(this, user)
    if (this.isReady) this.admit()
    else this.waiting.push(stream)
    return stream
  }

  /** Opens a stream. @throws Error for fields that cannot be sent */
  request(fields: readonly string[], options: http2.ClientSessionRequestOptions): http2.ClientHttp2Stream {
    return this.session.request(fields as string[], options)
  }

  /** A request that waited is not wanted any more. */
  leave(stream: UpstreamStream): void {
    const at = this.waiting.indexOf(stream)
    if (at >= 0) this.waiting.splice(at, 1)
  }

  /** A request that it took is closed on both sides. */
  streamClosed(): void {
    this.open--
    this.settle()
  }

  /** Without requests it waits for further ones, or ends. */
  private settle(): void {
    if (this.open > 0 || this.over) return
    if (this.leaving || !this.keepIdle()) this.end()
    else this.wheel.set(this, clock.now + this.endpoint.limits.idleTimeout)
  }

  /** Whether the peer said that it did nothing about a stream. */
  ignored(streamId: number): boolean {
    return streamId > this.lastSeen
  }

  /** Takes no further request, and ends when those that it has are over. */
  discard(): void {
    if (this.leaving) return
    this.leaving = true
    this.pool.forget(this)
    if (this.isReady && this.open === 0) this.end()
  }

  onDeadline(): void {
    if (this.over) return
    if (!this.isReady) this.fail('connect_timeout', null)
    else if (this.open === 0) this.discard()
  }

  private settingsCame(settings: http2.Settings): void {
    clock.tick()
    this.heardAt = clock.now
    this.pool.streams = settings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY
    if (this.isReady || this.over) return
    this.isReady = true
    this.breaker?.connectionSettled()
    this.wheel.clear(this)
    const { waiting } = this
    this.waiting = []
    for (let i = 0; i < waiting.length; i++) {
      const stream = waiting[i]!
      if (this.open < this.pool.streams) {
        this.admit()
        stream.begin(i === 0)
      } else stream.fail('refused', null)
    }
    this.settle()
  }

  private admit(): void {
    this.open++
    this.served++
    if (this.countedIdle) {
      this.countedIdle = false
      this.breaker?.leaveIdle()
    }
    this.wheel.clear(this)
    if (this.served >= this.endpoint.limits.requests) {
      this.leaving = true
      this.pool.forget(this)
    }
  }

  private keepIdle(): boolean {
    const { endpoint, pool } = this
    if (pool.idle > endpoint.limits.size || !endpoint.keeps(this)) return false
    if (this.breaker === null) return true
    this.countedIdle = this.breaker.keepIdle()
    return this.countedIdle
  }

  private goAway(lastStreamId: number): void {
    this.lastSeen = lastStreamId
    this.leaving = true
    this.pool.forget(this)
  }

  private end(): void {
    this.leaving = true
    this.pool.forget(this)
    this.session.close()
  }

  private fail(fault: UpstreamFault, error: Error | null): void {
    const { waiting } = this
    this.waiting = []
    this.leaving = true
    this.pool.forget(this)
    this.session.destroy()
    this.closed()
    for (const stream of waiting) stream.fail(fault, error)
  }

  private closed(): void {
    clock.tick()
    if (this.over) return
    this.over = true
    this.leaving = true
    this.wheel.clear(this)
    this.pool.forget(this)
    const { breaker } = this
    if (breaker !== null) {
      this.breaker = null
      if (this.countedIdle) breaker.leaveIdle()
      if (!this.isReady) breaker.connectionSettled()
      breaker.connectionClosed(this.endpoint.poolFor(this.purpose))
    }
    const { waiting } = this
    this.waiting = []
    for (const stream of waiting) stream.fail('connect_failed', this.failure)
  }
}

function connectAfter(header: Buffer | null, host: string, port: number): net.Socket {
  const socket = net.connect({ host, port, noDelay: true })
  if (header !== null) socket.write(header)
  return socket
}

function connectOver(socket: net.Socket, limits: HeadLimits): http2.ClientHttp2Session {
  const authority = { protocol: 'http:', hostname: 'upstream', port: '' } as URL
  const session = builtIn().connect(authority, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: limits.head },
    // Beside the fields there is `:status`.
    maxHeaderListPairs: limits.headers + 1,
    maxSessionMemory: sessionMemory,
    // What clients say twice is passed on as they said it.
    strictSingleValueFields: false,
  } as http2.ClientSessionOptions)
  return session
}

/** Loaded by the first connection. */
function builtIn(): typeof http2 {
  return process.getBuiltinModule('node:http2')
}
