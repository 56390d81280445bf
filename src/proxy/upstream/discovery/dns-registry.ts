/**
 * Services in DNS. Answers are asked for again when they expire; a name that is gone loses its nodes only when that was
 * said several times in a row.
 */
import { Resolver } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import type { DnsSettings } from '../../../config/discovery.ts'
import type { DiscoveredNode } from './discovered-node.ts'
import { DnsRecords, type RecordType, type Target } from './dns-records.ts'
import type { Registry, RegistryContext, ServiceListener, ServiceQuery, Subscription } from './registry.ts'
import { type ResolverConfiguration, readResolverConfiguration } from './resolver-configuration.ts'
import { Turns } from './turns.ts'

/** Answers that a name does not exist after which it is believed. */
const goneAfter = 3
const systemConfiguration = '/etc/resolv.conf'

export class DnsRegistry implements Registry {
  readonly #context: RegistryContext
  readonly #dns: Resolver
  readonly #records: DnsRecords
  readonly #services = new Set<Turns>()

  constructor(settings: DnsSettings, context: RegistryContext) {
    this.#context = context
    // The second try waits twice as long as the first.
    this.#dns = new Resolver({ timeout: Math.max(1, Math.floor(context.dns.timeout / 3)), tries: 2 })
    const configuration = configurationOf(settings, context)
    try {
      if (configuration.servers.length > 0) this.#dns.setServers([...configuration.servers])
    } catch {
      context.health.failed('servers', 'they are no addresses, so those of the system are asked')
    }
    this.#records = new DnsRecords(this.#dns, settings.order, configuration)
  }

  subscribe(service: ServiceQuery, listener: ServiceListener): Subscription {
    const { health, backoff } = this.#context
    let last: RecordType | undefined
    let absences = 0
    const turns = new Turns({
      backoff,
      turn: async (signal) => {
        const answer = await this.#records.find(service.name, last)
        if (signal.aborted) return 0
        if (answer.outcome === 'failed') throw new Error(answer.code)
        health.succeeded(service.name)
        if (answer.outcome === 'absent') {
          absences++
          if (last === undefined || absences >= goneAfter) listener.nodes([])
          return this.#keepFor(1000 * 2 ** Math.min(absences, 8))
        }
        absences = 0
        last = answer.type
        listener.nodes(nodesOf(answer.targets, service.port))
        return this.#keepFor(answer.ttl)
      },
      failed: ({ message }) => {
        health.failed(service.name, `no server could say (${message})`)
        listener.failed()
      },
    })
    this.#services.add(turns)
    return {
      close: () => {
        this.#services.delete(turns)
        turns.close()
        health.forget(service.name)
      },
    }
  }

  close(): void {
    for (const turns of this.#services) turns.close()
    this.#dns.cancel()
  }

  /** Up to a tenth earlier, so that names that were asked for together spread out. */
  #keepFor(ttl: number): number {
    const { min_ttl: least, max_ttl: most } = this.#context.dns
    return Math.min(Math.max(ttl, least), most) * (1 - Math.random() / 10)
  }
}

function configurationOf(settings: DnsSettings, { health }: RegistryContext): ResolverConfiguration {
  if (settings.servers !== undefined) return { servers: settings.servers, search: [], ndots: 1 }
  const file = settings.resolv_conf ?? systemConfiguration
  try {
    return readResolverConfiguration(readFileSync(file, 'utf8'))
  } catch (error) {
    health.failed(file, `it cannot be read (${(error as NodeJS.ErrnoException).code})`)
    return { servers: [], search: [], ndots: 1 }
  }
}

/** In an order of their own, because servers rotate their answers. `port` of the service's name wins. */
function nodesOf(targets: readonly Target[], port: string | undefined): DiscoveredNode[] {
  return targets
    .map((target) => {
      const number = port === undefined ? target.port : Number(port)
      return {
        host: target.address,
        ...(number !== undefined && { port: number }),
        weight: target.weight,
        ...(target.priority !== undefined && { priority: -target.priority }),
      }
    })
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}
