/**
 * A data thread's working form of the plan: routes in the router, chains of policies, upstreams with their pools.
 * Changed by deltas; what a delta does not name keeps its state. A request holds the binding it began with.
 */
import { isIP } from 'node:net'
import type { PlanDelta, PlanResources, RouteSpec, ServiceSpec, UpstreamSpec } from '../config/plan.ts'
import { resourceKinds } from '../config/plan.ts'
import type { Settings } from '../config/settings.ts'
import { PolicyChains } from './chains.ts'
import type { BindingInfo, Exchange, PolicyFactory } from './exchange.ts'
import type { UpstreamConnection } from './http1/upstream-connection.ts'
import { Lookup, LookupValues } from './lookup.ts'
import type { Chain } from './pipeline.ts'
import { kindsWithUpstreams, upstreamsIn } from './plan-upstreams.ts'
import { routeCondition } from './route-condition.ts'
import { RouteUses } from './route-uses.ts'
import { pathParameters } from './router/pattern.ts'
import { type Considered, type Match, Router, type RouterMode } from './router/router.ts'
import type { StateKeeper } from './run-time-state.ts'
import type { LoadTable } from './shared/load-table.ts'
import { StreamRoutes } from './stream/stream-routes.ts'
import { upstreamTlsOptions } from './tls/upstream-tls.ts'
import type { DiscoveredNode } from './upstream/discovery/discovered-node.ts'
import type { HealthRegister } from './upstream/health/health-register.ts'
import type { UpstreamSlots } from './upstream/health/slots.ts'
import { inMilliseconds, type Timeouts } from './upstream/timeouts.ts'
import { Upstream } from './upstream/upstream.ts'
import { chosenUpstream } from './upstream-choice.ts'

/** What a binding needs of the runtime that it belongs to. */
export interface BindingHome {
  readonly chains: PolicyChains
  readonly mode: RouterMode
}

/** A route at run time. What every request looks at comes first, to be in few lines of the cache. */
export class Binding implements BindingInfo {
  private compiled: Chain | null = null
  /** Routes with several patterns have a binding for each, made when it first matches. */
  private readonly variants: Map<string, Binding> | null
  readonly upstream: Upstream<UpstreamConnection> | null
  /** Its own; null: those of the upstream. */
  private readonly timeouts: Timeouts | null
  readonly stripPrefix: string
  readonly webSocket: boolean
  readonly route: RouteSpec
  readonly routeId: string
  readonly routeName: string
  readonly serviceId: string
  readonly serviceName: string
  readonly matchedUri: string
  readonly matchedHost: string
  readonly service: ServiceSpec | undefined
  private parameters: ((path: string) => Record<string, string>) | null = null
  private readonly runtime: BindingHome

  constructor(
    route: RouteSpec,
    service: ServiceSpec | undefined,
    upstream: Upstream<UpstreamConnection> | null,
    runtime: BindingHome,
    matched?: { uri: string; host: string },
  ) {
    this.variants =
      matched === undefined && (route.uris.length > 1 || route.hosts.length > 1) ? new Map() : null
    this.upstream = upstream
    this.timeouts = route.timeout === undefined ? null : inMilliseconds(route.timeout)
    this.stripPrefix = route.strip_prefix ?? ''
    this.webSocket = route.enable_websocket
    this.route = route
    this.routeId = route.id
    this.routeName = route.name ?? ''
    this.serviceId = route.service_id ?? ''
    this.serviceName = service?.name ?? ''
    this.matchedUri = matched?.uri ?? route.uris[0] ?? ''
    this.matchedHost = matched?.host ?? route.hosts[0] ?? ''
    this.service = service
    this.runtime = runtime
  }

  /** Of requests to its own upstream, or to one that a policy chose. */
  timeoutsOf(upstream: Upstream): Timeouts {
    return this.timeouts ?? upstream.timeouts
  }

  /** It refers to an upstream, which may have gone. */
  get namesUpstream(): boolean {
    return this.route.upstream_id !== undefined || this.service?.upstream_id !== undefined
  }

  /** This binding under the host and path pattern that a request matched. */
  matchedAs({ uri, host }: Match<Binding>): Binding {
    if (this.variants === null) return this
    const key = `${host} ${uri}`
    let variant = this.variants.get(key)
    if (variant === undefined) {
      variant = new Binding(this.route, this.service, this.upstream, this.runtime, { uri, host })
      variant.compiled = this.chain()
      this.variants.set(key, variant)
    }
    return variant
  }

  pathParameter(name: string, path: string): string | undefined {
    this.parameters ??= pathParameters(this.matchedUri, this.runtime.mode === 'radixtree_uri_with_parameter')
    return this.parameters(path)[name]
  }

  /** The chain before the consumer is known. Compiled at its first use. */
  chain(): Chain {
    this.compiled ??= this.runtime.chains.forRoute(this.route)
    return this.compiled
  }

  forgetChains(): void {
    this.compiled = null
    this.variants?.clear()
  }
}

export class Runtime {
  readonly resources: PlanResources = Object.fromEntries(
    resourceKinds.map((kind) => [kind, new Map()]),
  ) as unknown as PlanResources
  readonly chains: PolicyChains
  readonly mode: RouterMode
  readonly streams: StreamRoutes

  private readonly router: Router<Binding, Lookup>
  private readonly lookup = new Lookup()
  private readonly values = new LookupValues()
  private readonly uses = new RouteUses()
  private readonly bindings = new Map<string, Binding>()
  private readonly upstreams = new Map<string, Upstream<UpstreamConnection>>()
  /** Keys of the upstreams that a resource is or holds, by `KIND/ID`. */
  private readonly held = new Map<string, readonly string[]>()
  private readonly addresses = new Map<string, readonly string[]>()
  private readonly nodes = new Map<string, readonly DiscoveredNode[]>()
  private readonly health: HealthRegister

  private upstreamTls: Settings['upstream_tls'] = { verify: true, ca: [] }
  private readonly loads: LoadTable | null

  /** @param loads null: no other thread balances the same upstreams */
  constructor(
    policies: ReadonlyMap<string, PolicyFactory>,
    mode: RouterMode,
    policyFailed: (policy: string, error: unknown) => void,
    health: HealthRegister,
    loads: LoadTable | null = null,
  ) {
    this.health = health
    this.loads = loads
    this.chains = new PolicyChains(policies, this.resources, policyFailed)
    this.mode = mode
    this.streams = new StreamRoutes(this)
    this.router = new Router(mode, (lookup) => lookup.exchange.request.headers.get('host'))
  }

  /** Called once, after construction, with every name's addresses that are known already. */
  setAddresses(host: string, addresses: readonly string[]): void {
    this.addresses.set(host, addresses)
    for (const upstream of this.upstreams.values()) upstream.setAddresses(host, addresses)
  }

  /** What a registry knows about a service; null: nothing any more. Upstreams of the plan in use follow at once. */
  setNodes(service: string, nodes: readonly DiscoveredNode[] | null): void {
    if (nodes === null) this.nodes.delete(service)
    else this.nodes.set(service, nodes)
    for (const upstream of this.upstreams.values()) {
      if (upstream.spec.discovery?.key === service) {
        upstream.setNodes(nodes ?? [], (host) => this.addressesOf(host))
      }
    }
  }

  /** Where the health of an upstream's endpoints stands. Comes before the plan or the addresses that need it. */
  setSlots(slots: UpstreamSlots): void {
    this.health.setSlots(slots)
    const upstream = this.upstreams.get(slots.upstream)
    upstream?.watch(this.health.of(upstream.spec))
  }

  /** `path` is the request's own, or a reading of it that is to be compared. */
  match(exchange: Exchange, path: string): Binding | null {
    const { host, method } = exchange.request
    const match = this.router.match(host, path, method, this.lookup.begin(exchange))
    return match === null ? null : match.value.matchedAs(match)
  }

  /** What `match` looks at, up to what it takes, with why each other one lost. */
  explain(exchange: Exchange): Considered<Binding>[] {
    const { host, path, method } = exchange.request
    return this.router.explain(host, path, method, this.lookup.begin(exchange))
  }

  /** What would match under another host; looks at `most` hosts. */
  explainHosts(exchange: Exchange, most: number): Considered<Binding>[] {
    const { host, path, method } = exchange.request
    return this.router.explainHosts(host, path, method, this.lookup.begin(exchange), most)
  }

  allowedMethods(exchange: Exchange): string[] {
    const { host, path } = exchange.request
    return this.router.allowedMethods(host, path, this.lookup.begin(exchange))
  }

  /**
   * Puts a delta to work, between two requests. Routes that it does not reach keep their bindings and chains.
   * @param otherPolicies the policies themselves are others now, so that no chain is kept
   */
  apply(delta: PlanDelta, otherPolicies = false): void {
    this.store(delta)
    const isSecuredAnew = this.changesTls(delta)
    this.uses.apply(delta)
    const upstreams = this.applyUpstreams(delta)
    if (isSecuredAnew) for (const upstream of this.upstreams.values()) this.secure(upstream)
    const otherChains = this.chains.apply(delta, otherPolicies)
    if (otherChains) for (const binding of this.bindings.values()) binding.forgetChains()
    this.streams.apply(delta, upstreams, otherChains)
    this.values.forget()
    for (const id of delta.remove.routes ?? []) {
      this.router.remove(id)
      this.bindings.delete(id)
    }
    for (const route of this.reachedRoutes(delta, upstreams)) this.bind(route)
  }

  /** One that a policy chose, by its key. */
  upstream(key: string): Upstream<UpstreamConnection> | null {
    return this.upstreams.get(key) ?? null
  }

  /** @returns whether upstreams may have to be spoken to in another way, though they did not change themselves */
  private changesTls({ settings, put, remove }: PlanDelta): boolean {
    if (settings !== undefined) this.upstreamTls = settings.upstream_tls
    return settings !== undefined || put.ssls !== undefined || remove.ssls !== undefined
  }

  private secure(upstream: Upstream<UpstreamConnection>): void {
    upstream.secure(upstreamTlsOptions(upstream.spec, this.upstreamTls, this.resources.ssls))
  }

  readonly balancerState: StateKeeper = {
    kind: 'balancers',
    count: () => this.upstreams.size,
    clear: (owner) => {
      if (owner !== undefined) {
        const upstream = this.upstreams.get(owner)
        upstream?.forget()
        return upstream === undefined ? 0 : 1
      }
      for (const upstream of this.upstreams.values()) upstream.forget()
      return this.upstreams.size
    },
  }

  retire(): void {
    for (const upstream of this.upstreams.values()) upstream.retire()
  }

  private store(delta: PlanDelta): void {
    for (const kind of resourceKinds) {
      const map = this.resources[kind] as Map<string, unknown>
      for (const id of delta.remove[kind] ?? []) map.delete(id)
      for (const resource of delta.put[kind] ?? []) map.set(idOf(resource), resource)
    }
  }

  /** @returns ids of upstreams to which a binding has to be made anew; most changes reach it through the upstream itself */
  private applyUpstreams(delta: PlanDelta): string[] {
    const others = [...(delta.remove.upstreams ?? [])]
    const wanted = new Map<string, UpstreamSpec>()
    const gone: string[] = []
    for (const kind of kindsWithUpstreams) {
      for (const id of delta.remove[kind] ?? []) gone.push(...this.holdUpstreams(`${kind}/${id}`, []))
      for (const resource of delta.put[kind] ?? []) {
        const specs = upstreamsIn(resource)
        for (const spec of specs) wanted.set(spec.key, spec)
        gone.push(...this.holdUpstreams(`${kind}/${idOf(resource)}`, specs))
      }
    }
    const addressesOf = (host: string) => this.addressesOf(host)
    for (const [key, spec] of wanted) {
      const known = this.upstreams.get(key)
      const discovered = spec.discovery && (this.nodes.get(spec.discovery.key) ?? [])
      if (spec.id !== undefined && known === undefined) others.push(spec.id)
      const upstream = known ?? new Upstream<UpstreamConnection>(spec, addressesOf, this.loads, discovered)
      if (known === undefined) this.upstreams.set(key, upstream)
      else known.update(spec, addressesOf, discovered)
      upstream.watch(this.health.of(spec))
      this.secure(upstream)
    }
    for (const key of gone) {
      this.upstreams.get(key)?.retire()
      this.upstreams.delete(key)
      this.health.forget(key)
    }
    return others
  }

  /** Notes which upstreams a resource (`KIND/ID`) holds now. @returns the keys of those that it held until now */
  private holdUpstreams(resource: string, specs: readonly UpstreamSpec[]): string[] {
    const before = this.held.get(resource) ?? []
    const now = specs.map(({ key }) => key)
    if (now.length === 0) this.held.delete(resource)
    else this.held.set(resource, now)
    return before.filter((key) => !now.includes(key))
  }

  /** Routes that changed themselves or through what they refer to. `upstreams`: ids of those that are others now. */
  private reachedRoutes(delta: PlanDelta, upstreams: Iterable<string>): Set<RouteSpec> {
    const reached = new Set(delta.put.routes)
    const services = touched(delta, 'services')
    const configs = touched(delta, 'plugin_configs')
    for (const route of this.uses.reached(services, configs, upstreams)) reached.add(route)
    return reached
  }

  private bind(route: RouteSpec): void {
    const service = route.service_id === undefined ? undefined : this.resources.services.get(route.service_id)
    const binding = new Binding(route, service, this.upstreamOf(route, service), this)
    this.bindings.set(route.id, binding)
    this.router.put({ ...route, accepts: routeCondition(route, this.values) }, binding)
  }

  private upstreamOf(
    route: RouteSpec,
    service: ServiceSpec | undefined,
  ): Upstream<UpstreamConnection> | null {
    const chosen = chosenUpstream(route, service)
    if (chosen === undefined) return null
    return this.upstreams.get('id' in chosen ? `upstream:${chosen.id}` : chosen.spec.key) ?? null
  }

  private addressesOf(host: string): readonly string[] {
    return this.addresses.get(host) ?? (isIP(host) === 0 ? [] : [host])
  }
}

function idOf(resource: unknown): string {
  const { id, username } = resource as { id?: string; username?: string }
  return username ?? (id as string)
}

const touched = (delta: PlanDelta, kind: 'services' | 'plugin_configs'): string[] => [
  ...(delta.put[kind] ?? []).map(({ id }) => id),
  ...(delta.remove[kind] ?? []),
]
