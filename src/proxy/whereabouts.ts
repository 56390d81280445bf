/**
 * Where upstreams are: the nodes behind the services that plans name, and the addresses behind the names of nodes. Data
 * threads are told what is known at their start and every change; a plan is put to work once it is known what it needs.
 */
import { isIP } from 'node:net'
import { equal } from '../config/copy.ts'
import { type RegistrySettings, registriesOf } from '../config/discovery.ts'
import type { DiscoverySpec, Plan, UpstreamSpec } from '../config/plan.ts'
import type { Addresses, ServiceNodes, ToDataThread } from './thread-protocol.ts'
import type { DiscoveredNode } from './upstream/discovery/discovered-node.ts'

/** Names of upstream nodes and where they lead; the resolver of the control thread. */
export interface AddressBook {
  /**
   * Follows these names and no others. Resolves when each has an answer, or the time for it is over; the addresses of
   * new names were announced by then.
   */
  watch(hosts: ReadonlySet<string>): Promise<void>
  /** What is known now; an empty list: the name does not resolve. */
  addresses(): Addresses
  onChange(listener: (host: string, addresses: readonly string[]) => void): void
}

/** Services and the nodes behind them; the discovery of the control thread. */
export interface NodeBook {
  /**
   * Asks these registries and no others about these services and no others. Resolves when each that is new has an answer
   * or was asked in vain, or `timeout` milliseconds are over; nodes of new ones were announced by then.
   */
  watch(
    registries: readonly RegistrySettings[],
    services: ReadonlyMap<string, DiscoverySpec>,
    timeout: number,
  ): Promise<void>
  /** What is known now; a service that nothing is known of is left out. */
  nodes(): ServiceNodes
  /** Called with null when a service is not followed any more. */
  onChange(listener: (service: string, nodes: readonly DiscoveredNode[] | null) => void): void
}

/** A change that data threads are told. */
export type Whereabout = Extract<ToDataThread, { type: 'addresses' | 'nodes' }>

/** How many upstreams need what stands under a key. */
interface Need<T> {
  readonly item: T
  upstreams: number
}

export class Whereabouts {
  readonly #addressBook: AddressBook
  readonly #nodeBook: NodeBook
  /** Of configured nodes. */
  readonly #hosts = new Map<string, Need<string>>()
  readonly #services = new Map<string, Need<DiscoverySpec>>()
  #registries: readonly RegistrySettings[] = []
  #timeout = 0
  /** Something is to be followed, or not any more, that was not or was. */
  #stale = false
  #tell: (change: Whereabout) => void = () => {}

  constructor(addressBook: AddressBook, nodeBook: NodeBook) {
    this.#addressBook = addressBook
    this.#nodeBook = nodeBook
    addressBook.onChange((host, addresses) => this.#tell({ type: 'addresses', host, addresses }))
    nodeBook.onChange((service, nodes) => void this.#nodesChanged(service, nodes))
  }

  /** Who is told of changes from now on. */
  tell(listener: (change: Whereabout) => void): void {
    this.#tell = listener
  }

  addresses(): Addresses {
    return this.#addressBook.addresses()
  }

  nodes(): ServiceNodes {
    return this.#nodeBook.nodes()
  }

  /** From the next call on, the registries of this plan are asked. */
  use({ settings, service_registries: others }: Plan): void {
    const { discovery } = settings
    const all = [...registriesOf(discovery), ...Array.from(others.values(), ({ registry }) => registry)]
    if (!equal(all, this.#registries)) this.#stale = true
    this.#registries = all
    this.#timeout = discovery.start_timeout
  }

  /** Follows what these upstreams need as well. Resolves when it is known, or the time for that is over. */
  async add(upstreams: readonly UpstreamSpec[]): Promise<void> {
    for (const { nodes, discovery } of upstreams) {
      for (const { host } of nodes) if (isIP(host) === 0) this.#need(this.#hosts, host, host)
      if (discovery !== undefined) this.#need(this.#services, discovery.key, discovery)
    }
    await this.#follow()
  }

  /** What these upstreams alone needed is not followed any more. */
  async remove(upstreams: readonly UpstreamSpec[]): Promise<void> {
    for (const { nodes, discovery } of upstreams) {
      for (const { host } of nodes) if (isIP(host) === 0) this.#release(this.#hosts, host)
      if (discovery !== undefined) this.#release(this.#services, discovery.key)
    }
    await this.#follow()
  }

  #need<T>(needs: Map<string, Need<T>>, key: string, item: T): void {
    const known = needs.get(key)
    if (known !== undefined) known.upstreams++
    else {
      needs.set(key, { item, upstreams: 1 })
      this.#stale = true
    }
  }

  #release<T>(needs: Map<string, Need<T>>, key: string): void {
    const known = needs.get(key)
    if (known === undefined || --known.upstreams > 0) return
    needs.delete(key)
    this.#stale = true
  }

  async #follow(): Promise<void> {
    if (!this.#stale) return
    this.#stale = false
    const services = new Map(Array.from(this.#services, ([key, { item }]) => [key, item]))
    await this.#nodeBook.watch(this.#registries, services, this.#timeout)
    await this.#followNames()
  }

  /** Registries may name hosts too. */
  async #followNames(): Promise<void> {
    const hosts = new Set(this.#hosts.keys())
    for (const [, nodes] of this.#nodeBook.nodes()) {
      for (const { host } of nodes) if (isIP(host) === 0) hosts.add(host)
    }
    await this.#addressBook.watch(hosts)
  }

  /** A node whose name has to be looked up takes traffic once that was tried. */
  async #nodesChanged(service: string, nodes: readonly DiscoveredNode[] | null): Promise<void> {
    if (nodes?.some(({ host }) => isIP(host) === 0)) {
      await this.#followNames()
      // Meanwhile they may have changed again: the last word counts.
      const known = this.#nodeBook.nodes().find(([key]) => key === service)
      this.#tell({ type: 'nodes', service, nodes: known?.[1] ?? null })
    } else this.#tell({ type: 'nodes', service, nodes })
  }
}
