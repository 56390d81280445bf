import type { Counter, Histogram, Metrics } from '../kit/index.ts'

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
  http_latency: [
    'type',
    'route',
    'service',
    'consumer',
    'node',
    'request_type',
    'request_llm_model',
    'llm_model',
  ],
  bandwidth: [
    'type',
    'route',
    'service',
    'consumer',
    'node',
    'request_type',
    'request_llm_model',
    'llm_model',
  ],
} as const
export type MetricName = keyof typeof metricLabels

/** A label that tells the series of a metric apart cannot be left out. */
export const structuralLabels: Readonly<Record<MetricName, string>> = {
  http_status: 'code',
  http_latency: 'type',
  bandwidth: 'type',
}

/** Milliseconds. */
const latencyBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000]

export interface Instruments {
  readonly status: Counter
  readonly latency: Histogram
  readonly bandwidth: Counter
}

const known = new WeakMap<Metrics, Instruments>()

/** The metrics of this policy, defined once however many bindings there are. */
export function instrumentsOf(metrics: Metrics): Instruments {
  const instruments = known.get(metrics) ?? {
    status: metrics.counter('apisix_http_status', 'HTTP status codes per service', metricLabels.http_status),
    latency: metrics.histogram(
      'apisix_http_latency',
      'HTTP request latency in milliseconds per service',
      metricLabels.http_latency,
      latencyBuckets,
    ),
    bandwidth: metrics.counter(
      'apisix_bandwidth',
      'Total bandwidth in bytes consumed per service',
      metricLabels.bandwidth,
    ),
  }
  known.set(metrics, instruments)
  return instruments
}
