/** Tracing in the runtime configuration, and what it makes of the gateway's own settings. */
import { type TraceLabel, type TracingSettings, tracingSettings } from '../config/tracing-settings.ts'
import { type Static, Type } from '../config/type.ts'
import { parseDuration } from '../config/units.ts'

const more = { additionalProperties: true }
const percent = () => Type.Optional(Type.Number({ minimum: 0, maximum: 100 }))

export const runtimeTracingSchema = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean()),
    provider: Type.Optional(
      Type.Object(
        {
          type: Type.Optional(Type.Enum(['anypoint', 'opentelemetry'])),
          /** Those that Flex Gateway has in its files. */
          properties: Type.Optional(
            Type.Object(
              {
                address: Type.Optional(
                  Type.String({
                    pattern: '^(h2|https?)://[^/@?#\\s]+(/[^?#\\s]*)?$',
                    maxLength: 2048,
                    'x-form': 'an address such as h2://host:4317',
                  }),
                ),
                serviceType: Type.Optional(Type.Enum(['grpc', 'http'])),
                serviceName: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
                timeout: Type.Optional(Type.String({ format: 'duration' })),
                resourceAttributes: Type.Optional(
                  Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
                ),
              },
              more,
            ),
          ),
        },
        more,
      ),
    ),
    sampling: Type.Optional(Type.Object({ overall: percent(), random: percent(), client: percent() }, more)),
    labels: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ minLength: 1, maxLength: 256 }),
            type: Type.Optional(Type.Enum(['literal', 'requestHeader', 'environment'])),
            keyName: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
            defaultValue: Type.Optional(Type.String({ maxLength: 1024 })),
          },
          more,
        ),
        { maxItems: 64 },
      ),
    ),
  },
  more,
)
export type RuntimeTracing = Static<typeof runtimeTracingSchema>

/** Spans go to a platform that is none of ours: what the gateway's own files say takes its place. */
export const goesElsewhere = (tracing: RuntimeTracing | undefined): boolean =>
  tracing?.enabled === true && tracing.provider?.type === 'anypoint'

/**
 * @param own of the gateway's files; null: there is no tracing
 * @returns what is in force; null: nothing is traced
 */
export function withRuntimeTracing(
  own: TracingSettings | null,
  tracing: RuntimeTracing,
): TracingSettings | null {
  const { enabled, provider, sampling = {}, labels } = tracing
  if (enabled === false) return null
  const base = own ?? (enabled === true && !goesElsewhere(tracing) ? tracingSettings({}) : null)
  if (base === null) return null
  const properties = (provider?.type !== 'anypoint' && provider?.properties) || {}
  const { address, serviceType, serviceName, timeout, resourceAttributes } = properties
  const exporter =
    address === undefined ? base.exporter : { ...base.exporter, ...placeOf(address, serviceType) }
  return {
    ...base,
    exporter: { ...exporter, ...(timeout !== undefined && { timeout: parseDuration(timeout) }) },
    ...(serviceName !== undefined && { service_name: serviceName }),
    resource: { ...base.resource, ...resourceAttributes },
    sampling: {
      ...base.sampling,
      ...(sampling.overall !== undefined && { overall: sampling.overall }),
      ...(sampling.random !== undefined && { random: sampling.random }),
      ...(sampling.client !== undefined && { client: sampling.client }),
    },
    ...(labels !== undefined && { labels: labels.map(labelOf) }),
  }
}

function placeOf(address: string, type: 'grpc' | 'http' | undefined) {
  const isGrpc = type === 'grpc' || (type === undefined && address.startsWith('h2:'))
  const endpoint = address.replace(/^h2:/, 'http:')
  const protocol = isGrpc ? ('grpc' as const) : ('http/protobuf' as const)
  return tracingSettings({ exporter: { protocol, endpoint } })!.exporter
}

function labelOf({
  name,
  type = 'literal',
  keyName: key,
  defaultValue: value,
}: NonNullable<RuntimeTracing['labels']>[number]): TraceLabel {
  return {
    name,
    type: type === 'requestHeader' ? 'request_header' : type,
    ...(key !== undefined && { key }),
    ...(value !== undefined && { default: value }),
  }
}
