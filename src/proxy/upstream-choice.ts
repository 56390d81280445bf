import type { RouteSpec, ServiceSpec, UpstreamSpec } from '../config/plan.ts'

/**
 * The upstream that serves a route, as APISIX chooses it: the route's before its service's, and what is named by an id
 * before what is written in place. Undefined: neither has one.
 */
export function chosenUpstream(
  route: Pick<RouteSpec, 'upstream' | 'upstream_id'>,
  service: Pick<ServiceSpec, 'upstream' | 'upstream_id'> | undefined,
): { id: string } | { spec: UpstreamSpec } | undefined {
  for (const holder of [route, service]) {
    if (holder?.upstream_id !== undefined) return { id: holder.upstream_id }
    if (holder?.upstream !== undefined) return { spec: holder.upstream }
  }
  return undefined
}
