/** One metric with all its values at the moment of a scrape, as prom-client renders it. */
import type { Metric } from 'prom-client'
import type { MetricDefinition } from './metrics.ts'

export interface Sample {
  labels: Record<string, string | number>
  value: number
  /** Where it is not the family's: `..._bucket`, `..._sum`, `..._count`. */
  metricName?: string
}

export interface MetricFamily {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  values: Sample[]
}

export function gaugeFamily(
  name: string,
  help: string,
  value: number,
  labels: Record<string, string> = {},
): MetricFamily {
  return { name, help, type: 'gauge', values: [{ labels, value }] }
}

export function counterFamily(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'counter', values: [{ labels: {}, value }] }
}

/** The family under a name that begins with `to`, where its own begins with `from`. */
export function renamed(family: MetricFamily, from: string, to: string): MetricFamily {
  if (from === to || !family.name.startsWith(from)) return family
  const rename = (name: string) => to + name.slice(from.length)
  const values = family.values.map((sample) =>
    sample.metricName === undefined ? sample : { ...sample, metricName: rename(sample.metricName) },
  )
  return { ...family, name: rename(family.name), values }
}

/** The lines of one label set; `values` as `Series` of metrics.ts lays them out. */
export function samplesOf(
  definition: MetricDefinition,
  labelValues: readonly string[],
  values: Float64Array,
): Sample[] {
  const labels = Object.fromEntries(definition.labelNames.map((name, index) => [name, labelValues[index]!]))
  if (definition.kind !== 'histogram') return [{ labels, value: values[0]! }]
  const { name, buckets } = definition
  const samples: Sample[] = []
  let count = 0
  for (const [index, bound] of [...buckets, '+Inf'].entries()) {
    count += values[index]!
    samples.push({ labels: { ...labels, le: bound }, value: count, metricName: `${name}_bucket` })
  }
  samples.push({ labels, value: values[buckets.length + 1]!, metricName: `${name}_sum` })
  samples.push({ labels, value: count, metricName: `${name}_count` })
  return samples
}

/**
 * prom-client asks a metric for nothing but its name and `get()`. Its own classes only count upwards one label set at
 * a time, whereas our sums are ready.
 */
export function asPromMetric(family: MetricFamily): Metric {
  return { name: family.name, get: async () => family } as unknown as Metric
}
