/**
 * Services in Nacos: healthy instances, asked for again and again, because over HTTP Nacos tells nobody of changes. Its
 * servers are of one cluster: when one does not answer, the next is asked.
 */
import type { NacosSettings } from '../../../config/discovery.ts'
import { type NacosAnswer, type NacosInstance, NacosServer, type NacosService } from './nacos-api.ts'
import type { Registry, RegistryContext, ServiceListener, ServiceQuery, Subscription } from './registry.ts'
import { RegistryClient, type RegistryError } from './registry-client.ts'
import { Turns } from './turns.ts'

/** To one server; services are asked about one after the other beyond that. */
const mostConnections = 16

const defaultNamespace = 'public'
const defaultGroup = 'DEFAULT_GROUP'

interface Service {
  readonly listeners: Map<ServiceListener, ServiceQuery>
  instances: readonly NacosInstance[] | undefined
  unusable: number
  turns: Turns | undefined
}

export class NacosRegistry implements Registry {
  readonly #settings: NacosSettings
  readonly #context: RegistryContext
  readonly #client: RegistryClient
  readonly #servers: readonly NacosServer[]
  /** By namespace, group and name. */
  readonly #services = new Map<string, Service>()
  /** The server that answered last; at first any, so that gateways spread over them. */
  #at: number

  constructor(settings: NacosSettings, context: RegistryContext) {
    this.#settings = settings
    this.#context = context
    this.#client = new RegistryClient({
      connectTimeout: settings.timeout.connect,
      connections: mostConnections,
    })
    this.#servers = settings.host.map((host) => new NacosServer(host, settings, this.#client))
    this.#at = Math.floor(Math.random() * this.#servers.length)
  }

  subscribe(query: ServiceQuery, listener: ServiceListener): Subscription {
    const { namespace = defaultNamespace, group = defaultGroup, name } = query
    const key = JSON.stringify([namespace, group, name])
    const known = this.#services.get(key)
    const service = known ?? { listeners: new Map(), instances: undefined, unusable: 0, turns: undefined }
    service.listeners.set(listener, query)
    if (known === undefined) {
      this.#services.set(key, service)
      service.turns = this.#ask(service, { namespace, group, name })
    } else if (known.instances !== undefined) this.#tell(known.instances, listener, query)
    return {
      close: () => {
        service.listeners.delete(listener)
        if (service.listeners.size > 0) return
        service.turns?.close()
        this.#services.delete(key)
      },
    }
  }

  close(): void {
    for (const { turns } of this.#services.values()) turns?.close()
    this.#services.clear()
    this.#client.close()
  }

  #ask(service: Service, asked: NacosService): Turns {
    return new Turns({
      backoff: this.#context.backoff,
      turn: async (signal) => {
        const { instances, unusable } = await this.#fromAnyServer(asked, signal)
        if (signal.aborted) return 0
        if (unusable > 0 && unusable !== service.unusable) {
          this.#context.log.warn({ service: asked.name, unusable }, 'Nacos has instances that cannot be used')
        }
        service.unusable = unusable
        service.instances = instances
        for (const [listener, query] of service.listeners) this.#tell(instances, listener, query)
        return this.#settings.fetch_interval * 1000 * (1 - Math.random() / 10)
      },
      failed: () => {
        for (const listener of service.listeners.keys()) listener.failed()
      },
    })
  }

  /** Rejects when no server answers. */
  async #fromAnyServer(service: NacosService, signal: AbortSignal): Promise<NacosAnswer> {
    const { health } = this.#context
    let problem: RegistryError | undefined
    for (const [turn] of this.#servers.entries()) {
      const index = (this.#at + turn) % this.#servers.length
      const server = this.#servers[index]!
      try {
        const answer = await server.instances(service, signal)
        this.#at = index
        health.succeeded(server.url)
        return answer
      } catch (error) {
        problem = error as RegistryError
        if (signal.aborted) break
        health.failed(server.url, problem.message)
      }
    }
    throw problem!
  }

  #tell(instances: readonly NacosInstance[], listener: ServiceListener, query: ServiceQuery): void {
    const wanted = Object.entries(query.metadata ?? {})
    const nodes = instances
      .filter(({ metadata }) => wanted.every(([key, value]) => metadata[key] === value))
      .map(({ node, grpcPort }) =>
        query.grpc && grpcPort !== undefined ? { ...node, port: grpcPort } : node,
      )
    listener.nodes(nodes)
  }
}
