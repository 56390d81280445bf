import { isIP } from 'node:net'
import type { Plan, UpstreamSpec } from '../config/plan.ts'

/** The names among the hosts of a plan's upstream nodes: what has to be resolved. */
export function upstreamHosts(plan: Plan): Set<string> {
  const hosts = new Set<string>()
  const add = (upstream: UpstreamSpec | undefined) => {
    for (const { host } of upstream?.nodes ?? []) if (isIP(host) === 0) hosts.add(host)
  }
  for (const upstream of plan.upstreams.values()) add(upstream)
  for (const service of plan.services.values()) add(service.upstream)
  for (const route of plan.routes.values()) add(route.upstream)
  return hosts
}
