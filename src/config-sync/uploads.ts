/**
 * What a gateway sends its control plane beside heartbeats: its metrics every few seconds, the health of upstreams when it
 * changed, and the lines of its log where the runtime configuration asks for them. All of it is bounded, none of it is
 * repeated for long, and nothing of it has an effect on traffic.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../telemetry/log.ts'
import { messageBounds } from './connection.ts'
import { type Link, Rejected } from './link.ts'
import {
  type HealthReport,
  type MetricsReport,
  maxMetricsBytes,
  mostLinesOfLog,
  mostUpstreamsOfHealth,
  paths,
} from './protocol/messages.ts'
import { WaitingLines } from './waiting-lines.ts'

export interface UploadsOptions {
  link: Link
  log: Log
  /** Milliseconds between two uploads of metrics; 0: neither metrics nor health are sent. */
  every: number
  /** Milliseconds since 1970. */
  clock: () => number
  instance(): string
  /** In the text format of Prometheus. */
  metrics(): Promise<string>
  health(): HealthReport['data']
}

/** Milliseconds after which an unchanged health is sent again, because the control plane keeps none for ever. */
const healthAgainMs = 20 * 60_000
/** Milliseconds between two looks at what is to be sent. */
const lookMs = 1000

export class Uploads {
  readonly #options: UploadsOptions
  readonly #lines = new WaitingLines()
  #health = ''
  #healthSent = Number.NEGATIVE_INFINITY
  #metricsSent = Number.NEGATIVE_INFINITY

  constructor(options: UploadsOptions) {
    this.#options = options
  }

  /** A line of the log, with its line feed. */
  take(line: string): void {
    this.#lines.add(line.trimEnd())
  }

  /** Until the link ends. @param known resolves when the control plane knows of this instance: it takes nothing before */
  async run(known: Promise<void>): Promise<void> {
    const { link, every } = this.#options
    await known
    while (!link.ending.aborted) {
      await this.#look().catch((err: unknown) =>
        this.#options.log.debug({ err }, 'there is nothing to upload'),
      )
      await delay(Math.min(lookMs, every || lookMs), undefined, { signal: link.ending, ref: false }).catch(
        () => {},
      )
    }
  }

  async #look(): Promise<void> {
    const { every, clock } = this.#options
    const now = clock()
    // First what matters most where the others cannot be had.
    await this.#sendLines()
    if (every === 0) return
    await this.#sendHealth(now)
    if (now - this.#metricsSent < every) return
    this.#metricsSent = now
    await this.#sendMetrics()
  }

  async #sendMetrics(): Promise<void> {
    const { instance, metrics } = this.#options
    const text = await metrics()
    const body: MetricsReport = { instance_id: instance(), ...withinBounds(text) }
    await this.#send(paths.metrics, body)
  }

  async #sendHealth(now: number): Promise<void> {
    const { instance, health } = this.#options
    const data = health().slice(0, mostUpstreamsOfHealth)
    const text = JSON.stringify(data)
    const isKnown = text === this.#health && now - this.#healthSent < healthAgainMs
    // Without anything that is watched there is nothing to tell, unless there was.
    if (isKnown || (data.length === 0 && this.#health === '')) return
    if ((await this.#send(paths.healthcheck, { instance_id: instance(), data })) === 'failed') return
    this.#health = text
    this.#healthSent = now
  }

  async #sendLines(): Promise<void> {
    const { lines, dropped } = this.#lines.next(mostLinesOfLog)
    if (lines.length === 0) return
    const body = { instance_id: this.#options.instance(), lines, dropped }
    const outcome = await this.#send(paths.logs, body)
    if (outcome === 'taken') this.#lines.sent(lines.length, dropped)
    // Others would wait behind them for good.
    else if (outcome === 'unwanted') this.#lines.drop(lines.length, dropped)
  }

  /**
   * A failure is told of by heartbeats; here it would only make more lines of the log.
   * @returns `unwanted`: it will not be taken another time either
   */
  async #send(path: string, body: object): Promise<'taken' | 'failed' | 'unwanted'> {
    const { link, log } = this.#options
    try {
      await link.send({ method: 'POST', path, body, ...messageBounds })
      return 'taken'
    } catch (error) {
      if (!link.ending.aborted)
        log.debug({ path, reason: (error as Error).message }, 'an upload was not taken')
      return error instanceof Rejected && !error.mayPass ? 'unwanted' : 'failed'
    }
  }
}

/** Whole lines, as many as there is room for. */
function withinBounds(text: string): Pick<MetricsReport, 'metrics' | 'truncated'> {
  if (text.length <= maxMetricsBytes) return { metrics: text, truncated: false }
  return { metrics: text.slice(0, text.lastIndexOf('\n', maxMetricsBytes) + 1), truncated: true }
}
