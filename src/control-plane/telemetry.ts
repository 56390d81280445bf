/**
 * What instances say of themselves beside heartbeats: metrics, health of upstreams, lines of their logs. It is held in
 * memory alone and within bounds; what was not renewed for long makes room for others.
 */
import type { HealthReport, LogReport, MetricsReport } from '../config-sync/protocol/index.ts'

/** Characters over all instances. */
const most = { metrics: 64 * 1024 * 1024, health: 8 * 1024 * 1024, logs: 32 * 1024 * 1024 }
/** Lines of one instance. */
const mostLines = 1000

/** Times are seconds since 1970. */
export interface KeptMetrics {
  time: number
  text: string
  truncated: boolean
}

export interface KeptHealth {
  time: number
  data: HealthReport['data']
}

export interface KeptLog {
  time: number
  lines: readonly string[]
  /** That are missing, since the first one that came. */
  dropped: number
}

/** What was renewed longest ago makes room. */
class Kept<Value> {
  readonly #most: number
  readonly #sizeOf: (value: Value) => number
  /** In the order in which they were renewed. */
  readonly #values = new Map<string, { value: Value; size: number }>()
  #size = 0

  constructor(most: number, sizeOf: (value: Value) => number) {
    this.#most = most
    this.#sizeOf = sizeOf
  }

  get(id: string): Value | undefined {
    return this.#values.get(id)?.value
  }

  set(id: string, value: Value): void {
    this.delete(id)
    const size = this.#sizeOf(value)
    this.#values.set(id, { value, size })
    this.#size += size
    for (const oldest of this.#values.keys()) {
      if (this.#size <= this.#most) return
      this.delete(oldest)
    }
  }

  delete(id: string): void {
    this.#size -= this.#values.get(id)?.size ?? 0
    this.#values.delete(id)
  }
}

export class Telemetry {
  readonly #now: () => number
  readonly #metrics = new Kept<KeptMetrics>(most.metrics, ({ text }) => text.length)
  readonly #health = new Kept<KeptHealth>(most.health, (kept) => JSON.stringify(kept).length)
  readonly #logs = new Kept<KeptLog>(most.logs, ({ lines }) =>
    lines.reduce((sum, line) => sum + line.length, 0),
  )

  /** @param now seconds since 1970 */
  constructor(now: () => number) {
    this.#now = now
  }

  takeMetrics({ instance_id: id, metrics: text, truncated = false }: MetricsReport): void {
    this.#metrics.set(id, { time: this.#now(), text, truncated })
  }

  takeHealth({ instance_id: id, data }: HealthReport): void {
    this.#health.set(id, { time: this.#now(), data })
  }

  takeLines({ instance_id: id, lines, dropped = 0 }: LogReport): void {
    const before = this.#logs.get(id)
    this.#logs.set(id, {
      time: this.#now(),
      lines: [...(before?.lines ?? []), ...lines].slice(-mostLines),
      dropped: (before?.dropped ?? 0) + dropped,
    })
  }

  metricsOf(instance: string): KeptMetrics | undefined {
    return this.#metrics.get(instance)
  }

  healthOf(instance: string): KeptHealth | undefined {
    return this.#health.get(instance)
  }

  logOf(instance: string): KeptLog | undefined {
    return this.#logs.get(instance)
  }

  forget(instance: string): void {
    for (const kept of [this.#metrics, this.#health, this.#logs]) kept.delete(instance)
  }
}
