/**
 * The services that plans name, followed at the registries that know them. It lives in the control thread; data threads
 * are told node lists. A registry that fails changes nothing: what it said last stands.
 */
import { equal } from '../../../config/copy.ts'
import { parseServiceName, type RegistrySettings } from '../../../config/discovery.ts'
import type { DiscoverySpec } from '../../../config/plan.ts'
import type { Log } from '../../../telemetry/log.ts'
import type { ServiceNodes } from '../../thread-protocol.ts'
import type { NodeBook } from '../../whereabouts.ts'
import type { BackoffLimits } from './backoff.ts'
import type { DiscoveredNode } from './discovered-node.ts'
import { loadRegistry, type OpenRegistry, type RegistryType } from './registries.ts'
import type { Registry, RegistryContext, Subscription } from './registry.ts'
import { RegistryHealth, type RegistryState } from './registry-health.ts'

export interface DiscoveryOptions {
  log: Log
  dns: RegistryContext['dns']
  backoff?: BackoffLimits
}

/** What operators are told about a registry. */
export interface RegistryStatus {
  type: RegistrySettings['type']
  id: string
  settings: RegistrySettings
  state: RegistryState
  failures: number
  /** Epoch milliseconds; 0: never. */
  lastSuccess: number
  /** What is wrong now, by server or name. */
  problems: Record<string, string>
  services: ServiceStatus[]
}

export interface ServiceStatus {
  spec: DiscoverySpec
  /** Undefined: the registry has not said anything yet. */
  nodes: readonly DiscoveredNode[] | undefined
  /** Epoch milliseconds of the last answer; 0: none yet. */
  answeredAt: number
}

interface Running {
  readonly settings: RegistrySettings
  readonly registry: Registry
  readonly health: RegistryHealth
}

interface Followed {
  readonly spec: DiscoverySpec
  /** The registry that is asked; undefined while there is none. */
  running: Running | undefined
  subscription: Subscription | undefined
  nodes: readonly DiscoveredNode[] | undefined
  /** Nodes that were left out because something is wrong with them. */
  unusable: number
  answeredAt: number
  /** Resolves when it was answered, or asked in vain. */
  readonly settled: PromiseWithResolvers<void>
}

/** From half a second to half a minute. */
const defaultBackoff: BackoffLimits = { first: 500, longest: 30_000 }

export class Discovery implements NodeBook {
  readonly #options: DiscoveryOptions
  readonly #openers = new Map<RegistryType, OpenRegistry>()
  #closed = false
  /** By type and id. */
  readonly #registries = new Map<string, Running>()
  readonly #services = new Map<string, Followed>()
  readonly #listeners: ((service: string, nodes: readonly DiscoveredNode[] | null) => void)[] = []

  constructor(options: DiscoveryOptions) {
    this.#options = options
  }

  async watch(
    registries: readonly RegistrySettings[],
    services: ReadonlyMap<string, DiscoverySpec>,
    timeout: number,
  ): Promise<void> {
    for (const { type } of registries) {
      if (!this.#openers.has(type)) this.#openers.set(type, await loadRegistry(type))
    }
    if (this.#closed) return
    this.#use(registries)
    for (const key of this.#services.keys()) if (!services.has(key)) this.#forget(key)
    const first: Promise<void>[] = []
    for (const [key, spec] of services) {
      if (this.#services.has(key)) continue
      const followed = newlyFollowed(spec)
      this.#services.set(key, followed)
      first.push(followed.settled.promise)
    }
    for (const followed of this.#services.values()) {
      if (followed.subscription === undefined) this.#subscribe(followed)
    }
    if (first.length === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const limit = setTimeout(resolve, timeout)
    await Promise.race([Promise.all(first), promise])
    clearTimeout(limit)
  }

  nodes(): ServiceNodes {
    const known: [string, readonly DiscoveredNode[]][] = []
    for (const [key, { nodes }] of this.#services) if (nodes !== undefined) known.push([key, nodes])
    return known
  }

  /** Empty: nothing is known of it. */
  nodesOf(service: string): readonly DiscoveredNode[] {
    return this.#services.get(service)?.nodes ?? []
  }

  onChange(listener: (service: string, nodes: readonly DiscoveredNode[] | null) => void): void {
    this.#listeners.push(listener)
  }

  status(): RegistryStatus[] {
    return Array.from(this.#registries.values(), (running) => {
      const { settings, health } = running
      const services = [...this.#services.values()].filter((followed) => followed.running === running)
      return {
        type: settings.type,
        id: settings.id,
        settings,
        state: health.state,
        failures: health.failures,
        lastSuccess: health.lastSuccess,
        problems: health.problems,
        services: services.map(({ spec, nodes, answeredAt }) => ({ spec, nodes, answeredAt })),
      }
    })
  }

  close(): void {
    this.#closed = true
    this.#use([])
    for (const followed of this.#services.values()) followed.settled.resolve()
    this.#services.clear()
  }

  /** Ends registries that are gone or set up differently; their services keep their nodes until they are asked anew. */
  #use(wanted: readonly RegistrySettings[]): void {
    const byKey = new Map(wanted.map((settings) => [`${settings.type} ${settings.id}`, settings]))
    for (const [key, running] of this.#registries) {
      if (equal(running.settings, byKey.get(key))) continue
      running.registry.close()
      this.#registries.delete(key)
      for (const followed of this.#services.values()) {
        if (followed.running === running) followed.subscription = undefined
      }
    }
    for (const [key, settings] of byKey) {
      if (this.#registries.has(key)) continue
      const { log } = this.#options
      const health = new RegistryHealth(settings.type, settings.id, log)
      this.#registries.set(key, { settings, health, registry: this.#open(settings, health) })
    }
  }

  #open(settings: RegistrySettings, health: RegistryHealth): Registry {
    const { log, dns, backoff = defaultBackoff } = this.#options
    return this.#openers.get(settings.type)!(settings, { log, dns, backoff, health })
  }

  #subscribe(followed: Followed): void {
    const { spec } = followed
    const isRegistry = (id: string) => this.#registries.has(`${spec.type} ${id}`)
    const name = parseServiceName(spec.type, spec.service_name, isRegistry)
    followed.running = name && this.#registries.get(`${spec.type} ${name.registry}`)
    if (name === undefined || followed.running === undefined) {
      // The check of files has said so, and refused it; the Admin API takes it, as APISIX does.
      if (followed.nodes === undefined) {
        const { type: registry, service_name: service } = spec
        this.#options.log.warn({ registry, service }, 'a service has no nodes: its registry is not set up')
      }
      this.#update(followed, [])
      followed.settled.resolve()
      return
    }
    const { type: _type, service_name: _name, key: _key, namespace_id, group_name, ...asked } = spec
    const query = {
      ...asked,
      ...(namespace_id !== undefined && { namespace: namespace_id }),
      ...(group_name !== undefined && { group: group_name }),
      ...name,
    }
    followed.subscription = followed.running.registry.subscribe(query, {
      nodes: (nodes) => {
        followed.answeredAt = Date.now()
        this.#update(followed, nodes)
        followed.settled.resolve()
      },
      failed: () => followed.settled.resolve(),
    })
  }

  #update(followed: Followed, found: readonly DiscoveredNode[]): void {
    const { key, type, service_name: service } = followed.spec
    const sound = found.filter(isSound)
    const unusable = found.length - sound.length
    if (unusable > 0 && unusable !== followed.unusable) {
      this.#options.log.warn(
        { registry: type, service, unusable },
        'a registry has nodes that cannot be used',
      )
    }
    followed.unusable = unusable
    const nodes = distinct(sound)
    if (equal(followed.nodes, nodes)) return
    followed.nodes = nodes
    this.#options.log.info({ registry: type, service, nodes: nodes.length }, 'nodes of a service changed')
    for (const listener of this.#listeners) listener(key, nodes)
  }

  #forget(key: string): void {
    const followed = this.#services.get(key)
    if (followed === undefined) return
    this.#services.delete(key)
    followed.subscription?.close()
    followed.settled.resolve()
    for (const listener of this.#listeners) listener(key, null)
  }
}

function newlyFollowed(spec: DiscoverySpec): Followed {
  return {
    spec,
    running: undefined,
    subscription: undefined,
    nodes: undefined,
    unusable: 0,
    answeredAt: 0,
    settled: Promise.withResolvers<void>(),
  }
}

/** Hosts become part of `Host` fields and of log lines: what is none must not get there. */
const hostForm = /^[0-9a-zA-Z-._:]{1,255}$/

function isSound({ host, port = 1, weight, priority = 0 }: DiscoveredNode): boolean {
  const isPort = Number.isInteger(port) && port >= 1 && port <= 65_535
  return (
    hostForm.test(host) && isPort && Number.isSafeInteger(weight) && weight >= 0 && Number.isInteger(priority)
  )
}

/** Registries may tell a node twice, Kubernetes for one while it moves a node from slice to slice. */
function distinct(nodes: readonly DiscoveredNode[]): readonly DiscoveredNode[] {
  const seen = new Set<string>()
  return nodes.filter(({ host, port, priority }) => {
    const identity = `${host} ${port} ${priority}`
    const isNew = !seen.has(identity)
    seen.add(identity)
    return isNew
  })
}
