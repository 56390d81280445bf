/** `tracing` of a Configuration -> `gateway.tracing`. */
import { below, type Place, type Report } from '../../report.ts'
import type { FlexConfiguration } from './resources.ts'

type Tracing = NonNullable<FlexConfiguration['tracing']>

const labelTypes = {
  environment: 'environment',
  requestHeader: 'request_header',
  literal: 'literal',
} as const

/** Undefined: there is none. */
export function tracingOf(tracing: Tracing, place: Place, report: Report): object | undefined {
  const { enabled = true, provider, sampling, labels = [] } = tracing
  if (!enabled) return { enabled: false }
  if (provider?.type !== 'opentelemetry') {
    report.add(provider === undefined ? place : below(place, 'provider', 'type'), {
      code: 'ignored-field',
      severity: 'warning',
      message: 'has no effect: traces can be sent to a collector of OpenTelemetry only',
      hint: 'provider: {type: opentelemetry, properties: {address: "h2://host:4317"}}',
    })
    return undefined
  }
  const { address, serviceName, timeout, resourceAttributes } = provider.properties ?? {}
  return {
    exporter: {
      protocol: 'grpc',
      ...(address !== undefined && { endpoint: String(address).replace(/^h2:/, 'http:') }),
      ...(timeout !== undefined && { timeout: typeof timeout === 'number' ? `${timeout}s` : timeout }),
    },
    ...(serviceName !== undefined && { service_name: serviceName }),
    ...(resourceAttributes !== undefined && { resource: resourceAttributes }),
    ...(sampling !== undefined && { sampling }),
    labels: labels.map(({ type, name, keyName, defaultValue }) => ({
      name,
      type: labelTypes[type],
      ...(keyName !== undefined && { key: keyName }),
      ...(defaultValue !== undefined && { default: defaultValue }),
    })),
  }
}
