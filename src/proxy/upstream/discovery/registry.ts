/** What every registry of services looks like from the discovery of the control thread. */
import type { ServiceName } from '../../../config/discovery.ts'
import type { Log } from '../../../telemetry/log.ts'
import type { BackoffLimits } from './backoff.ts'
import type { DiscoveredNode } from './discovered-node.ts'
import type { RegistryHealth } from './registry-health.ts'

export interface ServiceQuery extends ServiceName {
  metadata?: Readonly<Record<string, string>>
  grpc: boolean
}

export interface ServiceListener {
  /** All nodes that the service has now; called with what was said before, too. */
  nodes(nodes: readonly DiscoveredNode[]): void
  /** It was asked in vain; what was said last stands. */
  failed(): void
}

export interface Subscription {
  /** The listener hears nothing more. */
  close(): void
}

export interface Registry {
  subscribe(service: ServiceQuery, listener: ServiceListener): Subscription
  /** Ends all questions and subscriptions. */
  close(): void
}

/** What a registry is given beside its settings. */
export interface RegistryContext {
  log: Log
  health: RegistryHealth
  /** Floor and ceiling of the time for which a DNS answer is kept, and the longest wait for one; milliseconds. */
  dns: { min_ttl: number; max_ttl: number; timeout: number }
  /** After questions in vain. */
  backoff: BackoffLimits
}
