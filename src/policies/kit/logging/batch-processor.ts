/**
 * Entries on their way to a server, in batches, as Apache APISIX collects them: a batch leaves when it is full, when
 * nothing came for a while, or when it is old enough; one that fails is tried again some times, and then given up.
 * Whatever the server does, memory is bounded, traffic goes on, and every entry is counted: as delivered, as failed, or as
 * discarded because too many waited.
 */
import type { Exchange } from '../../../proxy/exchange.ts'
import type { Counter, Metrics, PolicyLog } from '../host.ts'

/** Times in seconds, as APISIX has them. */
export interface BatchSettings {
  /** Shown in metrics and logs. */
  readonly name: string
  readonly batch_max_size: number
  readonly inactive_timeout: number
  readonly buffer_duration: number
  readonly max_retry_count: number
  readonly retry_delay: number
}

/** Thrown by a send that delivered the first entries of a batch: only the others are sent again. */
export class PartlyDelivered extends Error {
  readonly delivered: number

  constructor(delivered: number, reason: string) {
    super(reason)
    this.delivered = delivered
  }
}

/** Thrown by a send that delivered so many entries of a batch, where there is no use in sending the others again. */
export class Undeliverable extends PartlyDelivered {}

/** Resolves when the entries are with the server. A message of its errors goes to the log: it holds no secrets. */
export type Send<Entry> = (entries: readonly Entry[]) => Promise<void>

/** Batches that one processor has on their way at the same time; others wait for their turn. */
const sendsAtOnce = 4
/** Bytes at which a batch leaves whatever its number of entries. */
const largestBatch = 4 * 1024 * 1024
/** Bytes that all processors of a policy on this thread hold; further entries are discarded. */
const heldAtMost = 64 * 1024 * 1024

/** What all processors of one policy on this thread hold together. */
interface Backlog {
  entries: number
  bytes: number
  /** The last entry had no room, and the log says so. */
  full: boolean
}

interface Batch<Entry> {
  entries: readonly Entry[]
  sizes: readonly number[]
  tries: number
}

/** The batch processors of one thread. */
export class Batches {
  readonly #metrics: Pick<Metrics, 'counter' | 'gauge'>
  readonly #log: PolicyLog
  readonly #backlogs = new Map<string, Backlog>()
  /** Those that hold something. */
  readonly #busy = new Set<BatchProcessor<never>>()

  constructor(metrics: Pick<Metrics, 'counter' | 'gauge'>, log: PolicyLog) {
    this.#metrics = metrics
    this.#log = log
  }

  /** @param maxPending entries that all processors of the policy may hold together */
  open<Entry>(
    policy: string,
    settings: BatchSettings,
    maxPending: number,
    send: Send<Entry>,
  ): BatchProcessor<Entry> {
    let backlog = this.#backlogs.get(policy)
    if (backlog === undefined) {
      backlog = { entries: 0, bytes: 0, full: false }
      this.#backlogs.set(policy, backlog)
    }
    const counts = this.#metrics.counter('sluice_log_entries_total', 'Log entries by what became of them.', [
      'policy',
      'outcome',
    ])
    const gauge = this.#metrics.gauge(
      'apisix_batch_process_entries',
      'Entries of a batch that is being collected.',
      ['name', 'route_id', 'server_addr'],
    )
    return new BatchProcessor({
      policy,
      settings,
      maxPending,
      send,
      backlog,
      counts,
      gauge,
      log: this.#log,
      busy: (processor, busy) => {
        if (busy) this.#busy.add(processor as never)
        else this.#busy.delete(processor as never)
      },
    })
  }

  /** Sends what there is at once. Resolves when all of it was delivered or given up, or the time is over. */
  async close(patienceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs)
    })
    await Promise.race([Promise.all([...this.#busy].map((processor) => processor.drain())), late])
    clearTimeout(timer)
  }
}

interface Parts<Entry> {
  policy: string
  settings: BatchSettings
  maxPending: number
  send: Send<Entry>
  backlog: Backlog
  counts: Counter
  gauge: Counter
  log: PolicyLog
  busy(processor: BatchProcessor<Entry>, busy: boolean): void
}

export class BatchProcessor<Entry> {
  readonly #parts: Parts<Entry>
  readonly #slots: { delivered: number; failed: number; discarded: number }
  /** What is being collected. */
  #entries: Entry[] = []
  #sizes: number[] = []
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  /** Since the timer was set. */
  #pushed = false
  /** Times that the timer was set since the first entry of the batch. */
  #rounds = 0
  readonly #waiting: Batch<Entry>[] = []
  #sending = 0
  /** Batches that wait until they are tried again. */
  readonly #resting = new Map<Batch<Entry>, NodeJS.Timeout>()
  #failing = false
  #closing = false
  #idle: PromiseWithResolvers<void> | undefined
  /** Of the gauge; -1 until an entry of a route came by. */
  #slot = -1
  #shown = 0

  constructor(parts: Parts<Entry>) {
    this.#parts = parts
    const slot = (outcome: string) => parts.counts.slot([parts.policy, outcome])
    this.#slots = { delivered: slot('delivered'), failed: slot('failed'), discarded: slot('discarded') }
  }

  /**
   * Takes an entry; never blocks and never throws.
   * @param bytes about as many as the entry takes
   * @param exchange that it is about, if any
   */
  push(entry: Entry, bytes: number, exchange?: Exchange): void {
    const { settings, backlog, maxPending } = this.#parts
    if (backlog.entries >= maxPending || backlog.bytes + bytes > heldAtMost) {
      this.#discard()
      return
    }
    backlog.full = false
    backlog.entries++
    backlog.bytes += bytes
    if (this.#entries.length === 0) this.#parts.busy(this, true)
    this.#entries.push(entry)
    this.#sizes.push(bytes)
    this.#bytes += bytes
    this.#pushed = true
    if (this.#entries.length >= settings.batch_max_size || this.#bytes >= largestBatch) this.#dispatch()
    else if (this.#timer === undefined) this.#setTimer()
    if (exchange !== undefined && settings.batch_max_size > 1) this.#show(exchange)
  }

  /** Sends everything now, each batch once. Resolves when nothing is held any more. */
  async drain(): Promise<void> {
    this.#closing = true
    for (const [batch, timer] of this.#resting) {
      clearTimeout(timer)
      this.#waiting.push(batch)
    }
    this.#resting.clear()
    this.#dispatch()
    this.#next()
    if (this.#isIdle) return
    this.#idle ??= Promise.withResolvers()
    await this.#idle.promise
  }

  get #isIdle(): boolean {
    return (
      this.#entries.length === 0 &&
      this.#waiting.length === 0 &&
      this.#sending === 0 &&
      this.#resting.size === 0
    )
  }

  #setTimer(): void {
    this.#pushed = false
    this.#rounds++
    this.#timer = setTimeout(() => this.#tick(), this.#parts.settings.inactive_timeout * 1000)
    this.#timer.unref()
  }

  #tick(): void {
    const { inactive_timeout: inactive, buffer_duration: duration } = this.#parts.settings
    this.#timer = undefined
    if (this.#entries.length === 0) return
    if (!this.#pushed || this.#rounds * inactive >= duration) this.#dispatch()
    else this.#setTimer()
  }

  #dispatch(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#rounds = 0
    if (this.#entries.length === 0) return
    this.#waiting.push({ entries: this.#entries, sizes: this.#sizes, tries: 0 })
    this.#entries = []
    this.#sizes = []
    this.#bytes = 0
    this.#showCount()
    this.#next()
  }

  #next(): void {
    while (this.#sending < sendsAtOnce && this.#waiting.length > 0) {
      this.#sending++
      void this.#send(this.#waiting.shift()!)
    }
  }

  async #send(batch: Batch<Entry>): Promise<void> {
    try {
      await this.#parts.send(batch.entries)
      this.#settle(batch, batch.entries.length, 'delivered')
      this.#recovered()
    } catch (error) {
      this.#failed(batch, error)
    }
    this.#sending--
    this.#next()
    if (!this.#isIdle) return
    this.#parts.busy(this, false)
    this.#idle?.resolve()
    this.#idle = undefined
  }

  #failed(batch: Batch<Entry>, error: unknown): void {
    const { settings } = this.#parts
    if (error instanceof PartlyDelivered) this.#settle(batch, error.delivered, 'delivered')
    this.#tellFailure(error)
    batch.tries++
    if (batch.tries > settings.max_retry_count || this.#closing || error instanceof Undeliverable) {
      this.#settle(batch, batch.entries.length, 'failed')
      return
    }
    const timer = setTimeout(() => {
      this.#resting.delete(batch)
      this.#waiting.push(batch)
      this.#next()
    }, settings.retry_delay * 1000)
    timer.unref()
    this.#resting.set(batch, timer)
  }

  /** The first entries of a batch are not held any more. */
  #settle(batch: Batch<Entry>, count: number, outcome: 'delivered' | 'failed'): void {
    const { backlog, counts } = this.#parts
    backlog.entries -= count
    for (let i = 0; i < count; i++) backlog.bytes -= batch.sizes[i]!
    batch.entries = batch.entries.slice(count)
    batch.sizes = batch.sizes.slice(count)
    counts.add(this.#slots[outcome], count)
  }

  /** Once for a row of failures: a server that is away for long would flood the log. */
  #tellFailure(error: unknown): void {
    if (this.#failing) return
    this.#failing = true
    const { policy, settings, log } = this.#parts
    const reason = error instanceof Error ? error.message : String(error)
    log.error({ policy, batch: settings.name, reason }, 'log entries cannot be delivered')
  }

  #recovered(): void {
    if (!this.#failing) return
    this.#failing = false
    const { policy, settings, log } = this.#parts
    log.info({ policy, batch: settings.name }, 'log entries are delivered again')
  }

  #discard(): void {
    const { policy, backlog, counts, log, settings } = this.#parts
    counts.add(this.#slots.discarded, 1)
    if (backlog.full) return
    backlog.full = true
    const waiting = backlog.entries
    log.error({ policy, batch: settings.name, waiting }, 'log entries are discarded, because too many wait')
  }

  #show(exchange: Exchange): void {
    if (this.#slot === -1) {
      if (exchange.binding === null) return
      const { localAddress } = exchange.client
      this.#slot = this.#parts.gauge.slot([this.#parts.settings.name, exchange.binding.routeId, localAddress])
    }
    this.#showCount()
  }

  #showCount(): void {
    if (this.#slot === -1) return
    this.#parts.gauge.add(this.#slot, this.#entries.length - this.#shown)
    this.#shown = this.#entries.length
  }
}
