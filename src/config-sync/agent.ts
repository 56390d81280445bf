/**
 * The gateway's side of the connection to its control plane: asks for configuration, verifies what comes, hands it over,
 * keeps what is in force, and reports. Whatever goes wrong here, traffic goes on with what it has.
 */
import type { Log } from '../telemetry/log.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { lifeOf } from './certificate-life.ts'
import { CertificateRenewal } from './certificate-renewal.ts'
import { type GatewayFacts, Heartbeats } from './heartbeats.ts'
import { type Candidate, HeldConfiguration } from './held-configuration.ts'
import type { ConfigurationStore } from './kept-configuration.ts'
import { Link } from './link.ts'
import { Poll } from './poll.ts'
import type { Manifest } from './protocol/manifest.ts'
import type { HealthReport, ReportedRefusal, SyncedConfiguration } from './protocol/messages.ts'
import { certificateOf, type Registration } from './registration.ts'
import type { SyncStatus } from './status.ts'
import { Uploads } from './uploads.ts'

export interface SyncSettings {
  /** Bytes of a configuration. */
  max_size: number
  /** Milliseconds between two heartbeats. */
  heartbeat: number
  /** Milliseconds between two uploads of metrics; 0: none, and none of the health of upstreams. */
  telemetry: number
  /** Whether the certificate is renewed without anybody asking. */
  renew: boolean
  /** Milliseconds that a start without a kept configuration waits for a control plane. */
  start_timeout: number
  /** URL. */
  proxy?: string
}

export interface AgentOptions {
  registration: Registration
  /** File of the registration, where it has one. */
  file?: string
  /** Where a renewed certificate goes when that file cannot be written. */
  renewedFile?: string
  /** Absent: nothing is kept. */
  store?: ConfigurationStore
  settings: SyncSettings
  log: Log
  version: string
  /** Milliseconds since 1970. */
  clock?: () => number
}

/** The running gateway. */
export interface FollowedGateway {
  /** Checks it and puts it to work, in all threads or in none. @returns why not; undefined: it is in force */
  take(configuration: SyncedConfiguration): Promise<ReportedRefusal | undefined>
  facts(): GatewayFacts
  /** In the text format of Prometheus. */
  metrics(): Promise<string>
  /** Of the nodes of upstreams that are watched. */
  health(): HealthReport['data']
  /** Hands over every line of the gateway's log. */
  followLog(listener: (line: string) => void): void
}

export class SyncAgent {
  readonly #options: AgentOptions
  readonly #link: Link
  readonly #held: HeldConfiguration
  readonly #poll: Poll
  readonly #acknowledgements: Acknowledgements
  #loops: Promise<unknown>[] = []

  private constructor(options: AgentOptions, clock: () => number, held: HeldConfiguration) {
    const { registration, settings, log } = options
    this.#options = options
    this.#held = held
    const { proxy } = settings
    this.#link = new Link({ registration, log, clock, ...(proxy !== undefined && { proxy }) })
    this.#poll = new Poll({ link: this.#link, held, log, clock, maxSize: settings.max_size })
    this.#acknowledgements = new Acknowledgements(this.#link, log)
  }

  /** @throws Refusal when what was seen so far was changed or is missing */
  static async open(options: AgentOptions): Promise<SyncAgent> {
    const { store, registration, settings, log, clock = Date.now } = options
    const held = await HeldConfiguration.open({
      registration,
      log,
      clock,
      maxSize: settings.max_size,
      ...(store !== undefined && { store }),
    })
    return new SyncAgent(options, clock, held)
  }

  /** The configuration that was in force last; undefined: none was kept, or what was kept is refused. */
  kept(): Promise<SyncedConfiguration | undefined> {
    return this.#held.kept()
  }

  /**
   * What was kept cannot be put to work by this version.
   * @returns what was in force before it, if that was kept too
   */
  earlier(): Promise<SyncedConfiguration | undefined> {
    return this.#held.earlier()
  }

  /**
   * The control plane's configuration, for a start that has none.
   * @throws ConnectionFailure or Refusal when there is none in time
   */
  first(): Promise<Candidate> {
    return this.#poll.first(this.#options.settings.start_timeout)
  }

  /** What was handed over is in force. */
  async accepted(candidate: Candidate): Promise<void> {
    await this.#held.accept(candidate)
    await this.#acknowledgements.tell(this.#held.instance, { outcome: 'applied' }, candidate.manifest)
  }

  /** What was handed over is not in force, and changes nothing. */
  async refused(refusal: ReportedRefusal, manifest?: Manifest): Promise<void> {
    await this.#held.refuse(refusal, manifest)
    await this.#acknowledgements.tell(this.#held.instance, { outcome: 'refused', refusal }, manifest)
  }

  /** Follows the control plane until `stop`. */
  follow(gateway: FollowedGateway): void {
    const { settings, log, version, file, renewedFile, clock = Date.now } = this.#options
    const link = this.#link
    const held = this.#held
    const wake = () => this.#poll.wake()
    const known = Promise.withResolvers<void>()
    link.ending.addEventListener('abort', () => known.resolve())
    const heartbeats = new Heartbeats({
      link,
      held,
      log,
      version,
      every: settings.heartbeat,
      status: () => this.status(),
      facts: () => gateway.facts(),
      news: wake,
      answered: () => {
        known.resolve()
        this.#poll.contact()
        return this.#acknowledgements.repeat()
      },
    })
    const uploads = new Uploads({
      link,
      log,
      every: settings.telemetry,
      clock,
      instance: () => held.instance,
      metrics: () => gateway.metrics(),
      health: () => gateway.health(),
    })
    gateway.followLog((line) => {
      if (held.forwardsLogs) uploads.take(line)
    })
    const renewal = new CertificateRenewal({
      link,
      log,
      isOn: settings.renew,
      ...(file !== undefined && { file }),
      ...(renewedFile !== undefined && { renewedFile }),
      now: () => held.now,
      renewed: wake,
    })
    const poll = this.#poll.run({
      arrived: (candidate) => this.#handOver(candidate, gateway),
      refused: (refusal) => this.refused(refusal),
    })
    this.#loops = [poll, heartbeats.run(), uploads.run(known.promise), renewal.run()]
  }

  async stop(): Promise<void> {
    this.#link.end()
    await Promise.allSettled(this.#loops)
    await this.#link.close()
  }

  status(): SyncStatus {
    const { registration, standing } = this.#link
    const { id, name, group } = registration
    const certificate = certificateOf(registration)
    return {
      registration: { id, name },
      group,
      instance: this.#held.instance,
      certificate: { serial: certificate.serialNumber, not_after: lifeOf(certificate).to },
      ...standing,
      ...this.#held.state,
    }
  }

  /** @returns whether it is in force */
  async #handOver(candidate: Candidate, gateway: FollowedGateway): Promise<boolean> {
    if (this.#held.has(candidate)) {
      await this.accepted(candidate)
      return true
    }
    const refusal = await this.#held.applying(candidate, () => gateway.take(candidate.configuration))
    if (refusal === undefined) await this.accepted(candidate)
    else await this.refused(refusal, candidate.manifest)
    return refusal === undefined
  }
}
