/** Registries and the services that they know as metrics. */
import type { MetricFamily, Sample } from '../../../telemetry/metric-family.ts'
import type { RegistryStatus, ServiceStatus } from './discovery.ts'

export function discoveryFamilies(registries: readonly RegistryStatus[]): MetricFamily[] {
  const now = Date.now()
  const perRegistry = (value: (registry: RegistryStatus) => number): Sample[] =>
    registries.map((registry) => ({ labels: labelsOf(registry), value: value(registry) }))
  const perService = (value: (service: ServiceStatus) => number): Sample[] =>
    registries.flatMap((registry) =>
      registry.services
        .filter(({ answeredAt }) => answeredAt > 0)
        .map((service) => ({
          labels: { ...labelsOf(registry), service: nameOf(service) },
          value: value(service),
        })),
    )
  return [
    {
      name: 'sluice_discovery_up',
      help: '1 while a registry answers, or was not asked yet.',
      type: 'gauge',
      values: perRegistry(({ state }) => (state === 'lost_connection' ? 0 : 1)),
    },
    {
      name: 'sluice_discovery_failures_total',
      help: 'Questions to a registry that were in vain.',
      type: 'counter',
      values: perRegistry(({ failures }) => failures),
    },
    {
      name: 'sluice_discovery_nodes',
      help: 'Nodes of a service.',
      type: 'gauge',
      values: perService(({ nodes = [] }) => nodes.length),
    },
    {
      name: 'sluice_discovery_age_seconds',
      help: 'Since a registry was last heard of about a service.',
      type: 'gauge',
      values: perService(({ answeredAt }) => (now - answeredAt) / 1000),
    },
  ]
}

function labelsOf({ type, id }: RegistryStatus): Record<string, string> {
  return { type, id }
}

/** Everything that tells a service from others, so that no two have the same. */
function nameOf({ spec }: ServiceStatus): string {
  const { service_name: service, namespace_id: namespace, group_name: group, metadata = {}, grpc } = spec
  const chosen = Object.entries(metadata).map(([key, value]) => `${key}=${value}`)
  const where = [namespace, group].filter((part) => part !== undefined)
  return [...where, service].join('/') + (chosen.length > 0 ? `{${chosen}}` : '') + (grpc ? ' grpc' : '')
}
