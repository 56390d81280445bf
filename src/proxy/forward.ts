/**
 * Sends one request to an upstream and its answer back: pick, connect, send, stream, and try again where that is safe.
 *
 * What may be sent again (RFC 9110 9.2.2): anything of which nothing was sent; after that only an idempotent request whose
 * whole body is still at hand, and only while nothing of an answer has been read. A POST reaches an upstream once.
 */

import { engineCounter } from '../telemetry/engine-counters.ts'
import { clock } from './clock.ts'
import type { Engine } from './engine.ts'
import { errors, type GatewayError } from './errors.ts'
import type { UpstreamInfo } from './exchange.ts'
import { callTimeout } from './grpc/timeout.ts'
import { headerName } from './headers.ts'
import type { HttpExchange } from './http-exchange.ts'
import type { ClientFacts } from './http1/client-facts.ts'
import type { Head } from './http1/head.ts'
import { HeadFields } from './http1/header-view.ts'
import { requestHead, upstreamHost } from './http1/request-head.ts'
import { UpstreamConnection } from './http1/upstream-connection.ts'
import { SessionPool } from './http2/session-pool.ts'
import { UpstreamSession } from './http2/upstream-session.ts'
import { type Chain, runHooks } from './pipeline.ts'
import { proxyHeader } from './proxy-protocol/header-writer.ts'
import type { Binding } from './runtime.ts'
import { serverNameOf } from './tls/upstream-tls.ts'
import type { AttemptEnd, UpstreamFault } from './upstream/attempt.ts'
import type { Breaker } from './upstream/breaker.ts'
import type { AnswerBody, ByteSource, Carrier, Tunnel, UpstreamUser } from './upstream/carrier.ts'
import { type Endpoint, hostPort } from './upstream/endpoint.ts'
import { type Opening, openingFor, plainOpening } from './upstream/opening.ts'
import type { Timeouts } from './upstream/timeouts.ts'
import type { Upstream } from './upstream/upstream.ts'

/** What is left of an answer that nobody wants is read and forgotten up to that many bytes, so that its connection can be kept. */
const forgottenSize = 64 * 1024

/** Body bytes kept while there is no connection to send them to; then the client waits. */
const holdSize = 64 * 1024

const upstreamStatusField = headerName('X-APISIX-Upstream-Status')

const idempotent = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'PUT',
  'DELETE',
  'TRACE',
  'PROPFIND',
  'SEARCH',
  'REPORT',
  'QUERY',
])

/** The client's side, as forwarding needs it. */
export interface ClientSide {
  readonly facts: ClientFacts
  /** The client, or a filter of the answer's body, is slower than the upstream: it should wait until `clientWritable`. */
  readonly isFull: boolean
  /** Bytes of the request body may flow again. */
  resumeRequestBody(): void
  interim(head: Head): void
  /** The answer's head; it leaves with the first content or at `flush`. @returns false when it was refused and answered otherwise */
  head(head: Head, body: AnswerBody): boolean
  content(from: ByteSource, bytes: Buffer, start: number, end: number): void
  /** The answer is complete. `before` runs when everything is written and before the client's next request begins. */
  complete(trailers: Head | null, before: () => void): void
  /** The answer breaks off; the client must be able to tell, or gets this error where it has no head yet. */
  abort(error: GatewayError): void
  fail(error: GatewayError): void
  /** The upstream has no answer. */
  unreachable(error: GatewayError): void
  tunnel(head: Head): void
  /** Bytes of the upstream in a tunnel. */
  tunnelPiece(from: ByteSource, bytes: Buffer, start: number, end: number): void
  tunnelEnd(): void
  flush(): void
}

export class Forward implements UpstreamUser, UpstreamInfo {
  readonly requestMethod: string
  attempts = 0
  status = 0

  private readonly exchange: HttpExchange
  private readonly timeouts: Timeouts
  private readonly chain: Chain
  private readonly upstream: Upstream<UpstreamConnection>
  private readonly client: ClientSide
  private readonly engine: Engine
  private carrier: Carrier | null = null
  private endpoint: Endpoint<UpstreamConnection> | null = null
  private reused = false
  private retriesLeft: number
  private readonly retryUntil: number
  private tried: Set<Endpoint<UpstreamConnection>> | null = null
  /** Addresses and statuses of the attempts that failed, as nginx lists them. */
  private failedAt = ''
  /** Of the last attempt; empty: there was none to connect to. */
  private peerAddress = ''
  private failures = ''
  /** The head of the current attempt is on its way, so that body bytes may follow. */
  private ready = false
  private headPassed = false
  private over = false
  private bodyDone: boolean
  /** Of a body that was complete before forwarding began, or once it is. */
  trailers: Head | null = null
  /** Content that arrived before there was a connection to send it to, as latin1 text. */
  private held: string
  /** The content so far, while it can still be sent again; null when it cannot. */
  private replay: string | null
  /** It may be sent again though something of it was sent. */
  private readonly isRepeatable: boolean
  /** It may be sent once more to the same endpoint, because nobody there looked at it. */
  private mayRepeatHere = true
  /** When whoever asked stops waiting; infinity: nobody says. */
  private readonly until: number
  /** Raw bytes after a 101; null: none yet. */
  private tunnel: Tunnel | null = null
  /** Where this request is counted, until it is over; null: nowhere. */
  private breaker: Breaker | null = null
  /** It is counted as one that is tried again. */
  private countsAsRetry = false
  /** This attempt is counted in its endpoint's `active`. */
  private atEndpoint = false
  /** When this attempt began; 0 while nobody wants to know. */
  private attemptStart = 0

  constructor(
    exchange: HttpExchange,
    binding: Binding,
    chain: Chain,
    upstream: Upstream<UpstreamConnection>,
    client: ClientSide,
    engine: Engine,
    bodyDone: boolean,
    early: string,
  ) {
    this.exchange = exchange
    this.timeouts = binding.timeoutsOf(upstream)
    this.chain = chain
    this.held = early
    this.upstream = upstream
    this.client = client
    this.engine = engine
    this.requestMethod = exchange.upstreamMethod
    this.bodyDone = bodyDone
    this.retriesLeft = upstream.retries
    const { retry_timeout: retryTimeout } = upstream.spec
    this.retryUntil = retryTimeout > 0 ? clock.now + retryTimeout * 1000 : Number.POSITIVE_INFINITY
    this.isRepeatable = idempotent.has(exchange.upstreamMethod)
    // Over HTTP/2 a server can say that it did nothing about a request, whatever that was.
    this.replay = this.isRepeatable || upstream.speaksHttp2 ? '' : null
    this.until = upstream.speaksGrpc ? clock.now + callTimeout(exchange) : Number.POSITIVE_INFINITY
  }

  get addresses(): string {
    return this.failedAt === '' ? this.peer : `${this.failedAt}, ${this.peer}`
  }

  /** The address of the last attempt as nginx tells it: what a name resolved to, where it did. */
  private get peer(): string {
    return this.peerAddress === '' ? this.address : hostPort(this.peerAddress, this.port)
  }

  get statuses(): string {
    if (this.status === 0) return this.failures
    return this.failures === '' ? String(this.status) : `${this.failures}, ${this.status}`
  }

  get address(): string {
    return this.endpoint?.label ?? ''
  }

  get host(): string {
    return this.endpoint?.host ?? ''
  }

  get port(): number {
    return this.endpoint?.port ?? 0
  }

  get ip(): string {
    return this.peerAddress === '' ? this.host : this.peerAddress
  }

  start(): void {
    this.exchange.upstream = this
    this.exchange.upstreamStart = clock.now
    const { breaker } = this.upstream
    if (breaker !== null) {
      const refusal = breaker.beginRequest()
      if (refusal !== null) {
        this.end(refusal)
        return
      }
      this.breaker = breaker
    }
    this.attempt(false)
  }

  /**
   * A piece of the request body.
   * @returns false when the client should send no more until `resumeRequestBody`
   */
  content(from: ByteSource, bytes: Buffer, start: number, end: number): boolean {
    if (!this.ready) {
      this.held += bytes.toString('latin1', start, end)
      return this.held.length < holdSize
    }
    this.remember(bytes, start, end)
    const carrier = this.carrier as Carrier
    carrier.sendContent(from, bytes, start, end)
    this.armSend()
    return !carrier.isFull
  }

  bodyEnd(trailers: Head | null): void {
    this.bodyDone = true
    this.trailers = trailers
    if (this.ready) this.endBody()
  }

  flush(): void {
    if (this.ready) this.carrier?.flush()
  }

  /** The client is gone, or has its answer already: whatever the upstream still does is not wanted. */
  abandon(): void {
    if (this.over) return
    this.finish()
    this.leaveEndpoint(this.tunnel !== null ? 'complete' : 'abandoned')
    this.carrier?.drop()
  }

  /** Bytes from the client in a tunnel. @returns false when it should wait */
  tunnelContent(from: ByteSource, bytes: Buffer, start: number, end: number): boolean {
    const tunnel = this.tunnel as Tunnel
    tunnel.tunnelContent(from, bytes, start, end)
    this.armRead()
    return !tunnel.isFull
  }

  tunnelClientEnd(): void {
    this.tunnel?.endTunnel()
  }

  onConnected(isNew: boolean): void {
    this.engine.counts.add(isNew ? engineCounter.upstream_connects : engineCounter.upstream_reuses, 1)
    this.sendRequest()
    this.flush()
    if (!this.bodyDone) this.client.resumeRequestBody()
  }

  onInterim(head: Head): void {
    this.armRead()
    this.client.interim(head)
  }

  onHead(head: Head, body: AnswerBody): void {
    if (this.upstream.retriedStatuses !== null && this.triesAfterStatus(head, body)) return
    this.headCame(head)
    if (this.client.head(head, body)) return
    this.finish()
    if (body.remaining >= 0 && body.remaining <= forgottenSize) return
    this.leaveEndpoint('abandoned')
    this.carrier?.drop()
  }

  /** Another endpoint is asked, because the answer is nothing but a status after which that is wanted. */
  private triesAfterStatus(head: Head, body: AnswerBody): boolean {
    if (body.remaining !== 0 || this.replay === null || this.retriesLeft <= 0) return false
    if (clock.now > this.retryUntil || clock.now >= this.until) return false
    const fields = new HeadFields(head)
    const status = fields.get('grpc-status') ?? ''
    // Whoever answers can ask for no further try, or for a later one.
    if (this.upstream.retriedStatuses?.has(status) !== true || fields.has('grpc-retry-pushback-ms'))
      return false
    if (this.breaker !== null && !this.countsAsRetry) {
      if (!this.breaker.beginRetry()) return false
      this.countsAsRetry = true
    }
    const tried = (this.tried ?? new Set()).add(this.endpoint as Endpoint<UpstreamConnection>)
    const other = this.upstream.pick(tried, this.exchange)
    if (other === null) return false
    this.tried = tried
    this.failures = this.failures === '' ? String(head.status) : `${this.failures}, ${head.status}`
    this.retriesLeft--
    this.engine.counts.add(engineCounter.upstream_retries, 1)
    this.leaveEndpoint('complete')
    this.carrier?.drop()
    this.held = this.replay
    this.replay = ''
    this.failedAt = this.addresses
    this.try(other, false)
    this.flush()
    if (this.ready && !this.bodyDone) this.client.resumeRequestBody()
    return true
  }

  onSwitch(head: Head, tunnel: Tunnel): void {
    if (!(this.exchange.upgrade && isWebSocketAnswer(head))) {
      this.carrier?.drop()
      this.fault('bad_response', null)
      return
    }
    this.headCame(head)
    this.tunnel = tunnel
    this.client.tunnel(head)
    this.armRead()
  }

  private headCame(head: Head): void {
    this.exchange.upstreamHead = clock.now
    this.status = head.status
    this.headPassed = true
    if (head.status >= 500 || this.engine.settings.forwarding.show_upstream_status) this.showStatuses()
  }

  onContent(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    this.armRead()
    if (this.over) return
    this.client.content(from, bytes, start, end)
    if (this.client.isFull) this.carrier?.pause()
  }

  onReadOver(): void {
    if (!this.over) this.client.flush()
  }

  onComplete(): void {
    const carrier = this.carrier as Carrier
    if (this.over) {
      this.leaveEndpoint('complete')
      carrier.release()
      return
    }
    this.finish()
    this.client.complete(carrier.trailers, () => {
      this.leaveEndpoint('complete')
      carrier.release()
    })
  }

  onTunnel(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    this.client.tunnelPiece(from, bytes, start, end)
    this.armRead()
    if (this.client.isFull) this.carrier?.pause()
  }

  onTunnelEnd(): void {
    this.client.tunnelEnd()
  }

  /** The upstream took what it was given. */
  onWritable(): void {
    if (this.ready) this.client.resumeRequestBody()
  }

  /** The client took what it was given. */
  clientWritable(): void {
    const { carrier } = this
    if (carrier?.isPaused) {
      this.armRead()
      carrier.resume()
    }
  }

  onFault(fault: UpstreamFault, error: Error | null): void {
    if (this.over) this.leaveEndpoint('abandoned')
    else this.fault(fault, error)
  }

  private attempt(fresh: boolean): void {
    const endpoint = this.upstream.pick(this.tried, this.exchange)
    if (endpoint === null) {
      this.end(this.noneLeft())
      return
    }
    if (this.endpoint !== null) this.failedAt = this.addresses
    this.try(endpoint, fresh)
  }

  private noneLeft(): GatewayError {
    if (this.tried !== null) return errors.allEndpointsTried
    const { endpoints, spec } = this.upstream
    if (endpoints.length === 0) return errors.noEndpoint
    if (spec.type === 'unknown') return errors.unknownBalancing
    return endpoints.some((endpoint) => endpoint.isResolved)
      ? errors.noEndpointWithWeight
      : errors.nameUnresolved
  }

  private try(endpoint: Endpoint<UpstreamConnection>, fresh: boolean): void {
    this.endpoint = endpoint
    this.attempts++
    this.ready = false
    endpoint.enter()
    this.atEndpoint = true
    this.exchange.timeline?.attemptBegins(endpoint.label)
    this.attemptStart = this.upstream.observers === null ? 0 : clock.now
    const opening = this.openingTo(endpoint)
    if (this.upstream.speaksHttp2) {
      this.tryShared(endpoint, opening)
      return
    }
    let pooled = fresh ? undefined : endpoint.checkout(opening.purpose)
    while (pooled?.wire.isClosed) pooled = endpoint.checkout(opening.purpose)
    if (pooled !== undefined) {
      this.reused = true
      this.carrier = pooled
      this.peerAddress = pooled.address
      this.engine.counts.add(engineCounter.upstream_reuses, 1)
      pooled.use(this)
      this.sendRequest()
      return
    }
    const address = this.addressToConnect(endpoint, opening.purpose)
    if (address === null) return
    const { limits } = this.engine.settings
    this.carrier = new UpstreamConnection(
      endpoint,
      address,
      this,
      this.engine.wheel,
      limits,
      this.timeouts.connect,
      this.breaker,
      opening,
    )
  }

  /** Over a connection that carries several requests at a time. */
  private tryShared(endpoint: Endpoint<UpstreamConnection>, opening: Opening): void {
    endpoint.sessions ??= new SessionPool()
    const { sessions } = endpoint
    let session = sessions.find(opening.purpose)
    if (session === undefined) {
      const address = this.addressToConnect(endpoint, opening.purpose)
      if (address === null) return
      session = new UpstreamSession({
        endpoint,
        pool: sessions,
        address,
        opening,
        wheel: this.engine.wheel,
        limits: this.engine.settings.limits,
        connectTimeout: this.timeouts.connect,
        breaker: this.breaker,
        isGrpc: this.upstream.speaksGrpc,
      })
    }
    this.peerAddress = session.address
    this.reused = session.isReady
    this.carrier = session.join(this)
    if (session.isReady) {
      this.engine.counts.add(engineCounter.upstream_reuses, 1)
      this.sendRequest()
    } else if (Number.isFinite(this.until)) this.carrier.setDeadline(this.until)
  }

  /** For a new connection; null: there can be none, and the attempt is over. */
  private addressToConnect(endpoint: Endpoint<UpstreamConnection>, purpose: string): string | null {
    this.reused = false
    const address = endpoint.address()
    this.peerAddress = address ?? ''
    const problem = endpoint.tls?.prepare() ?? null
    if (address === undefined || problem !== null) {
      this.carrier = null
      this.fault('connect_failed', problem)
      return null
    }
    return this.breaker === null || this.hasRoom(this.breaker, endpoint.poolFor(purpose)) ? address : null
  }

  private openingTo(endpoint: Endpoint<UpstreamConnection>): Opening {
    const { proxy_protocol: version } = this.upstream.spec
    if (endpoint.tls === null && version === undefined) return plainOpening
    const serverName = endpoint.tls === null ? '' : this.serverName(endpoint)
    const { client } = this.exchange
    return openingFor(serverName, version === undefined ? null : proxyHeader(version, client))
  }

  /** What the server is asked by is what Host will say. */
  private serverName(endpoint: Endpoint<UpstreamConnection>): string {
    return serverNameOf(upstreamHost(this.exchange, this.upstream, endpoint))
  }

  /** Ends the request when no further connection may be opened for it. */
  private hasRoom(breaker: Breaker, pool: string): boolean {
    let refusal = breaker.openConnection(pool)
    if (refusal === errors.tooManyPools && this.upstream.dropIdlePool())
      refusal = breaker.openConnection(pool)
    if (refusal === errors.tooManyConnections && this.upstream.dropIdle())
      refusal = breaker.openConnection(pool)
    if (refusal === null) return true
    this.carrier = null
    this.leaveEndpoint('abandoned')
    this.end(refusal)
    return false
  }

  private sendRequest(): void {
    const { exchange, carrier, endpoint } = this
    if (carrier === null || endpoint === null) return
    if (this.engine.follower !== null) this.engine.follower.send(exchange)
    const { chain } = this
    if (chain.send !== null && !runHooks(chain.send, exchange, this.engine)) {
      this.leaveEndpoint('abandoned')
      carrier.drop()
      this.finish()
      this.client.fail(errors.policyFailed)
      return
    }
    this.ready = true
    const head = requestHead(exchange, this.upstream, endpoint, this.client.facts, this.engine)
    carrier.sendHead(head, exchange.forwardsChunks)
    if (this.held !== '') {
      const { held } = this
      this.held = ''
      if (this.replay !== null && this.replay.length + held.length <= this.engine.settings.limits.replay)
        this.replay += held
      else this.replay = null
      carrier.sendText(held)
    }
    if (this.bodyDone) this.endBody()
    else this.armSend()
  }

  private endBody(): void {
    this.carrier?.endRequest(this.trailers)
    this.armRead()
  }

  private remember(bytes: Buffer, start: number, end: number): void {
    if (this.replay === null) return
    if (this.replay.length + end - start > this.engine.settings.limits.replay) this.replay = null
    else this.replay += bytes.toString('latin1', start, end)
  }

  private armSend(): void {
    this.carrier?.setDeadline(Math.min(clock.now + this.timeouts.send, this.until))
  }

  private armRead(): void {
    this.carrier?.setDeadline(Math.min(clock.now + this.timeouts.read, this.until))
  }

  private fault(fault: UpstreamFault, error: Error | null): void {
    const { counts } = this.engine
    if (clock.now >= this.until && (fault === 'timeout' || fault === 'connect_timeout')) {
      this.timeIsOver()
      return
    }
    if (fault === 'connect_failed') counts.add(engineCounter.upstream_connect_failures, 1)
    if (fault === 'timeout' || fault === 'connect_timeout') counts.add(engineCounter.upstream_timeouts, 1)
    const stale = fault === 'closed' && this.reused && this.carrier?.untouched === true
    if (error !== null && !stale && this.endpoint !== null)
      this.engine.upstreamFailed(this.upstream, this.endpoint, fault, error)
    const isRefused = fault === 'refused'
    this.leaveEndpoint(this.tunnel !== null ? 'complete' : stale || isRefused ? 'abandoned' : fault)
    const isFree = (stale && this.isRepeatable) || (isRefused && this.mayRepeatHere)
    if (!this.headPassed && !(isFree && this.replay !== null)) this.noteFailure(fault)
    if (this.headPassed) {
      this.breakOff(errorOf(fault))
      return
    }
    const refusal = this.retry(fault)
    if (refusal !== null) {
      this.end(refusal)
      return
    }
    this.flush()
    if (this.ready && !this.bodyDone) this.client.resumeRequestBody()
  }

  /** Whoever asked does not wait any more, which says nothing about the endpoint. */
  private timeIsOver(): void {
    this.leaveEndpoint('abandoned')
    if (this.headPassed) this.breakOff(errors.deadlineExceeded)
    else this.end(errors.deadlineExceeded)
  }

  private breakOff(error: GatewayError): void {
    this.finish()
    if (this.tunnel !== null) this.client.tunnelEnd()
    else {
      this.engine.counts.add(engineCounter.upstream_aborts, 1)
      this.client.abort(error)
    }
  }

  /** Tries again. @returns what the client is told when that is not possible */
  private retry(fault: UpstreamFault): GatewayError | null {
    const { carrier, endpoint } = this
    if (this.ready) {
      const untouched = carrier === null || carrier.untouched
      const isSafe = fault === 'refused' || (this.isRepeatable && fault !== 'bad_response')
      if (!isSafe || !untouched || this.replay === null) return errorOf(fault)
      this.held = this.replay
      this.replay = ''
    }
    // A pooled connection that was closed under us says nothing about the endpoint: same one, new connection.
    const isStale = fault === 'refused' ? this.mayRepeatHere : fault === 'closed' && this.reused
    if (isStale && endpoint !== null) {
      if (fault === 'refused') this.mayRepeatHere = false
      this.engine.counts.add(engineCounter.upstream_retries, 1)
      this.try(endpoint, true)
      return null
    }
    if (this.retriesLeft <= 0) return errorOf(fault)
    if (clock.now > this.retryUntil) return errors.retryTimeout
    if (this.breaker !== null && !this.countsAsRetry) {
      if (!this.breaker.beginRetry()) return errorOf(fault)
      this.countsAsRetry = true
    }
    this.retriesLeft--
    this.engine.counts.add(engineCounter.upstream_retries, 1)
    this.tried ??= new Set()
    this.tried.add(endpoint as Endpoint<UpstreamConnection>)
    this.attempt(false)
    return null
  }

  private noteFailure(fault: UpstreamFault): void {
    const status = errorOf(fault).status
    this.failures = this.failures === '' ? String(status) : `${this.failures}, ${status}`
  }

  /** As APISIX does with every status from 500 to 599, or with all when that is set. */
  private showStatuses(): void {
    this.exchange.answer.set(upstreamStatusField, this.statuses)
  }

  private end(error: GatewayError): void {
    this.finish()
    if (this.failures !== '') this.showStatuses()
    this.client.unreachable(error)
  }

  private finish(): void {
    this.over = true
    if (this.breaker === null) return
    this.breaker.endRequest()
    if (this.countsAsRetry) this.breaker.endRetry()
    this.breaker = null
  }

  private leaveEndpoint(end: AttemptEnd): void {
    if (!this.atEndpoint) return
    this.atEndpoint = false
    const endpoint = this.endpoint as Endpoint<UpstreamConnection>
    endpoint.leave()
    const status = this.headPassed ? this.status : 0
    this.exchange.timeline?.attemptEnds(end, status, this.peerAddress)
    if (this.attemptStart === 0) return
    const elapsed = clock.now - this.attemptStart
    this.upstream.ended(endpoint, end, status, elapsed, this.carrier?.address ?? '')
  }
}

function errorOf(fault: UpstreamFault): GatewayError {
  switch (fault) {
    case 'connect_failed':
      return errors.connectFailed
    case 'connect_timeout':
      return errors.connectTimeout
    case 'timeout':
      return errors.upstreamTimeout
    case 'bad_response':
      return errors.badResponse
    case 'refused':
      return errors.upstreamRefused
    default:
      return errors.upstreamClosed
  }
}

function isWebSocketAnswer(head: Head): boolean {
  return (
    head.minor === 1 &&
    head.upgradeField >= 0 &&
    head.connectionUpgrade &&
    head.value(head.upgradeField).toLowerCase() === 'websocket'
  )
}
