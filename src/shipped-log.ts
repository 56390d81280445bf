/** Follows the gateway's own log for whoever asked for it in the metadata of `error-log-logger`; nothing is loaded until then. */
import type { PluginSetSpec } from './config/plan.ts'
import type { LogShipping, ShippingCounts } from './log-shipping.ts'
import type { ShippedLogSettings } from './policies/kit/logging/index.ts'
import type { RuntimeLog } from './telemetry/log.ts'
import type { MetricFamily } from './telemetry/metric-family.ts'

const policy = 'error-log-logger'

export interface ShippedLogOptions {
  log: RuntimeLog
  /** Of the plan in use; another object when it changed. */
  metadata(policy: string): PluginSetSpec | undefined
  /** The same with secrets in place of references. */
  withSecrets(metadata: PluginSetSpec): PluginSetSpec
}

export class ShippedLog {
  /** Gets every line too, for the control plane. */
  forward: ((line: string) => void) | undefined
  readonly #options: ShippedLogOptions
  #metadata: PluginSetSpec | undefined
  #shipping: LogShipping | undefined
  #counts: ShippingCounts | undefined
  /** One line after the other. */
  #turns: Promise<void> = Promise.resolve()

  constructor(options: ShippedLogOptions) {
    this.#options = options
    options.log.follow((line, level) => {
      this.forward?.(line)
      this.#take(line, level)
    })
  }

  families(): MetricFamily[] {
    return this.#counts?.families() ?? []
  }

  /** Resolves when every line was delivered or given up, in bounded time. */
  async close(): Promise<void> {
    this.#options.log.follow(undefined)
    await this.#turns
    await this.#shipping?.close()
  }

  #take(line: string, level: number): void {
    const metadata = this.#options.metadata(policy)
    if (metadata === undefined && this.#metadata === undefined) return
    this.#turns = this.#turns.then(async () => {
      if (metadata !== this.#metadata) await this.#use(metadata)
      this.#shipping?.take(line, level)
    })
  }

  async #use(metadata: PluginSetSpec | undefined): Promise<void> {
    void this.#shipping?.close()
    this.#shipping = undefined
    this.#metadata = metadata
    if (metadata === undefined) return
    const { LogShipping, ShippingCounts } = await import('./log-shipping.ts')
    this.#counts ??= new ShippingCounts()
    const settings = this.#options.withSecrets(metadata).plugins[policy] as unknown as ShippedLogSettings
    this.#shipping = new LogShipping(settings, this.#counts, this.#options.log)
  }
}
