/** The load of upstreams and endpoints as metrics. */
import type { MetricFamily, Sample } from '../../../telemetry/metric-family.ts'
import type { LimitLoad, UpstreamLoads } from './loads.ts'

/** @param nameOf what the key of an upstream is called */
export function loadFamilies(loads: UpstreamLoads, nameOf: (key: string) => string): MetricFamily[] {
  const status = loads.status()
  const limits = status.flatMap(({ upstream, breaker = {} }) =>
    Object.entries<LimitLoad>(breaker).map(([limit, load]) => ({
      labels: { upstream: nameOf(upstream), limit },
      load,
    })),
  )
  const limitSamples = (value: (load: LimitLoad) => number | null): Sample[] =>
    limits.flatMap(({ labels, load }) => {
      const shown = value(load)
      return shown === null ? [] : [{ labels, value: shown }]
    })
  const endpoints = status.flatMap((upstream) =>
    upstream.endpoints.map((load) => ({
      labels: { upstream: nameOf(upstream.upstream), endpoint: load.endpoint, priority: load.priority },
      load,
    })),
  )
  return [
    {
      name: 'sluice_upstream_breaker_current',
      help: 'What is in use of a limit of a circuit breaker.',
      type: 'gauge',
      values: limitSamples(({ now }) => now),
    },
    {
      name: 'sluice_upstream_breaker_limit',
      help: 'Limits of circuit breakers.',
      type: 'gauge',
      values: limitSamples(({ limit }) => limit),
    },
    {
      name: 'sluice_upstream_breaker_refused_total',
      help: 'What a limit of a circuit breaker refused.',
      type: 'counter',
      values: limitSamples(({ refused }) => refused),
    },
    {
      name: 'sluice_endpoint_requests',
      help: 'Requests under way at an endpoint, where balancing counts them.',
      type: 'gauge',
      values: endpoints.map(({ labels, load }) => ({ labels, value: load.requests })),
    },
    {
      name: 'sluice_endpoint_response_seconds',
      help: 'Average response time of an endpoint, as ewma weighs it.',
      type: 'gauge',
      values: endpoints.flatMap(({ labels, load: { latency } }) =>
        latency === null ? [] : [{ labels, value: latency / 1000 }],
      ),
    },
    {
      name: 'sluice_load_refused_claims_total',
      help: 'Upstreams and endpoints whose load threads could not share, because the table was full.',
      type: 'counter',
      values: [{ labels: {}, value: loads.refusedClaims }],
    },
  ]
}
