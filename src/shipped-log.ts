/**
 * Follows the gateway's own log for whoever asked for it, in the metadata of `error-log-logger` or in the runtime
 * configuration of a control plane; nothing is loaded until then.
 */
import { isDeepStrictEqual } from 'node:util'
import type { PluginSetSpec } from './config/plan.ts'
import type { LogOutput } from './config-sync/log-output.ts'
import type { LogOutputs } from './log-outputs.ts'
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
  #wanted: readonly LogOutput[] = []
  #outputs: LogOutputs | undefined
  /** One line after the other. */
  #turns: Promise<void> = Promise.resolve()

  constructor(options: ShippedLogOptions) {
    this.#options = options
    options.log.follow((line, level) => {
      this.forward?.(line)
      this.#outputs?.take(line.trimEnd())
      this.#take(line, level)
    })
  }

  families(): MetricFamily[] {
    return this.#counts?.families() ?? []
  }

  /** Where every line goes from now on. What the outputs before were given is still delivered. */
  async setOutputs(wanted: readonly LogOutput[]): Promise<void> {
    if (isDeepStrictEqual(wanted, this.#wanted)) return
    this.#wanted = wanted
    void this.#outputs?.close()
    this.#outputs = undefined
    if (wanted.length === 0) return
    const [{ LogOutputs }, { ShippingCounts }] = await Promise.all([
      import('./log-outputs.ts'),
      import('./log-shipping.ts'),
    ])
    this.#counts ??= new ShippingCounts()
    this.#outputs = new LogOutputs(wanted, this.#counts, this.#options.log)
  }

  async reopen(): Promise<void> {
    await this.#outputs?.reopen()
  }

  /** Resolves when every line was delivered or given up, in bounded time. */
  async close(): Promise<void> {
    this.#options.log.follow(undefined)
    await this.#turns
    await Promise.all([this.#shipping?.close(), this.#outputs?.close()])
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
