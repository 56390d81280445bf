/** What the control thread sees of the load that data threads share: of upstreams with limits, and of endpoints. */
import { type NodeSpec, standardPorts, type UpstreamSpec } from '../../../config/plan.ts'
import type { StateKeeper } from '../../run-time-state.ts'
import { type LoadReader, type LoadReading, type LoadSum, loadSum } from '../../shared/load-table.ts'
import type { DiscoveredNode } from '../discovery/discovered-node.ts'
import { endpointIdentity, endpointLabel } from '../endpoint.ts'
import { breakerCell, cellName, poolsCell, tracksLoad } from './cells.ts'

export interface UpstreamLoad {
  /** Key of the upstream. */
  upstream: string
  /** Absent: it has no limits, or no thread uses it yet. */
  breaker?: Record<keyof typeof loadSum, LimitLoad> & { pools?: LimitLoad }
  /** Only where balancing asks for it. */
  endpoints: EndpointLoad[]
}

export interface LimitLoad {
  now: number
  /** Null: none. */
  limit: number | null
  /** Refused since the first thread began to use the upstream. */
  refused: number
}

export interface EndpointLoad {
  /** `host:port`. */
  endpoint: string
  priority: number
  /** Requests under way. */
  requests: number
  /** Average response time in milliseconds, with `ewma`; null: none is known. */
  latency: number | null
}

export interface LoadSources {
  reader: LoadReader
  upstreams(): readonly UpstreamSpec[]
  /** Nodes that a registry knows, by the key of the service. */
  nodesOf(service: string): readonly DiscoveredNode[]
}

export class UpstreamLoads {
  readonly #sources: LoadSources

  constructor(sources: LoadSources) {
    this.#sources = sources
  }

  /** Of upstreams that have something to tell. */
  status(): UpstreamLoad[] {
    return this.#sources
      .upstreams()
      .filter((spec) => spec.circuit_breaker !== undefined || tracksLoad(spec))
      .map((spec) => this.#loadOf(spec))
  }

  /** Claims of threads that found no room in the table. */
  get refusedClaims(): number {
    return this.#sources.reader.refusedClaims
  }

  /** Breakers have nothing to forget but what they refused. */
  readonly keeper: StateKeeper = {
    kind: 'breakers',
    count: () => this.#refusing(undefined).length,
    clear: (owner) => {
      const refusing = this.#refusing(owner)
      for (const { key } of refusing) {
        this.#sources.reader.clearRefusals(breakerCell(key))
        this.#sources.reader.clearRefusals(poolsCell(breakerCell(key)))
      }
      return refusing.length
    },
  }

  #refusing(owner: string | undefined): UpstreamSpec[] {
    return this.#sources
      .upstreams()
      .filter(({ key, circuit_breaker: limits }) => limits !== undefined && key === (owner ?? key))
      .filter(({ key }) =>
        [breakerCell(key), poolsCell(breakerCell(key))].some((cell) =>
          this.#sources.reader.read(cell)?.refusals.some((count) => count > 0),
        ),
      )
  }

  #loadOf(spec: UpstreamSpec): UpstreamLoad {
    const { reader } = this.#sources
    const breaker = spec.circuit_breaker && reader.read(breakerCell(spec.key))
    return {
      upstream: spec.key,
      ...(breaker !== undefined && { breaker: { ...limitLoads(breaker, spec), ...this.#poolsOf(spec) } }),
      endpoints: tracksLoad(spec)
        ? this.#nodesOf(spec).flatMap((node) => this.#endpointLoad(spec, node))
        : [],
    }
  }

  #poolsOf({ key, circuit_breaker: limits }: UpstreamSpec): { pools?: LimitLoad } {
    if (limits?.max_pools === undefined) return {}
    const reading = this.#sources.reader.read(poolsCell(breakerCell(key)))
    if (reading === undefined) return {}
    const { sums, refusals } = reading
    const { connections: at } = loadSum
    return { pools: { now: sums[at]!, limit: limits.max_pools, refused: refusals[at]! } }
  }

  #nodesOf(spec: UpstreamSpec): readonly NodeSpec[] {
    if (spec.discovery === undefined) return spec.nodes
    const port = standardPorts[spec.scheme]
    return this.#sources.nodesOf(spec.discovery.key).map((node) => ({ port, priority: 0, ...node }))
  }

  #endpointLoad({ key, type }: UpstreamSpec, node: NodeSpec): EndpointLoad[] {
    const reading = this.#sources.reader.read(cellName(key, endpointIdentity(node)))
    if (reading === undefined) return []
    return [
      {
        endpoint: endpointLabel(node),
        priority: node.priority,
        requests: reading.sums[loadSum.requests]!,
        latency: type === 'ewma' && reading.time > 0 ? reading.value : null,
      },
    ]
  }
}

function limitLoads({ sums, refusals }: LoadReading, spec: UpstreamSpec): Required<UpstreamLoad>['breaker'] {
  const limits = spec.circuit_breaker
  const load = (sum: LoadSum, limit: number | undefined): LimitLoad => ({
    now: sums[sum]!,
    limit: limit ?? null,
    refused: refusals[sum]!,
  })
  return {
    requests: load(loadSum.requests, limits?.max_requests),
    pending: load(loadSum.pending, limits?.max_pending),
    connections: load(loadSum.connections, limits?.max_connections),
    retries: load(loadSum.retries, limits?.max_retries),
  }
}
