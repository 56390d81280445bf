/**
 * The runtime log of a data thread: lines travel to the control thread, which writes them.
 * So a reader of standard error that stalls never holds up traffic, and data threads need not load pino.
 */
import type { Log, LogLevel } from './log.ts'

export interface LogMessage {
  type: 'log'
  level: Exclude<LogLevel, 'trace'>
  fields: Record<string, unknown>
  message: string
}

const severity = { trace: 0, debug: 1, info: 2, warn: 3, error: 4 } as const

export class ThreadLog implements Log {
  level: LogLevel
  readonly #threadId: number
  readonly #post: (message: LogMessage) => void

  constructor(threadId: number, level: LogLevel, post: (message: LogMessage) => void) {
    this.#threadId = threadId
    this.level = level
    this.#post = post
  }

  debug(fields: object, message: string): void {
    this.#write('debug', fields, message)
  }

  info(fields: object, message: string): void {
    this.#write('info', fields, message)
  }

  warn(fields: object, message: string): void {
    this.#write('warn', fields, message)
  }

  error(fields: object, message: string): void {
    this.#write('error', fields, message)
  }

  #write(level: LogMessage['level'], fields: object, message: string): void {
    if (severity[level] < severity[this.level]) return
    const plain: Record<string, unknown> = { thread: this.#threadId }
    for (const [name, value] of Object.entries(fields)) plain[name] = transferable(value)
    this.#post({ type: 'log', level, fields: plain, message })
  }
}

/** What survives the way to another thread. A structured clone of an Error loses its code. */
function transferable(value: unknown): unknown {
  if (value instanceof Error) return describeError(value)
  if (typeof value === 'function' || typeof value === 'symbol') return String(value)
  if (typeof value !== 'object' || value === null) return value
  return JSON.parse(JSON.stringify(value))
}

function describeError(error: Error & { code?: unknown }): Record<string, unknown> {
  const { name, message, stack, code } = error
  return code === undefined ? { type: name, message, stack } : { type: name, message, stack, code }
}
