/** Secrets as metrics. */
import type { MetricFamily } from '../telemetry/metric-family.ts'
import type { SecretCounts } from './book.ts'

export function secretFamilies(counts: SecretCounts): MetricFamily[] {
  return [
    {
      name: 'sluice_secrets',
      help: 'References to secrets by what is known: resolved, stale (its manager cannot be asked at present), unresolved.',
      type: 'gauge',
      values: Object.entries(counts).map(([state, value]) => ({ labels: { state }, value })),
    },
  ]
}
