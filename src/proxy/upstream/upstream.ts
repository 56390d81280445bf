/** An upstream at run time: endpoints with their pools, and the balancer that picks among them. */
import { equal } from '../../config/copy.ts'
import {
  type NodeSpec,
  speaksGrpc,
  speaksHttp2,
  standardPorts,
  type UpstreamSpec,
} from '../../config/plan.ts'
import { clock } from '../clock.ts'
import type { Exchange, UpstreamOrigin } from '../exchange.ts'
import { retriedStatuses } from '../grpc/status.ts'
import { sharedTime } from '../shared/clock.ts'
import { LoadCell, type LoadTable } from '../shared/load-table.ts'
import { UpstreamTls, type UpstreamTlsOptions } from '../tls/upstream-tls.ts'
import type { AttemptEnd, AttemptObserver } from './attempt.ts'
import { type Balancer, noBalancer } from './balancers/balancer.ts'
import { ConsistentHash } from './balancers/consistent-hash.ts'
import { Ewma } from './balancers/ewma.ts'
import { LeastConnections } from './balancers/least-connections.ts'
import { RoundRobin } from './balancers/round-robin.ts'
import { SlowStart } from './balancers/slow-start.ts'
import { Breaker } from './breaker.ts'
import type { DiscoveredNode } from './discovery/discovered-node.ts'
import { Endpoint, endpointIdentity, hostPort, type PooledConnection } from './endpoint.ts'
import { compileHashKey } from './hash-key.ts'
import type { UpstreamHealth } from './health/upstream-health.ts'
import { breakerCell, cellName, tracksLoad } from './load/cells.ts'
import { inMilliseconds, type Timeouts } from './timeouts.ts'

/** What a host name leads to now. */
type AddressesOf = (host: string) => readonly string[]

export class Upstream<C extends PooledConnection = PooledConnection> {
  spec: UpstreamSpec
  timeouts: Timeouts
  speaksHttp2 = false
  speaksGrpc = false
  /** Values of `grpc-status` after which another endpoint is tried; null: none. */
  retriedStatuses: ReadonlySet<string> | null = null
  endpoints: readonly Endpoint<C>[] = []
  /** Attempts beyond the first that a request may take: configured, or one for each further endpoint with weight. */
  retries = 0
  /** Who hears of every attempt that ends; null while nobody does. */
  observers: readonly AttemptObserver<Endpoint<C>>[] | null = null
  /** Null: there are no limits. */
  breaker: Breaker | null = null
  private balancer: Balancer<Endpoint<C>>
  /** The only endpoint, which is used without balancing, as in APISIX. */
  private sole: Endpoint<C> | null = null
  private health: UpstreamHealth | null = null
  /** The balancer, where it wants to hear of attempts. */
  private learner: AttemptObserver<Endpoint<C>> | null = null
  /** Null: what this thread knows, no other does. */
  private readonly loads: LoadTable | null
  private turns: LoadCell[] = []
  private tls: UpstreamTls | null = null

  /** @param discovered in place of the configured nodes */
  constructor(
    spec: UpstreamSpec,
    addressesOf: AddressesOf,
    loads: LoadTable | null,
    discovered?: readonly DiscoveredNode[],
  ) {
    this.spec = spec
    this.timeouts = inMilliseconds(spec.timeout)
    this.loads = loads
    this.balancer = new RoundRobin([], () => LoadCell.alone())
    this.update(spec, addressesOf, discovered)
  }

  /**
   * Takes over a changed configuration. Endpoints that stay keep their pools and counters.
   * @param discovered in place of the configured nodes
   */
  update(spec: UpstreamSpec, addressesOf: AddressesOf, discovered?: readonly DiscoveredNode[]): void {
    this.spec = spec
    this.timeouts = inMilliseconds(spec.timeout)
    this.speaksHttp2 = speaksHttp2(spec.scheme)
    this.speaksGrpc = speaksGrpc(spec.scheme)
    const { retry_grpc_statuses: statuses } = spec
    this.retriedStatuses = this.speaksGrpc && statuses !== undefined ? retriedStatuses(statuses) : null
    if (discovered === undefined) this.use(spec.nodes, addressesOf)
    else this.setNodes(discovered, addressesOf)
  }

  /** Takes over the nodes that a registry knows now. Endpoints that stay keep their pools and counters. */
  setNodes(discovered: readonly DiscoveredNode[], addressesOf: AddressesOf): void {
    const port = standardPorts[this.spec.scheme]
    const nodes = discovered.map((node) => ({ port, priority: 0, ...node }))
    this.use(nodes, addressesOf)
  }

  /** How its endpoints are spoken to from now on; null: without TLS. To be called after each update. */
  secure(options: UpstreamTlsOptions | null): void {
    if (options === null) this.tls = null
    else if (this.tls === null || !equal(this.tls.options, options)) this.tls = new UpstreamTls(options)
    this.secureEndpoints()
  }

  private secureEndpoints(): void {
    for (const endpoint of this.endpoints) endpoint.secure(this.tls, this.spec.scheme)
  }

  private use(nodes: readonly NodeSpec[], addressesOf: AddressesOf): void {
    const { spec } = this
    const limits = {
      size: spec.keepalive_pool.size,
      idleTimeout: spec.keepalive_pool.idle_timeout * 1000,
      requests: spec.keepalive_pool.requests,
    }
    // Where there was nobody, nobody has to wait for the others to warm up.
    const now = this.endpoints.length === 0 ? 0 : sharedTime(clock.now)
    const left = new Map(this.endpoints.map((endpoint) => [endpointIdentity(endpoint), endpoint]))
    this.endpoints = nodes.map((node) => {
      const known = left.get(endpointIdentity(node))
      if (known === undefined) return new Endpoint<C>(node, addressesOf(node.host), limits, now)
      left.delete(endpointIdentity(node))
      known.limits = limits
      known.weight = node.weight
      return known
    })
    for (const endpoint of left.values()) this.dismiss(endpoint)
    for (const endpoint of this.endpoints) {
      endpoint.slowStart = spec.slow_start * 1000
      endpoint.watch(this.health)
      this.setTracking(endpoint)
    }
    this.secureEndpoints()
    this.setBreaker()
    this.balance()
  }

  /** Whether any of its endpoints is neither unhealthy nor ejected. */
  get isUp(): boolean {
    return this.endpoints.some(({ isUp }) => isUp)
  }

  /** Where one of its endpoints can be asked by who is no client of the gateway; undefined: none speaks HTTP and is up. */
  get origin(): UpstreamOrigin | undefined {
    const { scheme, pass_host: mode, upstream_host: rewritten } = this.spec
    const endpoint = this.endpoints.find(({ isUp, isResolved, weight }) => isUp && isResolved && weight > 0)
    if (endpoint === undefined || (scheme !== 'http' && scheme !== 'https')) return undefined
    const url = `${scheme}://${hostPort(endpoint.knownAddresses[0]!, endpoint.port)}`
    if (mode === 'pass') return { url, host: undefined }
    return { url, host: mode === 'rewrite' ? (rewritten ?? endpoint.host) : endpoint.hostField }
  }

  /** What an endpoint is asked by in TLS by who has nothing else to say. */
  serverName(endpoint: Endpoint<C>): string {
    const { pass_host: mode, upstream_host: rewritten } = this.spec
    return mode === 'rewrite' && rewritten !== undefined ? rewritten : endpoint.host
  }

  /** The endpoint for the next attempt; null when none takes traffic, or all that do are in `tried`. */
  pick(tried: ReadonlySet<Endpoint<C>> | null, exchange: Exchange): Endpoint<C> | null {
    if (this.sole !== null) return this.sole
    if (this.health !== null) {
      this.health.look(this.endpoints)
      if (this.health.onlySparesUsable && this.spec.type === 'roundrobin') return this.pickSpare(tried)
    }
    return this.balancer.pick(tried, exchange)
  }

  /** What `pick` would give, where that does not depend on whose turn it is; else null. Changes nothing. */
  certain(exchange: Exchange): Endpoint<C> | null {
    if (this.sole !== null) return this.sole
    return this.spec.type === 'chash' ? this.balancer.pick(null, exchange) : null
  }

  /** Whose word counts for whether endpoints are usable; null: all are. To be called after each update. */
  watch(health: UpstreamHealth | null): void {
    this.health = health
    health?.configure(this.spec)
    for (const endpoint of this.endpoints) endpoint.watch(health)
    this.observe()
  }

  /**
   * Tells the observers, if there are any, that an attempt at `endpoint` is over: once for each that began while there
   * were some.
   * @param status of the final answer; 0 when none came
   * @param elapsed milliseconds since the attempt began
   * @param address that was connected to; empty when there was none
   */
  ended(endpoint: Endpoint<C>, end: AttemptEnd, status: number, elapsed: number, address: string): void {
    const observers = this.observers
    if (observers === null) return
    for (let i = 0; i < observers.length; i++) observers[i]!.ended(endpoint, end, status, elapsed, address)
  }

  /** Lets the balancer begin anew. */
  forget(): void {
    for (const { load } of this.endpoints) load?.setValue(0, 0)
    this.balance()
  }

  setAddresses(host: string, addresses: readonly string[]): void {
    const onRing = this.spec.type === 'chash'
    let changed = false
    for (const endpoint of this.endpoints) {
      if (endpoint.host !== host) continue
      const { ringId, isResolved } = endpoint
      endpoint.setAddresses(addresses)
      changed ||= endpoint.isResolved !== isResolved || (onRing && endpoint.ringId !== ringId)
    }
    if (changed) this.balance()
  }

  /** Ends an idle connection, to make room for one to another endpoint. @returns false when there is none */
  dropIdle(): boolean {
    return this.endpoints.some((endpoint) => endpoint.dropIdle())
  }

  /** The same for all connections of a pool that nobody uses. */
  dropIdlePool(): boolean {
    const { breaker } = this
    return breaker !== null && this.endpoints.some((endpoint) => endpoint.dropIdlePool(breaker.poolSize))
  }

  retire(): void {
    for (const endpoint of this.endpoints) this.dismiss(endpoint)
    this.releaseTurns()
    this.breaker?.close()
  }

  private setBreaker(): void {
    const { circuit_breaker: limits, key } = this.spec
    if (limits === undefined) {
      this.breaker?.close()
      this.breaker = null
    } else if (this.breaker === null) this.breaker = new Breaker(limits, this.loads, breakerCell(key))
    else this.breaker.setLimits(limits)
  }

  /** Among those that have addresses: as in APISIX, a name that leads nowhere is as if it was not there. */
  private balance(): void {
    this.releaseTurns()
    this.learner = null
    const { spec } = this
    const endpoints = this.endpoints.filter((endpoint) => endpoint.isResolved)
    this.sole = endpoints.length === 1 ? endpoints[0]! : null
    this.retries = spec.retries ?? Math.max(0, endpoints.filter(({ weight }) => weight > 0).length - 1)
    switch (spec.type) {
      case 'chash':
        this.balancer = new ConsistentHash(endpoints, compileHashKey(spec.hash), spec.hash.balance_factor)
        break
      case 'least_conn':
        this.balancer = new LeastConnections(endpoints)
        break
      case 'ewma': {
        const ewma = new Ewma(endpoints)
        this.balancer = this.warmed(ewma)
        this.learner = ewma
        break
      }
      case 'unknown':
        this.balancer = noBalancer
        break
      default:
        this.balancer = this.warmed(new RoundRobin(endpoints, (priority) => this.claimTurns(priority)))
    }
    this.observe()
  }

  private observe(): void {
    const observers = [this.learner, this.health].filter((observer) => observer !== null)
    this.observers = observers.length === 0 ? null : observers
  }

  /** As APISIX does, one that takes no traffic comes in when none that does is usable. */
  private pickSpare(tried: ReadonlySet<Endpoint<C>> | null): Endpoint<C> | null {
    return this.endpoints.find((endpoint) => endpoint.usable && tried?.has(endpoint) !== true) ?? null
  }

  private warmed(balancer: Balancer<Endpoint<C>>): Balancer<Endpoint<C>> {
    return this.spec.slow_start > 0 ? new SlowStart(balancer) : balancer
  }

  private claimTurns(priority: number): LoadCell {
    const cell = this.claim(`turns ${priority}`)
    this.turns.push(cell)
    return cell
  }

  private releaseTurns(): void {
    for (const cell of this.turns) this.loads?.release(cell)
    this.turns = []
  }

  private setTracking(endpoint: Endpoint<C>): void {
    if (!tracksLoad(this.spec)) this.untrack(endpoint)
    else if (endpoint.load === null) endpoint.track(this.claim(endpointIdentity(endpoint)))
  }

  private untrack(endpoint: Endpoint<C>): void {
    if (endpoint.load !== null) this.loads?.release(endpoint.load)
    endpoint.load = null
  }

  private claim(name: string): LoadCell {
    return this.loads?.claim(cellName(this.spec.key, name)) ?? LoadCell.alone()
  }

  private dismiss(endpoint: Endpoint<C>): void {
    this.untrack(endpoint)
    endpoint.retire()
  }
}
