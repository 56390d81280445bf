/** What the control thread told this data thread about the health of upstreams. */
import type { UpstreamSpec } from '../../../config/plan.ts'
import type { UpstreamSlots } from './slots.ts'
import { HealthTable } from './table.ts'
import { UpstreamHealth } from './upstream-health.ts'

export class HealthRegister {
  readonly #table: HealthTable
  readonly #upstreams = new Map<string, UpstreamHealth>()

  constructor(memory: SharedArrayBuffer) {
    this.#table = new HealthTable(memory)
  }

  /** What there is to know about an upstream; null when nobody watches it. */
  of({ key, checks, outlier_ejection: ejection }: UpstreamSpec): UpstreamHealth | null {
    if (checks === undefined && ejection === undefined) {
      this.#upstreams.delete(key)
      return null
    }
    return this.#upstreams.get(key) ?? null
  }

  setSlots(slots: UpstreamSlots): void {
    let health = this.#upstreams.get(slots.upstream)
    if (health === undefined) {
      health = new UpstreamHealth(this.#table)
      this.#upstreams.set(slots.upstream, health)
    }
    health.setSlots(slots)
  }

  forget(key: string): void {
    this.#upstreams.delete(key)
  }
}
