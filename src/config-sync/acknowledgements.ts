/** What became of configurations, told to the control plane until it knows. */

import type { Log } from '../telemetry/log.ts'
import { messageBounds } from './connection.ts'
import { type Link, Rejected } from './link.ts'
import type { Manifest } from './protocol/manifest.ts'
import { type Acknowledgement, paths } from './protocol/messages.ts'

export class Acknowledgements {
  readonly #link: Link
  readonly #log: Log
  /** The last one, when it was not taken yet: nobody asks what became of those before. */
  #pending: Acknowledgement | undefined

  constructor(link: Link, log: Log) {
    this.#link = link
    this.#log = log
  }

  /** @param manifest as far as it was verified */
  tell(
    instance: string,
    outcome: Pick<Acknowledgement, 'outcome' | 'refusal'>,
    manifest?: Manifest,
  ): Promise<void> {
    this.#pending = {
      instance_id: instance,
      version: manifest?.version ?? 0,
      ...(manifest && { sha256: manifest.configuration.sha256 }),
      ...outcome,
    }
    return this.repeat()
  }

  /** Sends the last one again, if it was lost. */
  async repeat(): Promise<void> {
    const body = this.#pending
    if (body === undefined) return
    try {
      await this.#link.send({ method: 'POST', path: paths.acknowledgements, body, ...messageBounds })
    } catch (error) {
      this.#log.debug({ reason: (error as Error).message }, 'an acknowledgement was not taken')
      // One that the control plane does not want will not do better the next time.
      if (!(error instanceof Rejected) || error.mayPass) return
    }
    if (this.#pending === body) this.#pending = undefined
  }
}
