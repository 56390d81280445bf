/** An upstream at run time: endpoints with their pools, and the balancer that picks among them. */
import { type NodeSpec, standardPorts, type UpstreamSpec } from '../../config/plan.ts'
import type { Exchange } from '../exchange.ts'
import type { AttemptEnd, AttemptObserver } from './attempt.ts'
import type { Balancer } from './balancers/balancer.ts'
import { ConsistentHash } from './balancers/consistent-hash.ts'
import { RoundRobin } from './balancers/round-robin.ts'
import type { DiscoveredNode } from './discovery/discovered-node.ts'
import { Endpoint, type PooledConnection } from './endpoint.ts'
import { compileHashKey } from './hash-key.ts'

/** What a host name leads to now. */
type AddressesOf = (host: string) => readonly string[]

export class Upstream<C extends PooledConnection = PooledConnection> {
  spec: UpstreamSpec
  endpoints: readonly Endpoint<C>[] = []
  /** Attempts beyond the first that a request may take: configured, or one for each further endpoint with weight. */
  retries = 0
  /** Who hears of every attempt that ends; null while nobody does. */
  observers: readonly AttemptObserver<Endpoint<C>>[] | null = null
  private balancer: Balancer<Endpoint<C>>
  /** The only endpoint, which is used without balancing, as in APISIX. */
  private sole: Endpoint<C> | null = null

  constructor(spec: UpstreamSpec, addressesOf: AddressesOf, discovered?: readonly DiscoveredNode[]) {
    this.spec = spec
    this.balancer = new RoundRobin([])
    this.update(spec, addressesOf, discovered)
  }

  /**
   * Takes over a changed configuration. Endpoints that stay keep their pools and counters.
   * @param discovered in place of the configured nodes
   */
  update(spec: UpstreamSpec, addressesOf: AddressesOf, discovered?: readonly DiscoveredNode[]): void {
    this.spec = spec
    if (discovered === undefined) this.use(spec.nodes, addressesOf)
    else this.setNodes(discovered, addressesOf)
  }

  /** Takes over the nodes that a registry knows now. Endpoints that stay keep their pools and counters. */
  setNodes(discovered: readonly DiscoveredNode[], addressesOf: AddressesOf): void {
    const port = standardPorts[this.spec.scheme]
    const nodes = discovered.map((node) => ({ port, priority: 0, ...node }))
    this.use(nodes, addressesOf)
  }

  private use(nodes: readonly NodeSpec[], addressesOf: AddressesOf): void {
    const { spec } = this
    const limits = {
      size: spec.keepalive_pool.size,
      idleTimeout: spec.keepalive_pool.idle_timeout * 1000,
      requests: spec.keepalive_pool.requests,
    }
    const left = new Map(this.endpoints.map((endpoint) => [identity(endpoint), endpoint]))
    this.endpoints = nodes.map((node) => {
      const known = left.get(identity(node))
      if (known === undefined) return new Endpoint<C>(node, addressesOf(node.host), limits)
      left.delete(identity(node))
      known.limits = limits
      known.weight = node.weight
      return known
    })
    for (const endpoint of left.values()) endpoint.retire()
    this.balancer = this.balance()
    this.sole = this.endpoints.length === 1 ? this.endpoints[0]! : null
    this.retries =
      spec.retries ?? Math.max(0, this.endpoints.filter((endpoint) => endpoint.weight > 0).length - 1)
  }

  /** The endpoint for the next attempt; null when none takes traffic, or all that do are in `tried`. */
  pick(tried: ReadonlySet<Endpoint<C>> | null, exchange: Exchange): Endpoint<C> | null {
    return this.sole ?? this.balancer.pick(tried, exchange)
  }

  /**
   * Tells the observers, if there are any, that an attempt at `endpoint` is over: once for each that began while there
   * were some.
   * @param status of the final answer; 0 when none came
   * @param elapsed milliseconds since the attempt began
   */
  ended(endpoint: Endpoint<C>, end: AttemptEnd, status: number, elapsed: number): void {
    const observers = this.observers
    if (observers === null) return
    for (let i = 0; i < observers.length; i++) observers[i]!.ended(endpoint, end, status, elapsed)
  }

  /** Lets the balancer begin anew. */
  forget(): void {
    this.balancer = this.balance()
  }

  setAddresses(host: string, addresses: readonly string[]): void {
    let moved = false
    for (const endpoint of this.endpoints) {
      if (endpoint.host !== host) continue
      const { ringId } = endpoint
      endpoint.setAddresses(addresses)
      moved ||= endpoint.ringId !== ringId
    }
    if (moved && this.spec.type === 'chash') this.balancer = this.balance()
  }

  private balance(): Balancer<Endpoint<C>> {
    return this.spec.type === 'chash'
      ? new ConsistentHash(this.endpoints, compileHashKey(this.spec.hash))
      : new RoundRobin(this.endpoints)
  }

  retire(): void {
    for (const endpoint of this.endpoints) endpoint.retire()
  }
}

function identity(node: { host: string; port: number; priority: number }): string {
  return `${node.host} ${node.port} ${node.priority}`
}
