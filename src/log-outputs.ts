/** The gateway's own log on its way to the outputs that the runtime configuration of a control plane names. */
import type { KafkaOutput } from './config-sync/kafka-output.ts'
import type { LogOutput } from './config-sync/log-output.ts'
import { KafkaLog } from './kafka-log.ts'
import type { ShippingCounts } from './log-shipping.ts'
import { Batches, HttpSink, type Send } from './policies/kit/logging/index.ts'
import { FileDestination, LineSink } from './telemetry/line-sink.ts'
import type { Log } from './telemetry/log.ts'

/** Lines that wait for one server. */
const pendingAtMost = 8192
/** Milliseconds that servers have for what is left at the end. */
const patience = 3000
const batch = {
  batch_max_size: 500,
  inactive_timeout: 1,
  buffer_duration: 5,
  max_retry_count: 3,
  retry_delay: 1,
}
/** Milliseconds. */
const timeout = 10_000

export class LogOutputs {
  readonly #batches: Batches
  readonly #takers: ((line: string) => void)[]
  readonly #files: LineSink[] = []
  readonly #kafka: KafkaLog[] = []

  constructor(outputs: readonly LogOutput[], counts: ShippingCounts, log: Log) {
    this.#batches = new Batches(counts, log)
    this.#takers = outputs.map((output) => {
      if (output.type === 'file') return this.#file(output.path, log)
      const settings = { ...batch, name: output.name }
      const processor = this.#batches.open(
        `log output ${output.name}`,
        settings,
        pendingAtMost,
        output.type === 'kafka' ? this.#toKafka(output) : sendOf(output),
      )
      return (line) => processor.push(line, line.length)
    })
  }

  /** Without its line feed. */
  take(line: string): void {
    for (const taker of this.#takers) taker(line)
  }

  /** The files may have been renamed. */
  async reopen(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.reopen()))
  }

  /** Resolves when what was taken is delivered or given up. */
  async close(): Promise<void> {
    await Promise.all([this.#batches.close(patience), ...this.#files.map((file) => file.close())])
    for (const log of this.#kafka) log.close()
  }

  #toKafka(output: KafkaOutput): Send<string> {
    const log = new KafkaLog(output, timeout)
    this.#kafka.push(log)
    return (lines) => log.send(lines)
  }

  #file(path: string, log: Log): (line: string) => void {
    const onError = (err: Error) =>
      log.error({ err, path }, 'lines of the log cannot be written to an output')
    const sink = new LineSink(new FileDestination(path), { flushMs: 0, onError })
    this.#files.push(sink)
    return (line) => sink.write(line)
  }
}

/** JSON lines, as they are written to standard error. */
function sendOf({
  type,
  url,
  headers,
  format,
  verify,
}: Exclude<LogOutput, { type: 'file' | 'kafka' }>): Send<string> {
  const sink = new HttpSink({ timeout, verify, accepts: (status) => status < 300 })
  const address = new URL(url)
  const bodyOf = (lines: readonly string[]) => {
    if (type === 'elasticsearch') return lines.map((line) => `{"create":{}}\n${line}\n`).join('')
    return format === 'json' ? `[${lines.join(',')}]` : `${lines.join('\n')}\n`
  }
  return async (lines) => {
    await sink.post(address, headers, bodyOf(lines))
  }
}
