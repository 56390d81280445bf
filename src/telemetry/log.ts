/** The runtime log: JSON lines on standard error, through pino. Only the control thread writes; see `thread-log.ts`. */
import { createRequire } from 'node:module'
import type { DestinationStream, Logger } from 'pino'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** `fields` become members of the line; an Error belongs under `err`. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface RuntimeLog extends Log {
  setLevel(level: LogLevel): void
  /** Hands every line that is written from now on, with its line feed and pino's number for its level, to one listener. */
  follow(listener: LineListener | undefined): void
}

export type LineListener = (line: string, level: number) => void

/** Whatever code puts into a field of these names, its value stays out of the log. */
const secretFields = [
  'authorization',
  'cookie',
  'credentials',
  'key',
  'password',
  'secret',
  'client_secret',
  'set-cookie',
  'token',
]

/**
 * Lines go to standard error unless tests hand in a stream. Writes are synchronous: the last words of a process count.
 * pino is loaded for the first line, which a start writes when it takes traffic already.
 */
export function createLog(level: LogLevel, stream?: DestinationStream): RuntimeLog {
  let current = level
  let logger: Logger | undefined
  let listener: LineListener | undefined
  const opened = () => {
    logger ??= openLogger(current, stream, (line, number) => listener?.(line, number))
    return logger
  }
  return {
    debug: (fields, message) => opened().debug(fields, message),
    info: (fields, message) => opened().info(fields, message),
    warn: (fields, message) => opened().warn(fields, message),
    error: (fields, message) => opened().error(fields, message),
    setLevel(next) {
      current = next
      if (logger !== undefined) logger.level = next
    },
    follow(next) {
      listener = next
    },
  }
}

function openLogger(level: LogLevel, stream: DestinationStream | undefined, written: LineListener): Logger {
  const { destination, pino } = createRequire(import.meta.url)('pino') as typeof import('pino')
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretFields.flatMap(pathsOf), censor: '[redacted]' },
    },
    followed(stream ?? destination({ fd: 2, sync: true }), written),
  )
}

/** pino says the level of each line to a stream that has this symbol. */
function followed(stream: DestinationStream, written: LineListener): DestinationStream {
  return {
    [Symbol.for('pino.metadata')]: true,
    lastLevel: 0,
    write(line: string) {
      stream.write(line)
      written(line, this.lastLevel)
    },
  } as DestinationStream & { lastLevel: number }
}

/** At the top of a line and one level down. */
function pathsOf(field: string): string[] {
  return [`["${field}"]`, `*["${field}"]`]
}
