import type { Exchange, PrometheusSettings } from '../kit/index.ts'
import type { MetricName } from './instruments.ts'
import type { ExtraValues } from './series.ts'

/** Longest value of a label that is filled from a request; characters. */
const longestValue = 256

/** The operator's own labels: what fills them, in one list over all metrics. */
export class ExtraLabels {
  readonly isUsed: boolean
  readonly #fill: readonly ((exchange: Exchange) => string)[]
  readonly #counts: Readonly<Record<MetricName, number>>
  readonly #read: string[]

  constructor(
    labels: PrometheusSettings['extra_labels'],
    template: (text: string) => (exchange: Exchange) => string,
  ) {
    const texts = (metric: MetricName) => Object.values(labels[metric] ?? {})
    const all = [...texts('http_status'), ...texts('http_latency'), ...texts('bandwidth')]
    this.#fill = all.map(template)
    this.#read = all.map(() => '')
    this.#counts = {
      http_status: texts('http_status').length,
      http_latency: texts('http_latency').length,
      bandwidth: texts('bandwidth').length,
    }
    this.isUsed = all.length > 0
  }

  /** The values for this exchange; the list is filled anew by the next call. */
  read(exchange: Exchange): readonly string[] {
    for (let i = 0; i < this.#fill.length; i++)
      this.#read[i] = this.#fill[i]!(exchange).slice(0, longestValue)
    return this.#read
  }

  /** What was read last, by metric. */
  get values(): ExtraValues {
    const { http_status: statuses, http_latency: latencies } = this.#counts
    return {
      http_status: this.#read.slice(0, statuses),
      http_latency: this.#read.slice(statuses, statuses + latencies),
      bandwidth: this.#read.slice(statuses + latencies),
    }
  }
}
