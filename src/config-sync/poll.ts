/** The long poll: asks for configuration over and over, and hands over what holds. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../telemetry/log.ts'
import { Backoff } from './backoff.ts'
import { ConnectionFailure } from './connection.ts'
import { type Candidate, type HeldConfiguration, reported } from './held-configuration.ts'
import { Asked, type Link, Rejected } from './link.ts'
import { bundleMediaType, maxBundleHeadBytes } from './protocol/bundle.ts'
import { paths, type ReportedRefusal } from './protocol/messages.ts'
import { Refusal } from './protocol/refusal.ts'

export interface PollOptions {
  link: Link
  held: HeldConfiguration
  log: Log
  /** Bytes of a configuration. */
  maxSize: number
  /** Milliseconds since 1970. */
  clock: () => number
}

/** What becomes of that which the poll brings. */
export interface PollOutcome {
  /** @returns whether it is in force */
  arrived(candidate: Candidate): Promise<boolean>
  /** It does not hold. */
  refused(refusal: ReportedRefusal): Promise<void>
}

const pollSeconds = 30
const headTimeoutMs = 30_000
const bundleTimeoutMs = 120_000

export class Poll {
  readonly #options: PollOptions
  #current: AbortController | undefined
  /** It waits because the control plane was not reached. */
  #isCutOff = false

  constructor(options: PollOptions) {
    this.#options = options
  }

  /**
   * The control plane's configuration, for a start that has none.
   * @param timeout milliseconds
   * @throws ConnectionFailure or Refusal when there is none in time
   */
  async first(timeout: number): Promise<Candidate> {
    const { link, log, clock } = this.#options
    const { sync, group } = link.registration
    const deadline = clock() + timeout
    const backoff = new Backoff()
    let tried = 0
    for (;;) {
      let failure: unknown
      try {
        const candidate = await this.#fetch(Math.min(pollSeconds, Math.ceil((deadline - clock()) / 1000)))
        if (candidate !== undefined) return candidate
        const reason = `nothing was published for the group ${group.name} yet`
        failure = new ConnectionFailure(sync[0]!, 'empty', reason)
      } catch (error) {
        failure = error
        // Each URL gets its turn before there is a wait.
        if (++tried < link.count && clock() < deadline && !link.ending.aborted) continue
      }
      tried = 0
      const wait = backoff.failed()
      if (link.ending.aborted || clock() + wait >= deadline) throw failure
      log.warn({ reason: (failure as Error).message }, 'there is no configuration to start with yet')
      await sleep(wait, link.ending)
    }
  }

  /** Until the link ends. */
  async run(outcome: PollOutcome): Promise<void> {
    const { link, held } = this.#options
    const backoff = new Backoff()
    let tried = 0
    while (!link.ending.aborted) {
      held.tellStale()
      let wait = 0
      try {
        const candidate = await this.#fetch(pollSeconds)
        const good = candidate === undefined || (await outcome.arrived(candidate))
        if (good) backoff.succeeded()
        else wait = backoff.failed()
        tried = 0
      } catch (error) {
        if (link.ending.aborted) return
        if (error instanceof Asked) continue
        if (error instanceof Refusal) {
          await outcome.refused(reported(error))
          link.skip()
        }
        const asked = error instanceof Rejected ? error.retryAfterMs : 0
        this.#isCutOff = error instanceof ConnectionFailure
        // Each URL gets its turn before there is a wait.
        if (++tried >= link.count || asked > 0) {
          wait = backoff.failed(asked)
          tried = 0
        }
      }
      if (wait > 0) {
        this.#current = new AbortController()
        await sleep(wait, AbortSignal.any([link.ending, this.#current.signal]))
        this.#isCutOff = false
      }
    }
  }

  /** There is news: neither a poll nor a wait goes on. */
  wake(): void {
    this.#current?.abort(new Asked())
  }

  /** The control plane was reached otherwise: whoever waits until it is there again does not go on waiting. */
  contact(): void {
    if (this.#isCutOff) this.wake()
  }

  /** @returns undefined when there is no news. @throws ConnectionFailure, Refusal */
  async #fetch(wait: number): Promise<Candidate | undefined> {
    const { held, log } = this.#options
    const bytes = await this.#ask(wait, false)
    if (bytes === undefined) return undefined
    try {
      return await held.verify(bytes)
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'patch-mismatch') throw error
      log.warn({ reason: error.message }, 'a patch of the configuration does not fit: asking for the whole')
      const whole = await this.#ask(0, true)
      return whole === undefined ? undefined : await held.verify(whole)
    }
  }

  async #ask(wait: number, whole: boolean): Promise<Buffer | undefined> {
    const { link, held, maxSize } = this.#options
    const query = new URLSearchParams({ wait: String(Math.max(0, wait)) })
    if (held.manifest !== undefined) {
      const { version, configuration, issued } = held.manifest
      query.set('version', String(version))
      query.set('sha256', configuration.sha256)
      // What comes from the disk is to be confirmed at once.
      query.set('issued', String(held.isConfirmed ? issued : Math.max(0, issued - 1)))
    }
    if (whole) query.set('whole', '1')
    this.#current = new AbortController()
    const answer = await link.send({
      method: 'GET',
      path: `${paths.configuration}?${query}`,
      headers: { accept: bundleMediaType },
      maxBytes: maxSize + maxBundleHeadBytes,
      headTimeout: wait * 1000 + headTimeoutMs,
      timeout: wait * 1000 + bundleTimeoutMs,
      signal: this.#current.signal,
    })
    if (answer.status !== 204) return answer.body
    held.confirm()
    return undefined
  }
}

const sleep = (ms: number, signal: AbortSignal) =>
  delay(ms, undefined, { signal, ref: false }).catch(() => {})
