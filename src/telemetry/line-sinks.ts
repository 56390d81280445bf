/** The line sinks of one data thread: one for each target, however many policies write to it. */

import { FileDestination, type LineDestination, LineSink } from './line-sink.ts'
import type { Log } from './log.ts'
import type { Registry } from './metrics.ts'

/** `soon`: lines are written at once; `ahead`: the file is opened before the first one. Whoever comes first decides. */
export type LineTarget = { type: 'stdout' } | { type: 'file'; path: string; soon?: boolean; ahead?: boolean }

export interface LineSinksOptions {
  /** Where lines for standard output go; one writer there keeps the lines of all threads whole. */
  stdout: LineDestination
  metrics: Registry
  log: Log
}

export class LineSinks {
  readonly #options: LineSinksOptions
  readonly #sinks = new Map<string, LineSink>()

  constructor(options: LineSinksOptions) {
    this.#options = options
  }

  open(target: LineTarget): LineSink {
    const name = target.type === 'stdout' ? '' : target.path
    const known = this.#sinks.get(name)
    if (known !== undefined) return known
    const sink = this.#make(target)
    this.#sinks.set(name, sink)
    return sink
  }

  async reopen(): Promise<void> {
    await Promise.all([...this.#sinks.values()].map((sink) => sink.reopen()))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sinks.values()].map((sink) => sink.close()))
  }

  #make(target: LineTarget): LineSink {
    const { stdout, metrics, log } = this.#options
    const label = target.type === 'stdout' ? 'stdout' : target.path
    const dropped = metrics.counter(
      'sluice_log_lines_dropped_total',
      'Log lines that were lost because their sink was too slow or failed.',
      ['sink'],
    )
    const slot = dropped.slot([label])
    return new LineSink(target.type === 'stdout' ? stdout : fileOf(target), {
      onDrop: (lines) => dropped.add(slot, lines),
      onError: (err) => log.error({ err, sink: label }, 'log lines cannot be written'),
      ...(target.type === 'file' && target.soon === true && { flushMs: 0 }),
    })
  }
}

function fileOf({ path, ahead = false }: LineTarget & { type: 'file' }): FileDestination {
  const file = new FileDestination(path)
  if (ahead) file.prepare()
  return file
}
