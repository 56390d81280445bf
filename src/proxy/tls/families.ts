/** Certificates as metrics. */
import { certificateOf } from '../../config/certificate.ts'
import type { SslSpec } from '../../config/plan.ts'
import type { MetricFamily } from '../../telemetry/metric-family.ts'

/** Certificates are read once, however often they are asked for. */
const ends = new WeakMap<SslSpec, number | null>()

/** When each certificate ends; those that are references to secrets are not among them. */
export function certificateFamilies(ssls: Iterable<SslSpec>): MetricFamily[] {
  const values = [...ssls].flatMap((spec) => {
    const value = endOf(spec)
    return value === null ? [] : [{ labels: { ssl: spec.id, sni: spec.snis[0] ?? '' }, value }]
  })
  return [
    {
      name: 'sluice_certificate_expiry_timestamp_seconds',
      help: 'When a certificate ends; of several in one entry, the first that does.',
      type: 'gauge',
      values,
    },
  ]
}

/** Epoch seconds; null: there is none to read. */
function endOf(spec: SslSpec): number | null {
  const known = ends.get(spec)
  if (known !== undefined) return known
  const times = spec.pairs.flatMap(({ cert }) => certificateOf(cert)?.validToDate.getTime() ?? [])
  const end = times.length === 0 ? null : Math.min(...times) / 1000
  ends.set(spec, end)
  return end
}
