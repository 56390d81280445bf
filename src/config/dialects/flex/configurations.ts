/** Configurations -> settings of the gateway, and what they say of services and policies. */
import type { Environment } from '../../environment.ts'
import { below, type Place, type Report } from '../../report.ts'
import { serviceDefaults } from './environment.ts'
import type { FlexModel } from './model.ts'
import type { FlexConfiguration } from './resources.ts'
import { circuitBreakerOf, type ServiceSettings } from './services.ts'
import { timeoutSeconds } from './timeouts.ts'
import { tracingOf } from './tracing.ts'
import type { Translation } from './translation.ts'

/** Where lines go, as policies that log have it. */
export type Sink = { type: 'stdout' } | { type: 'file'; path: string }

export interface FlexSettings {
  readonly services: ServiceSettings
  /** Connections begin with a header of the PROXY protocol. */
  readonly isProxied: boolean
  /** What policies are told that ask other services. */
  readonly calls: { readonly ssl_verify?: false }
  /** Of access logs; undefined: standard output. */
  readonly sinks: readonly Sink[] | undefined
}

type Part = keyof FlexConfiguration

/** Parts that say nothing about traffic, and why. */
const idle: Readonly<Partial<Record<Part, { severity: 'info' | 'warning'; message: string }>>> = {
  platformConnection: { severity: 'info', message: 'has no effect: no platform is needed' },
  forwardProxy: {
    severity: 'info',
    message: 'has no effect: it is the way to the platform, which is not needed',
  },
  resourceLimits: { severity: 'info', message: 'has no effect: there is no limit to resources' },
}

const logLevels: Readonly<Record<string, string>> = { fatal: 'error' }

export function translateConfigurations(
  model: FlexModel,
  env: Environment,
  translation: Translation,
  report: Report,
): FlexSettings {
  const services: ServiceSettings = serviceDefaults(env)
  const found = partsOf(model, report)
  for (const [part, { place }] of found) {
    const known = idle[part]
    if (known !== undefined) {
      report.add(place, { code: 'ignored-field', at: 'key', ...known })
    }
  }
  const part = <Name extends Part>(name: Name) =>
    found.get(name) as { value: NonNullable<FlexConfiguration[Name]>; place: Place } | undefined

  const probe = part('probe')
  if (probe !== undefined) {
    const { enabled = true, port = 3000 } = probe.value
    translation.set('probe', { enabled, host: '0.0.0.0', port }, probe.place)
  }
  const timeouts = part('timeouts')?.value ?? {}
  if (timeouts.upstreamResponseSeconds !== undefined) {
    services.responseTimeout = timeouts.upstreamResponseSeconds
  }
  if (timeouts.upstreamConnectionIdleSeconds !== undefined) {
    services.idleTimeout = timeouts.upstreamConnectionIdleSeconds
  }
  if (timeouts.streamIdleSeconds !== undefined) {
    const seconds = timeoutSeconds(timeouts.streamIdleSeconds)
    translation.set(
      'timeouts',
      { body_idle: `${seconds}s` },
      below(part('timeouts')!.place, 'streamIdleSeconds'),
    )
  }
  const breaker = part('circuitBreaker')
  if (breaker !== undefined) services.circuitBreaker = circuitBreakerOf(breaker.value.thresholds)
  const storage = part('sharedStorage')
  if (storage?.value.redis !== undefined) {
    report.add(below(storage.place, 'redis'), {
      code: 'unsupported-field',
      severity: 'warning',
      at: 'key',
      message:
        'has no effect: each gateway counts for itself, so that quotas hold for each and not for all of them',
      hint: 'Quotas of all gateways together are those of limit-count with policy: redis.',
    })
  }
  const tracing = part('tracing')
  const traces = tracing && tracingOf(tracing.value, tracing.place, report)
  if (traces !== undefined) translation.set('tracing', traces, tracing!.place)
  return {
    services,
    isProxied: part('proxyProtocol')?.value.enabled === true,
    calls: callsOf(part('defaultTLS'), report),
    sinks: translateLogging(part('logging'), translation, report),
  }
}

/** Each once, wherever it stands. */
function partsOf({ configurations }: FlexModel, report: Report) {
  const parts = new Map<Part, { value: unknown; place: Place }>()
  for (const { spec, place } of configurations) {
    for (const [name, value] of Object.entries(spec)) {
      const own = below(place, name)
      if (parts.has(name as Part)) {
        report.add(own, {
          code: 'duplicate-setting',
          at: 'key',
          message: `another Configuration says what ${name} is`,
        })
      } else parts.set(name as Part, { value, place: own })
    }
  }
  return parts
}

function translateLogging(
  part: { value: NonNullable<FlexConfiguration['logging']>; place: Place } | undefined,
  translation: Translation,
  report: Report,
): readonly Sink[] | undefined {
  if (part === undefined) return undefined
  const { value, place } = part
  const { outputs = [], runtimeLogs, accessLogs } = value
  const level = runtimeLogs?.logLevel
  if (level !== undefined) {
    translation.set('log', { level: logLevels[level] ?? level }, below(place, 'runtimeLogs', 'logLevel'))
  }
  if (Array.isArray(runtimeLogs?.outputs) && runtimeLogs.outputs.length > 0) {
    report.add(below(place, 'runtimeLogs', 'outputs'), {
      code: 'ignored-field',
      severity: 'warning',
      at: 'key',
      message: 'has no effect: the log of the gateway goes to standard error',
    })
  }
  if (!Array.isArray(accessLogs?.outputs)) return undefined
  return accessLogs.outputs.flatMap((name, index) => {
    const at = outputs.findIndex((one) => one.name === name)
    if (at >= 0) return sinkOf(outputs[at]!, below(place, 'outputs', at), report)
    report.add(below(place, 'accessLogs', 'outputs', index), {
      code: 'dangling-reference',
      message: `there is no output ${name}`,
    })
    return []
  })
}

function sinkOf(
  { type, parameters = {} }: { type: string; parameters?: Record<string, unknown> },
  place: Place,
  report: Report,
): Sink[] {
  if (type === 'stdout') return [{ type: 'stdout' }]
  if (type === 'file') {
    const { path = '', file, File, Path = path } = parameters
    const name = String(file ?? File ?? '')
    if (name !== '')
      return [{ type: 'file', path: `${Path === '' ? '' : `${String(Path).replace(/\/$/, '')}/`}${name}` }]
    report.add(below(place, 'parameters'), {
      code: 'missing-field',
      message: 'needs file, the name of the file',
    })
    return []
  }
  report.add(below(place, 'type'), {
    code: 'unsupported-value',
    message: `access logs cannot be written to an output of the type ${type}`,
    hint: 'Write stdout or file, or send them with a global rule: http-logger, tcp-logger, syslog, kafka-logger and others are in the catalogue.',
  })
  return []
}

function callsOf(
  part: { value: NonNullable<FlexConfiguration['defaultTLS']>; place: Place } | undefined,
  report: Report,
): FlexSettings['calls'] {
  const { skipValidation = false, ...others } = part?.value.outboundPolicyCalls ?? {}
  for (const field of Object.keys(others)) {
    report.add(below(part!.place, 'outboundPolicyCalls', field), {
      code: 'unsupported-field',
      at: 'key',
      message: 'has no equal for calls of policies',
      hint:
        field === 'trustedCA'
          ? 'Name the authority in the environment variable NODE_EXTRA_CA_CERTS.'
          : 'Leave it out: what both sides know best is spoken, without a certificate of the gateway.',
    })
  }
  return skipValidation ? { ssl_verify: false } : {}
}
