/** The way of one session to an endpoint: pick one, try it, and try others while nothing came of it. */
import { engineCounter } from '../../telemetry/engine-counters.ts'
import { clock } from '../clock.ts'
import type { Engine } from '../engine.ts'
import { errors, type GatewayError } from '../errors.ts'
import type { UpstreamInfo } from '../exchange.ts'
import type { UpstreamConnection } from '../http1/upstream-connection.ts'
import type { AttemptEnd, AttemptFault } from '../upstream/attempt.ts'
import type { Breaker } from '../upstream/breaker.ts'
import { type Endpoint, hostPort } from '../upstream/endpoint.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { StreamSession } from './session.ts'

type StreamEndpoint = Endpoint<UpstreamConnection>

export class Tries implements UpstreamInfo {
  readonly upstream: Upstream<UpstreamConnection>
  attempts = 0
  status = 0
  endpoint: StreamEndpoint | null = null
  private readonly session: StreamSession
  private readonly engine: Engine
  private readonly retryUntil: number
  private retriesLeft: number
  private tried: Set<StreamEndpoint> | null = null
  private failedAt = ''
  private failures = ''
  private peerAddress = ''
  private breaker: Breaker | null = null
  private countsAsRetry = false
  /** A connection is counted as one that is being opened. */
  private opening = false
  private connected = false
  private atEndpoint = false
  private attemptStart = 0

  constructor(session: StreamSession, upstream: Upstream<UpstreamConnection>, engine: Engine) {
    this.session = session
    this.upstream = upstream
    this.engine = engine
    this.retriesLeft = upstream.retries
    const { retry_timeout: retryTimeout } = upstream.spec
    this.retryUntil = retryTimeout > 0 ? clock.now + retryTimeout * 1000 : Number.POSITIVE_INFINITY
    session.upstream = this
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

  get addresses(): string {
    return this.failedAt === '' ? this.peer : `${this.failedAt}, ${this.peer}`
  }

  get statuses(): string {
    return this.failures
  }

  private get peer(): string {
    return this.peerAddress === '' ? this.address : hostPort(this.peerAddress, this.port)
  }

  /** @returns why the session cannot begin; null: `next` says where it goes */
  begin(): GatewayError | null {
    const { breaker } = this.upstream
    const refusal = breaker?.beginRequest() ?? null
    if (refusal === null) this.breaker = breaker
    this.session.upstreamStart = clock.now
    return refusal
  }

  /** The address to try next, at `endpoint`; or why there is none. One without an address counts as failed. */
  next(): string | GatewayError {
    for (;;) {
      const endpoint = this.upstream.pick(this.tried, this.session)
      if (endpoint === null) return this.noneLeft()
      if (this.endpoint !== null) this.failedAt = this.addresses
      this.endpoint = endpoint
      this.attempts++
      endpoint.enter()
      this.atEndpoint = true
      this.attemptStart = clock.now
      const address = endpoint.address()
      this.peerAddress = address ?? ''
      const problem = endpoint.tls?.prepare() ?? null
      if (address !== undefined && problem === null) {
        const refusal = this.breaker?.openConnection(null) ?? null
        if (refusal !== null) {
          this.leave('abandoned')
          return refusal
        }
        this.opening = this.breaker !== null
        return address
      }
      const error = this.failed('connect_failed', problem)
      if (error !== null) return error
    }
  }

  /** The connection is there. */
  opened(): void {
    this.settle()
    this.connected = true
    this.engine.counts.add(engineCounter.upstream_connects, 1)
    this.session.upstreamHead = clock.now
  }

  /** @returns null when another endpoint is to be tried, else what the session ends with */
  failed(fault: AttemptFault, error: Error | null): GatewayError | null {
    const { counts } = this.engine
    const isLate = fault === 'connect_timeout'
    counts.add(isLate ? engineCounter.upstream_timeouts : engineCounter.upstream_connect_failures, 1)
    if (error !== null && this.endpoint !== null)
      this.engine.upstreamFailed(this.upstream, this.endpoint, fault, error)
    this.closed()
    this.leave(fault)
    this.failures = this.failures === '' ? '502' : `${this.failures}, 502`
    const ends = isLate ? errors.connectTimeout : errors.connectFailed
    if (this.retriesLeft <= 0) return ends
    if (clock.now > this.retryUntil) return errors.retryTimeout
    if (this.breaker !== null && !this.countsAsRetry) {
      if (!this.breaker.beginRetry()) return ends
      this.countsAsRetry = true
    }
    this.retriesLeft--
    counts.add(engineCounter.upstream_retries, 1)
    this.tried ??= new Set()
    this.tried.add(this.endpoint as StreamEndpoint)
    return null
  }

  /** The session is over. */
  over(end: AttemptEnd): void {
    if (this.atEndpoint) this.closed()
    this.leave(end)
    const { breaker } = this
    if (breaker === null) return
    this.breaker = null
    breaker.endRequest()
    if (this.countsAsRetry) breaker.endRetry()
  }

  private closed(): void {
    const wasCounted = this.opening || this.connected
    this.settle()
    this.connected = false
    if (wasCounted) this.breaker?.connectionClosed(null)
  }

  private settle(): void {
    if (!this.opening) return
    this.opening = false
    this.breaker?.connectionSettled()
  }

  private leave(end: AttemptEnd): void {
    if (!this.atEndpoint) return
    this.atEndpoint = false
    const endpoint = this.endpoint as StreamEndpoint
    endpoint.leave()
    const elapsed = clock.now - this.attemptStart
    // As if it were an answer: a connection that was made speaks for its endpoint.
    this.upstream.ended(endpoint, end, end === 'complete' ? 200 : 0, elapsed, this.peerAddress)
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
}
