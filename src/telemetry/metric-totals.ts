/** Sums of what data threads count. What a thread counted before it died stays in, so totals never go backwards. */
import { type Announcement, type MetricDefinition, widthOf } from './metrics.ts'

export interface SeriesTotal {
  labels: readonly string[]
  /** One value for a counter; for a histogram each bucket, `+Inf` and the sum. */
  values: Float64Array
  /** It was set to 0, by an operator or because it expired, and is as if it had not come up until it counts again. */
  cleared: boolean
}

interface SharedSeries {
  labels: readonly string[]
  cleared: boolean
  /** Of a metric whose series expire: how much was counted when it was last looked at, and when that had changed. */
  counted: number
  countedAt: number
  /** From threads that are gone. */
  retired: Float64Array
  live: { values: Float64Array; slot: number }[]
}

interface SharedMetric {
  definition: MetricDefinition
  width: number
  series: Map<string, SharedSeries>
}

export class MetricTotals {
  readonly #metrics = new Map<string, SharedMetric>()
  readonly #threads = new Map<number, Float64Array>()

  addThread(threadId: number, memory: SharedArrayBuffer): void {
    this.#threads.set(threadId, new Float64Array(memory))
  }

  /** Takes in what a thread announced. The first definition of a name holds for all threads. */
  announce(threadId: number, announcement: Announcement): void {
    if (announcement.type === 'metric') this.#define(announcement.definition)
    else this.#addSeries(threadId, announcement.series)
  }

  /** Keeps a dead thread's counts and lets go of its memory. */
  retireThread(threadId: number): void {
    const memory = this.#threads.get(threadId)
    if (memory === undefined) return
    this.#threads.delete(threadId)
    for (const metric of this.#metrics.values()) {
      for (const series of metric.series.values()) {
        const own = series.live.filter((part) => part.values === memory)
        // What a thread had is gone with it; what it counted is not.
        if (metric.definition.kind !== 'gauge') {
          for (const part of own) addTo(series.retired, part.values, part.slot)
        }
        if (own.length > 0) series.live = series.live.filter((part) => part.values !== memory)
      }
    }
  }

  /** Forgets what dead threads counted. The live ones set their own values to 0. */
  clear(): void {
    for (const metric of this.#metrics.values()) {
      for (const series of metric.series.values()) {
        series.retired.fill(0)
        series.cleared = true
        series.counted = 0
      }
    }
  }

  /**
   * Series of these metrics in which nothing was counted for so many milliseconds begin anew from 0. What was counted is
   * seen when this is called, so it wants to be called several times within a lifetime.
   */
  expire(lifetimes: ReadonlyMap<string, number>, now: number): void {
    for (const [name, lifetime] of lifetimes) {
      for (const series of this.#metrics.get(name)?.series.values() ?? []) {
        const values = totalOf(series)
        const counted = values.reduce((sum, value) => sum + value, 0)
        if (counted !== series.counted) {
          series.counted = counted
          series.countedAt = now
        } else if (counted !== 0 && now - series.countedAt >= lifetime) {
          for (let index = 0; index < values.length; index++) series.retired[index]! -= values[index]!
          series.cleared = true
          series.counted = 0
        }
      }
    }
  }

  *read(): Generator<{ definition: MetricDefinition; series: Generator<SeriesTotal> }> {
    for (const metric of this.#metrics.values()) {
      yield { definition: metric.definition, series: readSeries(metric) }
    }
  }

  #define(definition: MetricDefinition): void {
    if (this.#metrics.has(definition.name)) return
    const width = widthOf(definition)
    this.#metrics.set(definition.name, { definition, width, series: new Map() })
  }

  #addSeries(threadId: number, announced: { metric: string; labels: readonly string[]; slot: number }): void {
    const metric = this.#metrics.get(announced.metric)
    const values = this.#threads.get(threadId)
    if (metric === undefined || values === undefined) return
    const key = announced.labels.join('\u0000')
    let series = metric.series.get(key)
    if (series === undefined) {
      series = {
        labels: announced.labels,
        cleared: false,
        counted: 0,
        countedAt: 0,
        retired: new Float64Array(metric.width),
        live: [],
      }
      metric.series.set(key, series)
    }
    series.live.push({ values, slot: announced.slot })
  }
}

function* readSeries(metric: SharedMetric): Generator<SeriesTotal> {
  for (const series of metric.series.values()) {
    yield { labels: series.labels, values: totalOf(series), cleared: series.cleared }
  }
}

function totalOf(series: SharedSeries): Float64Array {
  const values = series.retired.slice()
  for (const part of series.live) addTo(values, part.values, part.slot)
  return values
}

function addTo(sum: Float64Array, values: Float64Array, slot: number): void {
  for (let index = 0; index < sum.length; index++) sum[index]! += values[slot + index]!
}
