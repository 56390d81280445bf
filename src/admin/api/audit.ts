/** Who changed what: a line for each request that would change something, whatever came of it. */
import { FileDestination, LineSink } from '../../telemetry/line-sink.ts'
import type { Log } from '../../telemetry/log.ts'

export interface AuditEntry {
  /** Name of the key; absent: nobody was admitted. */
  caller: string | undefined
  client: string
  method: string
  /** Below `/apisix/admin`; without the query, which may hold a key. */
  path: string
  status: number
}

export class AuditLog {
  readonly #log: Log
  readonly #file: LineSink | undefined

  /** `path`: of a file of its own; without, entries go to the log of the gateway. */
  constructor(path: string | undefined, log: Log) {
    this.#log = log
    if (path === undefined) return
    this.#file = new LineSink(new FileDestination(path), {
      onError: (err) => log.error({ err, path }, 'entries cannot be written to the audit log'),
      onDrop: (entries) => log.error({ path, entries }, 'entries of the audit log were lost'),
    })
  }

  write(entry: AuditEntry): void {
    if (this.#file === undefined) this.#log.info({ audit: entry }, 'a request to the Admin API')
    else this.#file.write(JSON.stringify({ time: new Date().toISOString(), ...entry }))
  }

  /** After the file was renamed. */
  async reopen(): Promise<void> {
    await this.#file?.reopen()
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }
}
