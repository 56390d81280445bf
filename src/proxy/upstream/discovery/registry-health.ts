/** How a registry is doing, from what its questions came to. */
import type { Log } from '../../../telemetry/log.ts'

/** In the words of API7. */
export type RegistryState = 'connecting' | 'healthy' | 'lost_connection'

/** A source that changes its mind all the time is written about this often. */
const quietMs = 60_000

export class RegistryHealth {
  readonly #log: Log
  readonly #name: { registry: string; id: string }
  /** Servers, or names of DNS: each with its problem, if it has one. */
  readonly #sources = new Map<string, { problem: string | undefined; loggedAt: number }>()
  failures = 0
  /** Epoch milliseconds; 0: never. */
  lastSuccess = 0

  constructor(type: string, id: string, log: Log) {
    this.#name = { registry: type, id }
    this.#log = log
  }

  get state(): RegistryState {
    if (this.#sources.size === 0) return 'connecting'
    for (const { problem } of this.#sources.values()) if (problem === undefined) return 'healthy'
    return 'lost_connection'
  }

  /** What is wrong now, by source. */
  get problems(): Record<string, string> {
    const failing = [...this.#sources].flatMap(([source, { problem }]) =>
      problem === undefined ? [] : [[source, problem] as const],
    )
    return Object.fromEntries(failing)
  }

  succeeded(source: string): void {
    this.lastSuccess = Date.now()
    const known = this.#sources.get(source)
    if (known?.problem !== undefined) this.#log.info({ ...this.#name, source }, 'registry answers again')
    if (known === undefined) this.#sources.set(source, { problem: undefined, loggedAt: 0 })
    else known.problem = undefined
  }

  /** `problem` is in plain words and holds no secret. */
  failed(source: string, problem: string): void {
    this.failures++
    const known = this.#sources.get(source) ?? { problem: undefined, loggedAt: 0 }
    this.#sources.set(source, known)
    const isNews = known.problem === undefined && Date.now() - known.loggedAt > quietMs
    known.problem = problem
    if (!isNews) return
    known.loggedAt = Date.now()
    this.#log.warn({ ...this.#name, source, problem }, 'registry does not answer, what it said last stands')
  }

  /** Nobody asks this source any more. */
  forget(source: string): void {
    this.#sources.delete(source)
  }
}
