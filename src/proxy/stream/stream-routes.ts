/** The stream routes of a data thread, with their policies and upstreams. A session holds the binding it began with. */
import type { PlanDelta, PlanResources, ServiceSpec, StreamRouteSpec } from '../../config/plan.ts'
import type { PolicyChains } from '../chains.ts'
import type { BindingInfo } from '../exchange.ts'
import type { UpstreamConnection } from '../http1/upstream-connection.ts'
import type { Chain } from '../pipeline.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { chosenUpstream } from '../upstream-choice.ts'
import { type Arrival, type ConsideredStream, StreamRouter } from './router.ts'

/** What a binding needs of the runtime that it belongs to. */
export interface StreamHome {
  readonly chains: Pick<PolicyChains, 'forStream'>
  readonly resources: PlanResources
  upstream(key: string): Upstream<UpstreamConnection> | null
}

/** A stream route at run time. */
export class StreamBinding implements BindingInfo {
  readonly streamRoute: StreamRouteSpec
  readonly service: ServiceSpec | undefined
  readonly upstream: Upstream<UpstreamConnection> | null
  readonly routeId: string
  readonly routeName: string
  readonly serviceId: string
  readonly serviceName: string
  readonly matchedUri = ''
  readonly matchedHost = ''
  private readonly home: StreamHome
  private compiled: Chain | null = null

  constructor(route: StreamRouteSpec, home: StreamHome) {
    const { resources } = home
    this.streamRoute = route
    this.service = route.service_id === undefined ? undefined : resources.services.get(route.service_id)
    const chosen = chosenUpstream(route, this.service)
    this.upstream =
      chosen === undefined ? null : home.upstream('id' in chosen ? `upstream:${chosen.id}` : chosen.spec.key)
    this.routeId = route.id
    this.routeName = route.name ?? ''
    this.serviceId = route.service_id ?? ''
    this.serviceName = this.service?.name ?? ''
    this.home = home
  }

  /** Compiled at its first use. */
  chain(): Chain {
    this.compiled ??= this.home.chains.forStream(this.streamRoute)
    return this.compiled
  }

  forgetChain(): void {
    this.compiled = null
  }
}

export class StreamRoutes {
  private readonly home: StreamHome
  private readonly bindings = new Map<string, StreamBinding>()
  private router: StreamRouter<StreamBinding> | null = null

  constructor(home: StreamHome) {
    this.home = home
  }

  match(arrival: Arrival): StreamBinding | null {
    return this.current().match(arrival)
  }

  explain(arrival: Arrival): ConsideredStream<StreamBinding>[] {
    return this.current().explain(arrival)
  }

  get looksAtNames(): boolean {
    return this.current().looksAtNames
  }

  /**
   * After the resources changed. Routes that the delta does not reach keep their bindings.
   * @param upstreams ids of those that are others now
   * @param otherChains the policies of all routes may be others now
   */
  apply({ put, remove }: PlanDelta, upstreams: readonly string[], otherChains: boolean): void {
    const { stream_routes: routes, services } = this.home.resources
    const changed = new Set([
      ...(put.stream_routes ?? []).map(({ id }) => id),
      ...(remove.stream_routes ?? []),
    ])
    const touched = new Set([...(put.services ?? []).map(({ id }) => id), ...(remove.services ?? [])])
    const others = new Set(upstreams)
    for (const route of routes.values()) {
      const service = route.service_id
      const named =
        route.upstream_id ?? (service === undefined ? undefined : services.get(service)?.upstream_id)
      if ((service !== undefined && touched.has(service)) || (named !== undefined && others.has(named)))
        changed.add(route.id)
    }
    if (otherChains) for (const binding of this.bindings.values()) binding.forgetChain()
    if (changed.size === 0) return
    for (const id of changed) this.bindings.delete(id)
    this.router = null
  }

  private current(): StreamRouter<StreamBinding> {
    this.router ??= new StreamRouter(
      Array.from(this.home.resources.stream_routes.values(), (route) => ({
        route,
        value: this.bindingOf(route),
      })),
    )
    return this.router
  }

  private bindingOf(route: StreamRouteSpec): StreamBinding {
    let binding = this.bindings.get(route.id)
    if (binding === undefined) {
      binding = new StreamBinding(route, this.home)
      this.bindings.set(route.id, binding)
    }
    return binding
  }
}
