/** How loaded upstreams are, at the control port. */
import type { UpstreamLoad } from '../proxy/upstream/load/loads.ts'
import { type Endpoints, json } from './server.ts'

export interface LoadSource {
  status(): UpstreamLoad[]
}

export function loadEndpoints(source: LoadSource): Endpoints {
  return {
    /** Upstreams with a circuit breaker, or whose way of balancing counts; all threads together. */
    'GET /v1/upstream_loads': () => json(200, source.status()),
  }
}
