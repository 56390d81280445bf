/** Which resources a resource refers to: what may not be deleted while it is there. */
import type { Plugins, ResourceKind } from './plan.ts'

/** The kinds that are referred to; some of them are not part of a plan. */
export type UsedKind = ResourceKind | 'protos' | 'ssls'

/** `KIND/ID`. */
export type ResourceName = `${string}/${string}`

interface Referring {
  service_id?: unknown
  upstream_id?: unknown
  plugin_config_id?: unknown
  group_id?: unknown
  plugins?: Plugins
}

const fields = [
  ['service_id', 'services'],
  ['upstream_id', 'upstreams'],
  ['plugin_config_id', 'plugin_configs'],
  ['group_id', 'consumer_groups'],
] as const satisfies readonly (readonly [keyof Referring, UsedKind])[]

export function usesOf(resource: object): ResourceName[] {
  const { plugins, ...referring } = resource as Referring
  const uses: ResourceName[] = []
  for (const [field, kind] of fields) {
    if (isId(referring[field])) uses.push(`${kind}/${referring[field]}`)
  }
  if (plugins !== undefined) addPluginUses(plugins, uses)
  return uses
}

/** The two plugins of APISIX that name resources. */
function addPluginUses(plugins: Plugins, uses: ResourceName[]): void {
  const protoId = plugins['grpc-transcode']?.proto_id
  if (isId(protoId)) uses.push(`protos/${protoId}`)
  for (const rule of list(plugins['traffic-split']?.rules)) {
    for (const upstream of list(rule.weighted_upstreams)) {
      if (isId(upstream.upstream_id)) uses.push(`upstreams/${upstream.upstream_id}`)
    }
  }
}

const isId = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number'

const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value : [])
