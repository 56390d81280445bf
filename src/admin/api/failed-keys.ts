/** How often a client may be wrong about its key, so that keys cannot be found by trying. */

/** Wrong keys in a row that are forgiven, and how long it takes until one is forgotten, in milliseconds. */
const mostFailures = 20
const forgottenAfterMs = 3000
/** Clients that are kept in mind; of more, those that were wrong longest ago are forgotten. */
const mostClients = 10_000

export class FailedKeys {
  /** When all that a client did wrong is forgotten, in epoch milliseconds, in the order of the last mistake. */
  readonly #clients = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** Seconds until the client may try again; 0: it may now. */
  wait(client: string): number {
    const forgotten = this.#clients.get(client)
    if (forgotten === undefined) return 0
    const excess = forgotten - this.#now() - (mostFailures - 1) * forgottenAfterMs
    return excess <= 0 ? 0 : Math.ceil(excess / 1000)
  }

  add(client: string): void {
    const now = this.#now()
    const forgotten = Math.max(this.#clients.get(client) ?? 0, now) + forgottenAfterMs
    this.#clients.delete(client)
    this.#clients.set(client, forgotten)
    if (this.#clients.size > mostClients) this.#clients.delete(this.#clients.keys().next().value!)
  }
}
