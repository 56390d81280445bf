/** How far the resources of the Admin API have come, under the names that APISIX has for its keys of etcd. */
import type { MetricFamily } from '../../telemetry/metric-family.ts'
import type { Store } from './store.ts'

const kinds = [
  'routes',
  'services',
  'ssls',
  'consumers',
  'global_rules',
  'upstreams',
  'protos',
  'stream_routes',
]

/** Nothing while the Admin API was never written to: the configuration is in files then. */
export function storeFamilies(store: Store): MetricFamily[] {
  if (store.revision === 0) return []
  const indexes = kinds.map((kind) => [kind, store.modified(kind)] as const)
  const values = [
    ...indexes,
    ['max_modify_index', Math.max(...indexes.map(([, index]) => index))],
    ['prev_index', store.revision],
    ['x_etcd_index', store.revision],
  ] as const
  return [
    {
      name: 'apisix_etcd_modify_indexes',
      help: 'Revision of the last change of each kind of resource in the Admin API.',
      type: 'gauge',
      values: values.map(([key, value]) => ({ labels: { key }, value })),
    },
  ]
}
