/** The health of upstreams as metrics. */
import type { MetricFamily } from '../../../telemetry/metric-family.ts'
import type { HealthTotals } from './target.ts'
import type { UpstreamHealthStatus } from './watched-upstream.ts'

/** @param name of an upstream by its key, as APISIX calls it */
export function healthFamilies(
  upstreams: readonly UpstreamHealthStatus[],
  totals: Readonly<HealthTotals>,
  name: (key: string) => string,
): MetricFamily[] {
  const checked = upstreams.filter(({ type }) => type !== undefined)
  return [
    {
      name: 'apisix_upstream_status',
      help: '1 for endpoints that health checks let take traffic, else 0.',
      type: 'gauge',
      values: checked.flatMap(({ key, endpoints }) =>
        endpoints.map(({ address, port, state, ejected }) => ({
          labels: { name: name(key), ip: address, port },
          value: !ejected && (state === 'healthy' || state === 'mostly_healthy') ? 1 : 0,
        })),
      ),
    },
    {
      name: 'sluice_upstream_ejected',
      help: 'Endpoints of an upstream that are ejected.',
      type: 'gauge',
      values: upstreams.map(({ key, endpoints }) => ({
        labels: { name: name(key) },
        value: endpoints.filter(({ ejected }) => ejected).length,
      })),
    },
    {
      name: 'sluice_upstream_panicking',
      help: '1 while so few endpoints of an upstream are usable that all are used.',
      type: 'gauge',
      values: upstreams.map(({ key, panicking }) => ({
        labels: { name: name(key) },
        value: panicking ? 1 : 0,
      })),
    },
    {
      name: 'sluice_health_probes_total',
      help: 'Probes by what became of them; those with an answer are `status`.',
      type: 'counter',
      values: Object.entries(totals.probes).map(([result, value]) => ({ labels: { result }, value })),
    },
    {
      name: 'sluice_health_changes_total',
      help: 'Endpoints that became healthy again, or unhealthy.',
      type: 'counter',
      values: [
        { labels: { to: 'healthy' }, value: totals.becameHealthy },
        { labels: { to: 'unhealthy' }, value: totals.becameUnhealthy },
      ],
    },
    {
      name: 'sluice_upstream_ejections_total',
      help: 'Endpoints that were ejected.',
      type: 'counter',
      values: [{ labels: {}, value: totals.ejections }],
    },
  ]
}
