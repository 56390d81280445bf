/** What the parts of a thread's proxy share. Made once by the worker. */
import type { Settings } from '../config/settings.ts'
import type { CauseCounter } from './cause.ts'
import type { Exchange, Verdict } from './exchange.ts'
import type { Runtime } from './runtime.ts'
import type { Follower } from './timeline.ts'
import type { TimerWheel } from './timer-wheel.ts'
import type { Certificates } from './tls/certificates.ts'
import type { TrustedAddresses } from './trust.ts'
import type { UpstreamFault } from './upstream/attempt.ts'
import type { Endpoint } from './upstream/endpoint.ts'
import type { Upstream } from './upstream/upstream.ts'

/** Counts by index; the indices are those of `telemetry/engine-counters`. */
export interface Counts {
  add(index: number, amount: number): void
}

export interface Engine {
  settings: Settings
  trusted: TrustedAddresses
  readonly runtime: Runtime
  /** That clients are shown. */
  readonly certificates: Certificates
  readonly wheel: TimerWheel
  readonly counts: Counts
  /** Bytes of request bodies that are held because their route depends on them. */
  heldBytes: number
  /** Null: nobody follows all exchanges. */
  follower: Follower<Exchange> | null
  /** Requests end their connection from now on. */
  draining: boolean
  /** The gateway answered by itself. */
  answered: CauseCounter
  policyFailed(policy: string, error: unknown): void
  /** An attempt failed for a reason that an operator should hear of. */
  upstreamFailed(upstream: Upstream, endpoint: Endpoint, fault: UpstreamFault, error: Error): void
  shadowVerdict(policy: string, verdict: Verdict, exchange: Exchange): void
}
