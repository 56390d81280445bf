/** The table of routes as it is matched, for people and tools. */
import type { Plan, PlanResources, RouteSpec, UpstreamSpec } from '../config/plan.ts'
import { orderRoutes } from './router/route-order.ts'
import { chosenUpstream } from './upstream-choice.ts'

/** One route under one of its hosts and paths. The first row that fits a request serves it. */
export interface RouteRow {
  /** From 1. */
  order: number
  /** Where the host is looked at first, the one of this row; else all that the route takes. Empty: any host. */
  hosts: string[]
  path: string
  /** Empty: any method. */
  methods: string[]
  priority: number
  /** What else a request has to have; absent: nothing. */
  remote_addrs?: string[]
  vars?: unknown[]
  route: { id: string; name?: string }
  /** Null: it has none. */
  service: { id: string; name?: string } | null
  upstream: { key: string; nodes: string[] } | null
}

export function routeTable(plan: Plan): RouteRow[] {
  const ordered = orderRoutes(plan.settings.router, plan.routes.values())
  return ordered.map(({ route, host, pattern }, index) => ({
    order: index + 1,
    hosts: host === '' ? [...route.hosts] : [host],
    path: pattern.source,
    methods: [...route.methods],
    priority: route.priority,
    ...(route.remote_addrs !== undefined && { remote_addrs: [...route.remote_addrs] }),
    ...(route.vars !== undefined && { vars: route.vars }),
    route: named(route),
    service: serviceOf(route, plan),
    upstream: upstreamOf(route, plan),
  }))
}

function named({ id, name }: { id: string; name?: string }): { id: string; name?: string } {
  return { id, ...(name !== undefined && { name }) }
}

function serviceOf({ service_id: id }: RouteSpec, { services }: PlanResources): RouteRow['service'] {
  return id === undefined ? null : named(services.get(id) ?? { id })
}

function upstreamOf(route: RouteSpec, plan: PlanResources): RouteRow['upstream'] {
  const spec = upstreamSpecOf(route, plan)
  return spec === undefined
    ? null
    : { key: spec.key, nodes: spec.nodes.map(({ host, port }) => `${host}:${port}`) }
}

function upstreamSpecOf(route: RouteSpec, { services, upstreams }: PlanResources): UpstreamSpec | undefined {
  const chosen = chosenUpstream(
    route,
    route.service_id === undefined ? undefined : services.get(route.service_id),
  )
  return chosen && ('id' in chosen ? upstreams.get(chosen.id) : chosen.spec)
}
