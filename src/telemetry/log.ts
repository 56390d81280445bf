/** The runtime log: JSON lines on standard error, through pino. Only the control thread writes; see `thread-log.ts`. */
import { type DestinationStream, destination, pino } from 'pino'

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
}

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

/** Lines go to standard error unless tests hand in a stream. Writes are synchronous: the last words of a process count. */
export function createLog(
  level: LogLevel,
  stream: DestinationStream = destination({ fd: 2, sync: true }),
): RuntimeLog {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretFields.flatMap(pathsOf), censor: '[redacted]' },
    },
    stream,
  )
  return Object.assign(logger, {
    setLevel: (next: LogLevel) => {
      logger.level = next
    },
  })
}

/** At the top of a line and one level down. */
function pathsOf(field: string): string[] {
  return [`["${field}"]`, `*["${field}"]`]
}
