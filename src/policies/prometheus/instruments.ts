import type { Counter, Histogram, Metrics, PrometheusSettings } from '../kit/index.ts'

/** What was asked for, by whom and of whom. */
const placeLabels = [
  'route',
  'service',
  'consumer',
  'node',
  'request_type',
  'request_llm_model',
  'llm_model',
] as const

/** Labels of each metric, in the order in which APISIX exposes them. */
export const metricLabels = {
  http_status: [
    'code',
    'route',
    'matched_uri',
    'matched_host',
    'service',
    'consumer',
    'node',
    'request_type',
    'request_llm_model',
    'llm_model',
    'response_source',
  ],
  http_latency: ['type', ...placeLabels],
  bandwidth: ['type', ...placeLabels],
} as const
export type MetricName = keyof typeof metricLabels

/** A label that tells the series of a metric apart cannot be left out. */
export const structuralLabels: Readonly<Record<MetricName, string>> = {
  http_status: 'code',
  http_latency: 'type',
  bandwidth: 'type',
}

/** Labels of the metrics of language models, which metadata may switch off; those of the latency without `type`. */
const llmLabels = [
  'route_id',
  'service_id',
  'consumer',
  'node',
  'request_type',
  'request_llm_model',
  'llm_model',
]
const cacheLabels = [
  'route',
  'route_id',
  'service',
  'service_id',
  'consumer',
  'node',
  'request_type',
  'request_llm_model',
  'llm_model',
]
export const llmMetricLabels = {
  llm_latency: llmLabels,
  llm_prompt_tokens: llmLabels,
  llm_completion_tokens: llmLabels,
  llm_active_connections: [...cacheLabels, 'matched_uri', 'matched_host'],
  llm_prompt_tokens_dist: llmLabels,
  llm_completion_tokens_dist: llmLabels,
  ai_cache_hits_total: cacheLabels,
  ai_cache_misses_total: cacheLabels,
  ai_cache_bypasses_total: cacheLabels,
  ai_cache_embedding_latency: cacheLabels,
} as const

export interface Instruments {
  readonly status: Counter
  readonly latency: Histogram
  readonly bandwidth: Counter
}

const known = new WeakMap<Metrics, Instruments>()

/** The metrics of this policy, defined once however many bindings there are. */
export function instrumentsOf(
  metrics: Metrics,
  { latency_buckets: buckets, extra_labels: extra }: PrometheusSettings,
): Instruments {
  const labels = (metric: MetricName) => [...metricLabels[metric], ...Object.keys(extra[metric] ?? {})]
  const instruments = known.get(metrics) ?? {
    status: metrics.counter('apisix_http_status', 'HTTP status codes per service', labels('http_status')),
    latency: metrics.histogram(
      'apisix_http_latency',
      'HTTP request latency in milliseconds per service',
      labels('http_latency'),
      buckets,
    ),
    bandwidth: metrics.counter(
      'apisix_bandwidth',
      'Total bandwidth in bytes consumed per service',
      labels('bandwidth'),
    ),
  }
  known.set(metrics, instruments)
  return instruments
}
