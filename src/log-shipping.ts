/** The gateway's own log on its way to a server, in batches: what the metadata of `error-log-logger` asks for. */
import { hostname } from 'node:os'
import {
  Batches,
  type BatchProcessor,
  HttpSink,
  type Send,
  type ShippedLogSettings,
  TcpSink,
} from './policies/kit/logging/index.ts'
import type { Log } from './telemetry/log.ts'
import type { MetricFamily } from './telemetry/metric-family.ts'

/** Lines that wait to be delivered. */
const pendingAtMost = 8192
/** Milliseconds that the server has for what is left at the end. */
const patience = 3000

/** Numbers of pino; the log knows none above 50. */
const levels: Readonly<Record<ShippedLogSettings['level'], number>> = {
  STDERR: 60,
  EMERG: 60,
  ALERT: 60,
  CRIT: 60,
  ERR: 50,
  ERROR: 50,
  WARN: 40,
  NOTICE: 30,
  INFO: 30,
  DEBUG: 20,
}

/** Lines by what became of them, over the life of the gateway. */
export class ShippingCounts {
  readonly #outcomes: string[] = []
  readonly #counts: number[] = []

  counter() {
    return {
      slot: ([, outcome = '']: readonly string[]): number => {
        const known = this.#outcomes.indexOf(outcome)
        if (known !== -1) return known
        this.#counts.push(0)
        return this.#outcomes.push(outcome) - 1
      },
      add: (slot: number, amount: number): void => {
        this.#counts[slot]! += amount
      },
    }
  }

  /** What is being collected is not shown. */
  gauge() {
    return { slot: () => 0, add: () => {} }
  }

  families(): MetricFamily[] {
    const values = this.#outcomes.map((outcome, slot) => ({
      labels: { outcome },
      value: this.#counts[slot]!,
    }))
    if (values.length === 0) return []
    const help = 'Lines of the log of the gateway for error-log-logger, by what became of them.'
    return [{ name: 'sluice_shipped_log_lines_total', help, type: 'counter', values }]
  }
}

export class LogShipping {
  readonly #level: number
  readonly #batches: Batches
  readonly #batch: BatchProcessor<string>

  constructor(settings: ShippedLogSettings, counts: ShippingCounts, log: Log) {
    this.#level = levels[settings.level]
    this.#batches = new Batches(counts, log)
    this.#batch = this.#batches.open('error-log-logger', settings, pendingAtMost, sendOf(settings))
  }

  /** @param level of pino */
  take(line: string, level: number): void {
    if (level >= this.#level) this.#batch.push(line, line.length)
  }

  /** Resolves when what was taken is delivered or given up. */
  close(): Promise<void> {
    return this.#batches.close(patience)
  }
}

/** Lines come with their line feed. */
function sendOf(settings: ShippedLogSettings): Send<string> {
  const { tcp, skywalking, clickhouse } = settings
  const timeout = settings.timeout * 1000
  if (skywalking === undefined && clickhouse === undefined) {
    const { host, port, tls, tls_server_name: servername } = tcp ?? settings
    const sink = new TcpSink({
      host: host!,
      port: port!,
      timeout,
      ...(tls === true && { tls: { verify: false, ...(servername !== undefined && { servername }) } }),
    })
    return (lines) => sink.send(lines.join(''))
  }
  const sink = new HttpSink({
    timeout,
    keepAlive: settings.keepalive * 1000,
    verify: true,
    accepts: (status) => status < 400,
  })
  const type = { 'content-type': 'application/json' }
  if (skywalking !== undefined) {
    const { endpoint_addr: address, service_name: service, service_instance_name: instance } = skywalking
    const serviceInstance = instance === '$hostname' ? hostname() : instance
    const entry = (line: string) => ({
      service,
      serviceInstance,
      endpoint: '',
      body: { text: { text: line.trimEnd() } },
    })
    return async (lines) => {
      await sink.post(new URL(address), type, JSON.stringify(lines.map(entry)))
    }
  }
  const { endpoint_addr: address, user, password, database, logtable } = clickhouse!
  const headers = {
    ...type,
    'x-clickhouse-user': user,
    'x-clickhouse-key': password,
    'x-clickhouse-database': database,
  }
  return async (lines) => {
    const rows = lines.map((line) => JSON.stringify({ data: line.trimEnd() }))
    await sink.post(new URL(address), headers, `INSERT INTO ${logtable} FORMAT JSONEachRow ${rows.join(' ')}`)
  }
}
