import type { ResponseSource } from '../kit/index.ts'
import type { Instruments } from './instruments.ts'
import { type MetricName, metricLabels } from './instruments.ts'

const sources: readonly ResponseSource[] = ['apisix', 'upstream', 'nginx']

/** Label values that all exchanges of one series share. */
export interface SeriesLabels {
  route: string
  matched_uri: string
  matched_host: string
  service: string
  consumer: string
  node: string
  /** Of requests to language models. */
  request_type?: string
  request_llm_model?: string
  llm_model?: string
}

/** Labels that metadata switched off, by metric; their value is empty. */
export type DisabledLabels = { readonly [Metric in MetricName]?: readonly string[] | undefined }

/** Values of the operator's own labels, by metric, in their order. */
export type ExtraValues = { readonly [Metric in MetricName]: readonly string[] }

/** The slots of all series with the same labels, found once. */
export class Series {
  readonly request: number
  readonly gateway: number
  readonly ingress: number
  readonly egress: number
  readonly #instruments: Instruments
  readonly #labels: SeriesLabels
  readonly #disabled: DisabledLabels
  readonly #extra: ExtraValues
  readonly #statuses = new Map<number, number>()
  #upstream = -1

  constructor(instruments: Instruments, labels: SeriesLabels, disabled: DisabledLabels, extra: ExtraValues) {
    this.#instruments = instruments
    this.#labels = labels
    this.#disabled = disabled
    this.#extra = extra
    const bandwidth = (type: string) => instruments.bandwidth.slot(this.#values('bandwidth', { type }))
    this.request = this.#latency('request')
    this.gateway = this.#latency('apisix')
    this.ingress = bandwidth('ingress')
    this.egress = bandwidth('egress')
  }

  /** Exchanges that reach no upstream leave no series of it behind. */
  get upstream(): number {
    if (this.#upstream === -1) this.#upstream = this.#latency('upstream')
    return this.#upstream
  }

  status(code: number, source: ResponseSource): number {
    const key = code * sources.length + sources.indexOf(source)
    let slot = this.#statuses.get(key)
    if (slot === undefined) {
      slot = this.#instruments.status.slot(
        this.#values('http_status', { code: String(code), response_source: source }),
      )
      this.#statuses.set(key, slot)
    }
    return slot
  }

  #latency(type: string): number {
    return this.#instruments.latency.slot(this.#values('http_latency', { type }))
  }

  #values(metric: MetricName, particular: Readonly<Record<string, string>>): string[] {
    const disabled: readonly string[] = this.#disabled[metric] ?? []
    const values: Readonly<Record<string, string>> = {
      request_type: 'traditional_http',
      ...this.#labels,
      ...particular,
    }
    const own = metricLabels[metric].map((label) => (disabled.includes(label) ? '' : (values[label] ?? '')))
    return [...own, ...this.#extra[metric]]
  }
}

/**
 * Series by their labels, one level for each. The strings of a plan are the same objects in every request and know
 * their hash, so steps cost a fraction of putting them together to one key.
 */
export class SeriesTree {
  series: Series | undefined
  #children: Map<string, SeriesTree> | undefined

  child(label: string): SeriesTree {
    this.#children ??= new Map()
    let child = this.#children.get(label)
    if (!child) {
      child = new SeriesTree()
      this.#children.set(label, child)
    }
    return child
  }
}
