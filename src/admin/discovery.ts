/** What registries say about services, at the control port: as APISIX tells it, and with how the registries are doing. */
import { readFile } from 'node:fs/promises'
import type { DiscoveryType } from '../config/discovery.ts'
import type { SecretFields } from '../config/secret-fields.ts'
import type { DiscoveredNode } from '../proxy/upstream/discovery/discovered-node.ts'
import type { RegistryStatus, ServiceStatus } from '../proxy/upstream/discovery/discovery.ts'
import { type Answer, type Endpoints, json, text } from './server.ts'

/** Who asks the registries. */
export interface DiscoverySource {
  status(): RegistryStatus[]
}

export function discoveryEndpoints(source: DiscoverySource, secrets: SecretFields): Endpoints {
  return {
    /** Only services that an upstream names are followed. `age` in seconds; null: nothing was heard yet. */
    'GET /v1/discovery': () => json(200, source.status().map(overview)),
    /** As in APISIX there is no dump of DNS; the list above has what it answered. */
    'GET /v1/discovery/*': ({ rest }) => {
      const [type = '', what = ''] = rest.split('/')
      const registries = source.status().filter((registry) => registry.type === type)
      if (registries.length === 0) return json(404, { error_msg: `there is no ${type} registry` })
      if (what === 'dump' && type !== 'dns')
        return json(200, dump(type as Exclude<DiscoveryType, 'dns'>, registries, secrets))
      if (what === 'show_dump_file' && type === 'consul') return dumpFile(registries[0]!)
      return json(404, { error_msg: `there is no ${what} of a ${type} registry` })
    },
  }
}

function overview({ type, id, state, failures, lastSuccess, problems, services }: RegistryStatus) {
  const now = Date.now()
  return {
    type,
    id,
    state,
    failures,
    last_success: lastSuccess === 0 ? null : new Date(lastSuccess).toISOString(),
    problems,
    services: services.map(({ spec, nodes, answeredAt }) => {
      const { key: _key, type: _type, grpc: _grpc, ...asked } = spec
      return { ...asked, nodes: nodes ?? [], age: answeredAt === 0 ? null : (now - answeredAt) / 1000 }
    }),
  }
}

/** In the shape of each of APISIX's registries. */
function dump(
  type: Exclude<DiscoveryType, 'dns'>,
  registries: readonly RegistryStatus[],
  secrets: SecretFields,
): unknown {
  const settings = registries.map(({ id, settings: { config } }) => {
    const shown = secrets.redact({ kind: 'gateway', id: '' }, config, ['discovery', type]) as object
    return id === 'default' ? shown : { id, ...shown }
  })
  switch (type) {
    case 'consul': {
      const named = registries.flatMap(({ services }) => services).map(byName)
      return { config: settings[0], services: Object.fromEntries(named) }
    }
    case 'nacos': {
      const named = registries.flatMap(({ id, services }) =>
        services.map((service) => [nacosName(id, service), { nodes: service.nodes ?? [] }] as const),
      )
      return { services: Object.fromEntries(named) }
    }
    case 'kubernetes': {
      const endpoints = registries.map(({ id, services }) => ({
        ...(id !== 'default' && { id }),
        endpoints: kubernetesEndpoints(services),
      }))
      const isSingle = registries.length === 1 && registries[0]!.id === 'default'
      return { config: isSingle ? settings[0] : settings, endpoints }
    }
  }
}

function byName({ spec, nodes }: ServiceStatus): readonly [string, readonly DiscoveredNode[]] {
  return [spec.service_name, nodes ?? []]
}

function nacosName(id: string, { spec }: ServiceStatus): string {
  const { namespace_id: namespace = 'public', group_name: group = 'DEFAULT_GROUP', service_name: name } = spec
  // The names of registries from API7 say all of it.
  return id === 'default' ? `${id}/${namespace}/${group}/${name}` : name
}

/** Each service once, with its ports as text, as APISIX holds them. */
function kubernetesEndpoints(services: readonly ServiceStatus[]): { name: string; value: string }[] {
  const ports = new Map<string, Record<string, readonly DiscoveredNode[]>>()
  for (const { spec, nodes = [] } of services) {
    const [, name = '', port = ''] = /([^/]*\/[^/]*):([^/]*)$/.exec(spec.service_name) ?? []
    ports.set(name, { ...ports.get(name), [port]: nodes })
  }
  return Array.from(ports, ([name, value]) => ({ name, value: JSON.stringify(value) }))
}

/** As APISIX answers where there is none. */
async function dumpFile({ settings }: RegistryStatus): Promise<Answer> {
  const path = settings.type === 'consul' ? settings.config.dump?.path : undefined
  if (path === undefined) return text(503, 'dump params is nil')
  try {
    return { status: 200, contentType: 'application/json', body: await readFile(path, 'utf8') }
  } catch (error) {
    return text(503, `the dump cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}
