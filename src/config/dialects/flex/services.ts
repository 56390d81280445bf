/** Services with what is bound to them -> upstreams, and the policies of requests that go there. */
import { below, type Place, type Report } from '../../report.ts'
import { serviceAddress } from './addresses.ts'
import { type Applied, appliedToService } from './applied.ts'
import type { ServiceDefaults } from './environment.ts'
import type { FlexModel } from './model.ts'
import { idOf } from './names.ts'
import { type Counterpart, counterpartOf, isOfConnections } from './policies.ts'
import { checkConfig } from './policy-config.ts'
import { thresholdsSchema } from './resources.ts'
import { timeoutSchema, timeoutSeconds } from './timeouts.ts'
import { tlsOutboundSchema, upstreamTls } from './tls.ts'
import type { Translation } from './translation.ts'

/** A service as routes use it. */
export interface Target {
  /** Of its upstream. */
  readonly id: string
  /** Policies of requests that go there. */
  readonly policies: readonly { readonly applied: Applied; readonly counterpart: Counterpart }[]
}

/** What a Configuration and the environment say of all services. */
export interface ServiceSettings extends ServiceDefaults {
  /** `circuit_breaker` of upstreams. */
  circuitBreaker?: Readonly<Record<string, number>>
}

const limitNames: Readonly<Record<string, string>> = {
  maxConnections: 'max_connections',
  maxConnectionPools: 'max_pools',
  maxPendingRequests: 'max_pending',
  maxRequests: 'max_requests',
  maxRetries: 'max_retries',
}

/** Limits of Envoy's words in those of upstreams. */
export function circuitBreakerOf(limits: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(limits).flatMap(([name, value]) => {
      const here = limitNames[name]
      return here === undefined ? [] : [[here, value] as const]
    }),
  )
}

/** @returns the services that there are, by namespace and name */
export function translateServices(
  model: FlexModel,
  settings: ServiceSettings,
  translation: Translation,
  report: Report,
): ReadonlyMap<string, Target> {
  const targets = new Map<string, Target>()
  for (const service of model.services) {
    const { namespace, name, spec, place } = service
    const id = idOf(namespace, name)
    const fields: Record<string, unknown> = {}
    const parts: [string[], Place][] = []
    const policies: { applied: Applied; counterpart: Counterpart }[] = []
    for (const applied of appliedToService(service, model)) {
      const field = upstreamField(applied, id, settings, translation, report)
      if (field === 'none') continue
      if (field !== undefined) {
        const [key, value] = field
        fields[key] = typeof value === 'object' ? { ...(fields[key] as object), ...value } : value
        parts.push([[key], applied.configPlace])
        continue
      }
      if (isOfConnections(applied.name)) {
        misplaced(applied, 'an API instance', report)
        continue
      }
      const counterpart = counterpartOf(applied.name, applied.place, report)
      if (counterpart === undefined) continue
      if (counterpart.binds === 'service' || counterpart.binds === 'both')
        policies.push({ applied, counterpart })
      else misplaced(applied, 'an API instance', report)
    }
    targets.set(`${namespace}/${name}`, { id, policies })
    addUpstream(id, spec.address, below(place, 'address'), settings, translation, report, fields, parts)
  }
  return targets
}

export function misplaced({ name, place }: Applied, where: string, report: Report): void {
  report.add(place, {
    code: 'invalid-value',
    message: `the policy ${name} is for ${where}`,
    hint: `Bind it to ${where}: targetRef.kind. Flex Gateway would take no notice of it here.`,
  })
}

/** A field of the upstream that a policy sets; undefined: it is another kind of policy; `none`: it was wrong. */
function upstreamField(
  applied: Applied,
  id: string,
  settings: ServiceSettings,
  translation: Translation,
  report: Report,
): [key: string, value: unknown] | 'none' | undefined {
  const { name, configPlace } = applied
  switch (name.replace(/-flex$/, '')) {
    case 'tls-outbound': {
      const config = checkConfig(tlsOutboundSchema, applied, report)
      return config === undefined
        ? 'none'
        : ['tls', upstreamTls(id, config, configPlace, translation, report)]
    }
    case 'circuit-breaker': {
      const config = checkConfig(thresholdsSchema, applied, report)
      return config === undefined ? 'none' : ['circuit_breaker', circuitBreakerOf(config.thresholds)]
    }
    case 'idle-timeout': {
      const config = checkConfig(timeoutSchema(60), applied, report)
      return config === undefined
        ? 'none'
        : ['keepalive_pool', { idle_timeout: timeoutSeconds(config.timeout) }]
    }
    case 'response-timeout': {
      const config = checkConfig(timeoutSchema(15), applied, report)
      const { responseTimeout: usual } = settings
      if (config === undefined) return 'none'
      return ['timeout', { connect: usual, send: usual, read: timeoutSeconds(config.timeout) }]
    }
    default:
      return undefined
  }
}

export function addUpstream(
  id: string,
  text: string,
  place: Place,
  settings: ServiceSettings,
  translation: Translation,
  report: Report,
  fields: Readonly<Record<string, unknown>> = {},
  parts: readonly (readonly [string[], Place])[] = [],
): void {
  const address = serviceAddress(text, place, report)
  const { scheme, host, port } = address ?? { scheme: 'http', host: 'localhost', port: 1 }
  const { responseTimeout, idleTimeout, rewritesHost, circuitBreaker } = settings
  const { tls, ...others } = fields
  const isSecure = tls !== undefined && scheme === 'grpc' ? 'grpcs' : scheme
  const seconds = timeoutSeconds(responseTimeout)
  const upstream = {
    id,
    nodes: [{ host, port, weight: 1 }],
    scheme: isSecure,
    pass_host: rewritesHost ? 'node' : 'pass',
    timeout: { connect: seconds, send: seconds, read: seconds },
    ...(idleTimeout !== 60 && { keepalive_pool: { idle_timeout: idleTimeout } }),
    ...(circuitBreaker !== undefined && { circuit_breaker: circuitBreaker }),
    ...others,
    ...(tls !== undefined && (tls as object)),
  }
  translation.add('upstreams', upstream, place, parts)
}
