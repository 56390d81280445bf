/**
 * What instances say of themselves beside heartbeats: metrics, health of upstreams, lines of their logs. It is held in
 * memory alone and within bounds; what was not renewed for long makes room for others.
 */
import type { HealthReport, LogReport, MetricsReport } from '../config-sync/protocol/index.ts'

/** Characters over all instances. */
const most = { metrics: 64 * 1024 * 1024, health: 8 * 1024 * 1024, logs: 32 * 1024 * 1024 }
/** Part of that for the instances of one registration: none of them makes those of others go. */
const shareOfOne = 1 / 8
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

/** What was renewed longest ago makes room: first among what is of the same owner, when that is too much. */
class Kept<Value> {
  readonly #most: number
  readonly #sizeOf: (value: Value) => number
  /** In the order in which they were renewed. */
  readonly #values = new Map<string, { value: Value; size: number; owner: string }>()
  /** By owner. */
  readonly #shares = new Map<string, number>()
  #size = 0

  constructor(most: number, sizeOf: (value: Value) => number) {
    this.#most = most
    this.#sizeOf = sizeOf
  }

  get(id: string): Value | undefined {
    return this.#values.get(id)?.value
  }

  set(id: string, value: Value, owner: string): void {
    this.delete(id)
    const size = this.#sizeOf(value)
    this.#values.set(id, { value, size, owner })
    this.#size += size
    this.#shares.set(owner, this.#shareOf(owner) + size)
    const isOver = (of: string) => this.#size > this.#most || this.#shareOf(of) > this.#most * shareOfOne
    if (!isOver(owner)) return
    for (const [oldest, { owner: its }] of this.#values) {
      if (this.#shareOf(owner) > this.#most * shareOfOne ? its === owner : this.#size > this.#most) {
        this.delete(oldest)
      }
      if (!isOver(owner)) return
    }
  }

  delete(id: string): void {
    const kept = this.#values.get(id)
    if (kept === undefined) return
    const share = this.#shareOf(kept.owner) - kept.size
    if (share > 0) this.#shares.set(kept.owner, share)
    else this.#shares.delete(kept.owner)
    this.#size -= kept.size
    this.#values.delete(id)
  }

  #shareOf(owner: string): number {
    return this.#shares.get(owner) ?? 0
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

  /** @param owner registration of the instance; here and below */
  takeMetrics({ instance_id: id, metrics: text, truncated = false }: MetricsReport, owner: string): void {
    this.#metrics.set(id, { time: this.#now(), text, truncated }, owner)
  }

  takeHealth({ instance_id: id, data }: HealthReport, owner: string): void {
    this.#health.set(id, { time: this.#now(), data }, owner)
  }

  takeLines({ instance_id: id, lines, dropped = 0 }: LogReport, owner: string): void {
    const before = this.#logs.get(id)
    const kept = {
      time: this.#now(),
      lines: [...(before?.lines ?? []), ...lines].slice(-mostLines),
      dropped: (before?.dropped ?? 0) + dropped,
    }
    this.#logs.set(id, kept, owner)
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
