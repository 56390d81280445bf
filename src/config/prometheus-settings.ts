/** How metrics are named, labelled and forgotten, as far as APISIX lets operators choose. */
import { type Static, Type } from './type.ts'
import { parseDuration } from './units.ts'

/** Metrics of the policy `prometheus` that can have labels of the operator's own, and be forgotten. */
export const shapedMetrics = ['http_status', 'http_latency', 'bandwidth'] as const
export type ShapedMetric = (typeof shapedMetrics)[number]

export interface PrometheusSettings {
  /** Where the metrics are, beside `/metrics`. */
  path: string
  /** In place of `apisix_`. */
  prefix: string
  /** Upper bounds of the buckets of `http_latency`, rising; milliseconds. */
  latency_buckets: readonly number[]
  /** Names of labels, in order, with the texts that fill them: `$upstream_addr`. */
  extra_labels: Readonly<Partial<Record<ShapedMetric, Readonly<Record<string, string>>>>>
  /** A series that nothing was counted in for so long is left out; milliseconds, absent: never. */
  expire: Readonly<Partial<Record<ShapedMetric, number>>>
}

const latencyBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000]

const labels = (metric: ShapedMetric) =>
  Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      maxProperties: 16,
      propertyNames: { pattern: '^[a-zA-Z_][a-zA-Z0-9_]*$' },
      description: `Labels of \`apisix_${metric}\`: names, and texts with variables such as \`$upstream_addr\`.`,
    }),
  )

const lifetime = (metric: ShapedMetric) =>
  Type.Optional(
    Type.String({ format: 'duration', description: `Lifetime of series of \`apisix_${metric}\`.` }),
  )

export const prometheusSchema = Type.Object(
  {
    path: Type.Optional(
      Type.String({
        pattern: '^/[!-~]*$',
        default: '/apisix/prometheus/metrics',
        description:
          'Path of the metrics, beside `/metrics`; also of the route that shows them to clients with the policy `public-api`.',
        'x-form': 'a path',
      }),
    ),
    prefix: Type.Optional(
      Type.String({
        pattern: '^[a-zA-Z_:][a-zA-Z0-9_:]*$',
        default: 'apisix_',
        description: 'What the names of metrics of APISIX begin with.',
        'x-form': 'the beginning of the name of a metric',
      }),
    ),
    latency_buckets: Type.Optional(
      Type.Array(Type.Number({ exclusiveMinimum: 0 }), {
        minItems: 1,
        maxItems: 100,
        default: latencyBuckets,
        description: 'Upper bounds of the buckets of `apisix_http_latency`, in milliseconds.',
      }),
    ),
    extra_labels: Type.Optional(
      Type.Object(
        {
          http_status: labels('http_status'),
          http_latency: labels('http_latency'),
          bandwidth: labels('bandwidth'),
        },
        { default: {}, additionalProperties: false, description: 'Further labels, by metric.' },
      ),
    ),
    expire: Type.Optional(
      Type.Object(
        {
          http_status: lifetime('http_status'),
          http_latency: lifetime('http_latency'),
          bandwidth: lifetime('bandwidth'),
        },
        {
          default: {},
          additionalProperties: false,
          description:
            'By metric: after that time without a count a series is left out, until it counts again from 0. Without, it stays.',
        },
      ),
    ),
  },
  { default: {}, description: 'Names, labels and lifetimes of metrics.' },
)

export type PrometheusInput = Static<typeof prometheusSchema>

export function prometheusSettings(input: PrometheusInput): PrometheusSettings {
  const expire: Partial<Record<ShapedMetric, number>> = {}
  for (const name of shapedMetrics) {
    const duration = input.expire?.[name] as string | undefined
    if (duration !== undefined && parseDuration(duration) > 0) expire[name] = parseDuration(duration)
  }
  return {
    path: input.path ?? '/apisix/prometheus/metrics',
    prefix: input.prefix ?? 'apisix_',
    latency_buckets: [...new Set(input.latency_buckets ?? latencyBuckets)].sort((a, b) => a - b),
    extra_labels: (input.extra_labels ?? {}) as PrometheusSettings['extra_labels'],
    expire,
  }
}
