/**
 * Services in Consul: healthy instances, by blocking queries (developer.hashicorp.com/consul/api-docs/features/blocking).
 * Each server is asked for itself, because they may be of different clusters.
 */
import { equal } from '../../../config/copy.ts'
import type { ConsulSettings } from '../../../config/discovery.ts'
import { ConsulDump } from './consul-dump.ts'
import { type Instance, readInstances, sortInstances } from './consul-instances.ts'
import type { DiscoveredNode } from './discovered-node.ts'
import type { Registry, RegistryContext, ServiceListener, ServiceQuery, Subscription } from './registry.ts'
import { RegistryClient, RegistryError } from './registry-client.ts'
import { Turns } from './turns.ts'

/** An agent takes 200 connections of a client by default; services beyond these are asked about in intervals. */
const mostBlockingQueries = 100
/** Between the beginnings of two queries about a service: on a busy cluster, each returns at once. */
const leastGapMs = 200

/** A service that Consul has for itself. */
const alwaysSkipped = 'consul'

interface Server {
  readonly url: string
  blockingQueries: number
}

/** What a server said about a service. */
interface Answer {
  readonly instances: readonly Instance[]
  /** The last question was answered. */
  stands: boolean
}

interface Service {
  readonly name: string
  readonly listeners: Map<ServiceListener, ServiceQuery>
  readonly answers: Map<Server, Answer>
  /** Those that answered once, or were asked in vain. */
  readonly asked: Set<Server>
  unusable: number
  turns: readonly Turns[]
}

export class ConsulRegistry implements Registry {
  readonly #settings: ConsulSettings
  readonly #context: RegistryContext
  readonly #client: RegistryClient
  readonly #servers: readonly Server[]
  readonly #services = new Map<string, Service>()
  readonly #dump: ConsulDump | undefined

  constructor(settings: ConsulSettings, context: RegistryContext) {
    this.#settings = settings
    this.#context = context
    this.#client = new RegistryClient({ connectTimeout: settings.timeout.connect })
    this.#servers = settings.servers.map((url) => ({ url, blockingQueries: 0 }))
    this.#dump = settings.dump && new ConsulDump(settings.dump, context.log)
  }

  subscribe(query: ServiceQuery, listener: ServiceListener): Subscription {
    const { name } = query
    if (name === alwaysSkipped || this.#settings.skip_services?.includes(name)) {
      listener.nodes(this.#orDefault([]))
      return { close() {} }
    }
    const service = this.#services.get(name) ?? this.#follow(name)
    service.listeners.set(listener, query)
    this.#tell(service, listener, query)
    return {
      close: () => {
        service.listeners.delete(listener)
        if (service.listeners.size > 0) return
        for (const turns of service.turns) turns.close()
        this.#services.delete(name)
      },
    }
  }

  close(): void {
    for (const { turns } of this.#services.values()) for (const one of turns) one.close()
    this.#services.clear()
    this.#client.close()
  }

  #follow(name: string): Service {
    const service: Service = {
      name,
      listeners: new Map(),
      answers: new Map(),
      asked: new Set(),
      unusable: 0,
      turns: [],
    }
    this.#services.set(name, service)
    service.turns = this.#servers.map((server) => this.#ask(service, server))
    return service
  }

  #ask(service: Service, server: Server): Turns {
    const { health, backoff } = this.#context
    let index = 0
    return new Turns({
      backoff,
      turn: async (signal) => {
        const begun = performance.now()
        const answer = await this.#query(service.name, server, index, signal)
        if (signal.aborted) return 0
        health.succeeded(server.url)
        this.#answered(service, server, answer.instances, answer.unusable)
        // An index that goes backwards is of another history: begin anew (Consul, "Blocking Queries").
        index = answer.index >= index ? answer.index : 0
        if (this.#settings.keepalive && answer.index > 0 && server.blockingQueries < mostBlockingQueries) {
          return Math.max(0, leastGapMs - (performance.now() - begun))
        }
        return this.#settings.fetch_interval * 1000 * (1 - Math.random() / 10)
      },
      failed: ({ message }) => {
        // Whatever it was, the next question does not wait for a change to happen.
        index = 0
        health.failed(server.url, message)
        this.#failed(service, server)
      },
    })
  }

  async #query(name: string, server: Server, index: number, signal: AbortSignal) {
    const { token, keepalive, timeout, weight } = this.#settings
    const blocking = keepalive && index > 0 && server.blockingQueries < mostBlockingQueries
    const url = `${server.url}/v1/health/service/${encodeURIComponent(name)}?passing=true`
    if (blocking) server.blockingQueries++
    try {
      // Consul waits up to a sixteenth longer than it was asked to.
      const wait = blocking ? timeout.wait * 1000 * (17 / 16) : 0
      const { status, headers, value } = await this.#client.json({
        url: blocking ? `${url}&index=${index}&wait=${timeout.wait}s` : url,
        headers: token === undefined ? {} : { 'x-consul-token': token },
        timeout: wait + timeout.read,
        signal,
      })
      if (status !== 200) throw new RegistryError(`status ${status}`)
      const found = readInstances(value, weight)
      if (found === undefined) throw new RegistryError('an answer that is no list of instances')
      return { ...found, index: readIndex(headers['x-consul-index']) }
    } finally {
      if (blocking) server.blockingQueries--
    }
  }

  #answered(service: Service, server: Server, instances: readonly Instance[], unusable: number): void {
    if (unusable > 0 && unusable !== service.unusable) {
      this.#context.log.warn({ service: service.name, unusable }, 'Consul has instances that cannot be used')
    }
    service.unusable = unusable
    service.asked.add(server)
    const isNews = !equal(service.answers.get(server)?.instances, instances)
    service.answers.set(server, { instances, stands: true })
    this.#tellAll(service)
    if (isNews) this.#dump?.write(this.#known())
  }

  #failed(service: Service, server: Server): void {
    service.asked.add(server)
    const answer = service.answers.get(server)
    if (answer !== undefined) answer.stands = false
    // What the other servers say may weigh more now.
    this.#tellAll(service)
    for (const listener of service.listeners.keys()) listener.failed()
  }

  #tellAll(service: Service): void {
    for (const [listener, query] of service.listeners) this.#tell(service, listener, query)
  }

  #tell(service: Service, listener: ServiceListener, { metadata = {} }: ServiceQuery): void {
    const instances = this.#instancesOf(service) ?? []
    // It may be in the cluster of a server that has not answered yet.
    if (instances.length === 0 && service.asked.size < this.#servers.length) return
    if (service.answers.size === 0 && instances.length === 0 && !this.#hasDefault) return
    const wanted = Object.entries(metadata)
    const nodes = instances
      .filter((instance) => wanted.every(([key, value]) => instance.metadata[key] === value))
      .map(({ node }) => node)
    listener.nodes(this.#orDefault(nodes))
  }

  /**
   * All that servers say which answer. When that is nothing, what the others said last; so a service that is in one
   * cluster alone keeps its nodes while that cannot be reached. Undefined: nobody has said anything yet.
   */
  #instancesOf({ name, answers }: Service): Instance[] | undefined {
    if (answers.size === 0) {
      return this.#dump?.nodesOf(name)?.map((node) => ({ node, metadata: {} }))
    }
    const standing = [...answers.values()].filter(({ stands }) => stands)
    const live = standing.flatMap(({ instances }) => instances)
    const instances = live.length > 0 ? live : [...answers.values()].flatMap(({ instances }) => instances)
    sortInstances(instances, this.#settings.sort_type)
    return instances
  }

  get #hasDefault(): boolean {
    return this.#settings.default_service?.host !== undefined
  }

  #orDefault(nodes: readonly DiscoveredNode[]): readonly DiscoveredNode[] {
    const { default_service: byDefault, weight } = this.#settings
    if (nodes.length > 0 || byDefault?.host === undefined) return nodes
    const { host, port } = byDefault
    return [{ host, weight, ...(port !== undefined && { port }) }]
  }

  #known(): Record<string, DiscoveredNode[]> {
    const known: Record<string, DiscoveredNode[]> = {}
    for (const service of this.#services.values()) {
      const instances = this.#instancesOf(service) ?? []
      if (instances.length > 0) known[service.name] = instances.map(({ node }) => node)
    }
    return known
  }
}

/** 0: none that could be waited on. */
function readIndex(header: string | string[] | undefined): number {
  const index = Number(header)
  return Number.isSafeInteger(index) && index > 0 ? index : 0
}
