/** What the schemas cannot say about registries, and whether each upstream that asks one can be answered. */
import type { Declarations } from './declarations.ts'
import {
  type DiscoveryInput,
  discoveryTypes,
  type KubernetesInput,
  parseServiceName,
  registriesOf,
} from './discovery.ts'
import { nearest } from './nearest.ts'
import type { UpstreamUse } from './policy-check.ts'
import { below, type Place, type Report } from './report.ts'
import type { ServiceRegistryInput, UpstreamInput } from './resources.ts'
import type { Settings } from './settings.ts'

/** A sound `discovery` section at its place. */
export function checkRegistries(input: DiscoveryInput, place: Place, report: Report): void {
  const { dns, kubernetes } = input
  if (dns?.servers !== undefined && dns.resolv_conf !== undefined) {
    exclusive(below(place, 'dns', 'resolv_conf'), 'servers and resolv_conf', report)
  }
  if (!Array.isArray(kubernetes)) {
    if (kubernetes !== undefined) checkCluster(kubernetes, below(place, 'kubernetes'), report)
    return
  }
  const ids = new Set<string>()
  kubernetes.forEach((cluster, index) => {
    const at = below(place, 'kubernetes', index)
    checkCluster(cluster, at, report)
    for (const field of ['host', 'port'] as const) {
      if (cluster.service?.[field] === undefined) {
        missing(at, `the field service.${field} is required in a list of clusters`, report)
      }
    }
    if (cluster.client?.token === undefined && cluster.client?.token_file === undefined) {
      missing(at, 'one of client.token and client.token_file is required in a list of clusters', report)
    }
    if (ids.has(cluster.id)) {
      report.add(below(at, 'id'), {
        code: 'duplicate-id',
        message: `another cluster has the same id, ${cluster.id}`,
      })
    }
    ids.add(cluster.id)
  })
}

function checkCluster(
  { client, namespace_selector: selector }: KubernetesInput,
  place: Place,
  report: Report,
) {
  if (client?.token !== undefined && client.token_file !== undefined) {
    exclusive(below(place, 'client', 'token_file'), 'token and token_file', report)
  }
  const [, second] = Object.keys(selector ?? {})
  if (second !== undefined) {
    const at = below(place, 'namespace_selector', second)
    exclusive(at, 'equal, not_equal, match and not_match', report)
  }
  for (const field of ['match', 'not_match'] as const) {
    selector?.[field]?.forEach((pattern, index) => {
      if (isRegularExpression(pattern)) return
      report.add(below(place, 'namespace_selector', field, index), {
        code: 'invalid-value',
        message: 'must be a regular expression',
      })
    })
  }
}

function isRegularExpression(pattern: string): boolean {
  try {
    new RegExp(pattern)
    return true
  } catch {
    return false
  }
}

function exclusive(place: Place, fields: string, report: Report): void {
  report.add(place, { code: 'conflicting-fields', at: 'key', message: `only one of ${fields} is allowed` })
}

function missing(place: Place, message: string, report: Report): void {
  report.add(place, { code: 'missing-field', message })
}

/** Every upstream that asks a registry: whether there is one, and whether it can be asked like that. */
export function checkDiscovery(
  declarations: Declarations,
  ofPolicies: readonly UpstreamUse[],
  settings: Settings | undefined,
  report: Report,
): void {
  for (const { place, input } of declarations.service_registries.values()) {
    if (input !== undefined) checkServiceRegistry(input, place, report)
  }
  // Settings that are broken have their own findings; which registries they would have brought is not known.
  if (settings === undefined) return
  const registries = new Set(registriesOf(settings.discovery).map(({ type, id }) => `${type} ${id}`))
  for (const { id, input } of declarations.service_registries.values()) {
    registries.add(`kubernetes ${id}`).add(`nacos ${id}`)
    if (input !== undefined) registries.delete(`${input.type === 'nacos' ? 'kubernetes' : 'nacos'} ${id}`)
  }
  for (const { place, input } of declarations.upstreams.values()) {
    if (input !== undefined) checkUpstream(input, place, registries, report)
  }
  for (const { input, place } of ofPolicies) checkUpstream(input, place, registries, report)
  for (const kind of ['services', 'routes'] as const) {
    for (const { place, input } of declarations[kind].values()) {
      if (input?.upstream === undefined) continue
      checkUpstream(input.upstream, below(place, 'upstream'), registries, report)
    }
  }
}

function checkServiceRegistry(input: ServiceRegistryInput, place: Place, report: Report): void {
  const field = `${input.type}_config` as const
  const other = input.type === 'nacos' ? 'kubernetes_config' : 'nacos_config'
  if (input[field] === undefined) {
    missing(place, `the field ${field} is required with type: ${input.type}`, report)
  }
  if (input[other] !== undefined) exclusive(below(place, other), `${field} and ${other}`, report)
  if (input.kubernetes_config !== undefined) {
    checkCluster(input.kubernetes_config, below(place, 'kubernetes_config'), report)
  }
}

/** Registries of APISIX that this version does not have. */
const unsupportedTypes = ['eureka', 'consul_kv', 'tars']

function checkUpstream(
  { discovery_type: type, service_name: service, discovery_args: args }: UpstreamInput,
  place: Place,
  registries: ReadonlySet<string>,
  report: Report,
): void {
  if (type === undefined || service === undefined) return
  for (const name of Object.keys(args ?? {})) {
    if (['namespace_id', 'group_name', 'metadata'].includes(name)) continue
    report.add(below(place, 'discovery_args', name), {
      code: 'unknown-field',
      at: 'key',
      message: `there is no field ${name} here`,
    })
  }
  if (unsupportedTypes.includes(type)) {
    report.add(below(place, 'discovery_type'), {
      code: 'unsupported-value',
      message: `${type} is not supported by this version yet`,
      hint: `Supported: ${discoveryTypes.join(', ')}.`,
    })
    return
  }
  const registry = parseServiceName(type, service, (id) => registries.has(`${type} ${id}`))?.registry
  if (registry === undefined) {
    report.add(below(place, 'service_name'), {
      code: 'unknown-registry',
      severity: 'warning',
      message: `no service can have this name in ${type}: every request that comes here is answered with 503`,
      hint: `Write it as ${serviceNameForms[type] ?? 'NAME'}.`,
    })
  } else if (!registries.has(`${type} ${registry}`)) {
    const near = nearest(type, discoveryTypes)
    report.add(below(place, 'discovery_type'), {
      code: 'unknown-registry',
      severity: 'warning',
      message: `there is no ${type} registry${registry === 'default' ? '' : ` ${registry}`}: every request that comes here is answered with 503`,
      hint:
        near !== undefined && near !== type
          ? `Did you mean ${near}?`
          : `Set it up under gateway.discovery.${type}.`,
    })
  }
}

const serviceNameForms: Readonly<Record<string, string>> = {
  dns: 'HOST or HOST:PORT',
  kubernetes: 'NAMESPACE/NAME:PORT, or ID/NAMESPACE/NAME:PORT with several clusters',
}
