/** Which resources a resource refers to: what may not be deleted while it is there. */
import type { Plugins } from './plan.ts'

/** `KIND/ID`. */
export type ResourceName = `${string}/${string}`

interface Referring {
  service_id?: unknown
  upstream_id?: unknown
  plugin_config_id?: unknown
  group_id?: unknown
  plugins?: Plugins
  protocol?: { superior_id?: unknown }
  tls?: { client_cert_id?: unknown }
  client_certificate?: unknown
  ca_certificates?: unknown
  /** Of a name. */
  certificates?: unknown
  mtls?: { ca_certificates?: unknown }
  upstream?: Pick<Referring, 'tls' | 'client_certificate' | 'ca_certificates'>
}

const fields = [
  ['service_id', 'services'],
  ['upstream_id', 'upstreams'],
  ['plugin_config_id', 'plugin_configs'],
  ['group_id', 'consumer_groups'],
] as const satisfies readonly (readonly [keyof Referring, string])[]

/** By fields of its own, and by those of its plugins. */
export function usesOf(resource: object): { direct: ResourceName[]; plugins: ResourceName[] } {
  const referring = resource as Referring
  const direct: ResourceName[] = []
  for (const [field, kind] of fields) {
    if (isId(referring[field])) direct.push(`${kind}/${referring[field]}`)
  }
  if (isId(referring.protocol?.superior_id)) direct.push(`stream_routes/${referring.protocol.superior_id}`)
  direct.push(...certificatesOf(referring))
  if (referring.upstream !== undefined) direct.push(...certificatesOf(referring.upstream))
  if (referring.certificates !== undefined) {
    for (const id of ids(referring.certificates)) direct.push(`certificates/${id}`)
    for (const id of ids(referring.mtls?.ca_certificates)) direct.push(`ca_certificates/${id}`)
  }
  return { direct, plugins: referring.plugins === undefined ? [] : usesOfPlugins(referring.plugins) }
}

/** Each once. Nearly every resource has one or none, and there may be a hundred thousand. */
export function allUsesOf(resource: object): readonly ResourceName[] {
  const { direct, plugins } = usesOf(resource)
  return direct.length + plugins.length < 2 ? [...direct, ...plugins] : [...new Set([...direct, ...plugins])]
}

/** The two plugins of APISIX that name resources. */
function usesOfPlugins(plugins: Plugins): ResourceName[] {
  const uses: ResourceName[] = []
  const protoId = plugins['grpc-transcode']?.proto_id
  if (isId(protoId)) uses.push(`protos/${protoId}`)
  for (const rule of list(plugins['traffic-split']?.rules)) {
    for (const { upstream_id: id, upstream } of list(rule.weighted_upstreams)) {
      if (isId(id)) uses.push(`upstreams/${id}`)
      if (typeof upstream === 'object' && upstream !== null) uses.push(...certificatesOf(upstream))
    }
  }
  return uses
}

/** Of an upstream. */
function certificatesOf(upstream: NonNullable<Referring['upstream']>): ResourceName[] {
  const { tls, client_certificate: certificate, ca_certificates: authorities } = upstream
  return [
    ...(isId(tls?.client_cert_id) ? [`ssls/${tls.client_cert_id}` as const] : []),
    ...(isId(certificate) ? [`certificates/${certificate}` as const] : []),
    ...ids(authorities).map((id) => `ca_certificates/${id}` as const),
  ]
}

const isId = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number'

const ids = (value: unknown) => (Array.isArray(value) ? value.filter(isId) : [])

const list = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value : [])
