/**
 * Counters and histograms of one data thread.
 *
 * Values live in shared memory as plain float64 slots that only their own thread writes, so counting is one addition
 * without a lock. What a slot means is announced to the control thread, which adds up all threads (`exposition.ts`).
 */

/** One label set of a metric: which slots belong to it. */
export interface Series {
  metric: string
  /** Values in the order of the metric's label names. */
  labels: readonly string[]
  /** First slot. A histogram has one for each bucket, one for `+Inf` and one for the sum, in that order. */
  slot: number
}

export interface MetricDefinition {
  name: string
  help: string
  /** A gauge is counted like a counter, and may go down: threads show the sum of what each has. */
  kind: 'counter' | 'gauge' | 'histogram'
  labelNames: readonly string[]
  /** Upper bounds, rising; of histograms only. */
  buckets: readonly number[]
}

/** What a thread tells the control thread when it sees a metric or a label set for the first time. */
export type Announcement =
  | { type: 'metric'; definition: MetricDefinition }
  | { type: 'series'; series: Series }

/** The label value of the series that counts for all label sets above the cap. */
export const overflowLabel = '_overflow'

const labelSetsPerMetric = 10_000
/** Label values may hold anything but this. */
const separator = '\u0000'

/** Memory for `slots` values; pages that are never written cost nothing. */
export function createMetricMemory(slots = 1 << 20): SharedArrayBuffer {
  return new SharedArrayBuffer(slots * Float64Array.BYTES_PER_ELEMENT)
}

export class Registry {
  readonly #values: Float64Array
  readonly #announce: (announcement: Announcement) => void
  readonly #labelSetsPerMetric: number
  readonly #metrics = new Map<string, Counter | Histogram>()
  /** Slots of gauges: what they show is not what was counted, but what there is. */
  readonly #gauges: number[] = []
  #used = 0
  #series = 0

  constructor(
    memory: SharedArrayBuffer,
    announce: (announcement: Announcement) => void,
    limit: number = labelSetsPerMetric,
  ) {
    this.#values = new Float64Array(memory)
    this.#announce = announce
    this.#labelSetsPerMetric = limit
  }

  /** The same counter for every caller that names it; throws when the name has another shape already. */
  counter(name: string, help: string, labelNames: readonly string[] = []): Counter {
    const definition: MetricDefinition = { name, help, kind: 'counter', labelNames, buckets: [] }
    return this.#define(definition, (labelSets) => new Counter(definition, labelSets, this.#values))
  }

  /** What there is at the moment, counted up and down. */
  gauge(name: string, help: string, labelNames: readonly string[] = []): Counter {
    const definition: MetricDefinition = { name, help, kind: 'gauge', labelNames, buckets: [] }
    return this.#define(definition, (labelSets) => new Counter(definition, labelSets, this.#values))
  }

  /** `buckets`: rising upper bounds, without infinity. */
  histogram(
    name: string,
    help: string,
    labelNames: readonly string[],
    buckets: readonly number[],
  ): Histogram {
    const definition: MetricDefinition = { name, help, kind: 'histogram', labelNames, buckets }
    return this.#define(definition, (labelSets) => new Histogram(definition, labelSets, this.#values))
  }

  /** The hot path of a counter. */
  add(slot: number, amount: number): void {
    this.#values[slot]! += amount
  }

  /** Label sets, over all metrics. */
  get seriesCount(): number {
    return this.#series
  }

  /** Sets every count to 0. Slots that were given out stay valid. @returns how many label sets there are */
  clear(): number {
    const gauges = this.#gauges.map((slot) => this.#values[slot]!)
    this.#values.fill(0, 0, this.#used)
    for (const [position, slot] of this.#gauges.entries()) this.#values[slot] = gauges[position]!
    return this.#series
  }

  #define<T extends Counter | Histogram>(definition: MetricDefinition, make: (labelSets: LabelSets) => T): T {
    const known = this.#metrics.get(definition.name)
    if (known !== undefined) {
      if (shapeOf(known.definition) !== shapeOf(definition)) {
        throw new Error(`metric ${definition.name} is already defined with other labels, buckets or kind`)
      }
      return known as T
    }
    const width = widthOf(definition)
    const reserve = (labels: readonly string[]) => this.#reserve(definition, labels, width)
    this.#announce({ type: 'metric', definition })
    const overflow = reserve(definition.labelNames.map(() => overflowLabel))
    if (overflow < 0) throw new Error(`no metric memory is left for ${definition.name}`)
    const metric = make(new LabelSets(reserve, overflow, this.#labelSetsPerMetric))
    this.#metrics.set(definition.name, metric)
    return metric
  }

  /** -1 when the memory is used up. */
  #reserve(definition: MetricDefinition, labels: readonly string[], width: number): number {
    if (this.#used + width > this.#values.length) return -1
    const slot = this.#used
    this.#used += width
    this.#series++
    if (definition.kind === 'gauge') this.#gauges.push(slot)
    this.#announce({ type: 'series', series: { metric: definition.name, labels, slot } })
    return slot
  }
}

/** The label sets of one metric, up to the cap; all further ones share the overflow series. */
class LabelSets {
  readonly #reserve: (labels: readonly string[]) => number
  readonly #overflow: number
  readonly #cap: number
  readonly #slots = new Map<string, number>()

  constructor(reserve: (labels: readonly string[]) => number, overflow: number, cap: number) {
    this.#reserve = reserve
    this.#overflow = overflow
    this.#cap = cap
  }

  slot(labels: readonly string[]): number {
    const key = labels.length === 1 ? labels[0]! : labels.join(separator)
    const known = this.#slots.get(key)
    if (known !== undefined) return known
    if (this.#slots.size >= this.#cap) return this.#overflow
    const slot = this.#reserve([...labels])
    if (slot < 0) return this.#overflow
    this.#slots.set(key, slot)
    return slot
  }
}

export class Counter {
  readonly definition: MetricDefinition
  readonly #labelSets: LabelSets
  readonly #values: Float64Array

  constructor(definition: MetricDefinition, labelSets: LabelSets, values: Float64Array) {
    this.definition = definition
    this.#labelSets = labelSets
    this.#values = values
  }

  /** The slot of a label set, for the caller to keep: values in the order of the label names. */
  slot(labels: readonly string[]): number {
    return this.#labelSets.slot(labels)
  }

  add(slot: number, amount: number): void {
    this.#values[slot]! += amount
  }
}

export class Histogram {
  readonly definition: MetricDefinition
  readonly #labelSets: LabelSets
  readonly #values: Float64Array
  readonly #bounds: Float64Array

  constructor(definition: MetricDefinition, labelSets: LabelSets, values: Float64Array) {
    this.definition = definition
    this.#labelSets = labelSets
    this.#values = values
    this.#bounds = Float64Array.from(definition.buckets)
  }

  /** The first slot of a label set, for the caller to keep: values in the order of the label names. */
  slot(labels: readonly string[]): number {
    return this.#labelSets.slot(labels)
  }

  observe(slot: number, value: number): void {
    const bounds = this.#bounds
    let bucket = 0
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++
    this.#values[slot + bucket]! += 1
    this.#values[slot + bounds.length + 1]! += value
  }
}

/** Slots of one series. */
export function widthOf({ kind, buckets }: MetricDefinition): number {
  return kind === 'histogram' ? buckets.length + 2 : 1
}

function shapeOf(definition: MetricDefinition): string {
  return JSON.stringify([definition.kind, definition.labelNames, definition.buckets])
}
