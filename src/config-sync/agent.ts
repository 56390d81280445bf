/**
 * The gateway's side of the connection to its control plane: asks for configuration, verifies what comes, hands it over,
 * keeps what is in force, and reports. Whatever goes wrong here, traffic goes on with what it has.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../telemetry/log.ts'
import { Backoff } from './backoff.ts'
import { lifeOf, renewalDue, warningDue } from './certificate-life.ts'
import {
  Connection,
  ConnectionFailure,
  type ControlPlaneAnswer,
  type ControlPlaneRequest,
} from './connection.ts'
import type { ConfigurationStore, Marks } from './kept-configuration.ts'
import { messageIn, renewOver } from './platform.ts'
import {
  type Bundle,
  bundleMediaType,
  configurationOf,
  maxBundleHeadBytes,
  readBundle,
  verifyBundle,
} from './protocol/bundle.ts'
import { instant, verifyDelegation } from './protocol/delegation.ts'
import { readDocument } from './protocol/document.ts'
import type { Manifest } from './protocol/manifest.ts'
import {
  type Acknowledgement,
  configurationSchema,
  type Heartbeat,
  heartbeatAnswerSchema,
  maxMessageBytes,
  paths,
  type ReportedRefusal,
  type SyncedConfiguration,
} from './protocol/messages.ts'
import { Refusal } from './protocol/refusal.ts'
import { certificateOf, type Registration, replaceCertificate, saveRenewed } from './registration.ts'
import { readRuntimeConfiguration } from './runtime-configuration.ts'
import type { SyncStatus } from './status.ts'

export interface SyncSettings {
  /** Bytes of a configuration. */
  max_size: number
  /** Milliseconds between two heartbeats. */
  heartbeat: number
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

/** A configuration whose signatures hold, and that nobody has looked at yet. */
export interface Candidate {
  configuration: SyncedConfiguration
  readonly manifest: Manifest
  readonly text: string
  readonly bundle: Bundle
}

/** The running gateway. */
export interface FollowedGateway {
  /** Checks it and puts it to work, in all threads or in none. @returns why not; undefined: it is in force */
  take(configuration: SyncedConfiguration): Promise<ReportedRefusal | undefined>
  facts(): { ports: number[]; cores: number /** Since the start. */; requests: number }
}

const pollSeconds = 30
const messageTimeoutMs = 30_000
const bundleTimeoutMs = 120_000
const longestRetryAfterMs = 300_000
const certificateCheckMs = 600_000
/** Seconds that the time of a control plane may be ahead to count as the time. */
const furthestAhead = 24 * 3600
/** Clocks further apart than this are told of. */
const notableSkew = 300

export class SyncAgent {
  readonly #options: AgentOptions
  readonly #log: Log
  readonly #clock: () => number
  readonly #run = randomUUID()
  readonly #ending = new AbortController()
  readonly #refusals = new Map<string, number>()
  #registration: Registration
  #connection: Connection
  #marks: Marks
  /** In force, or about to be at the start. */
  #held: { text: string; manifest: Manifest } | undefined
  #confirmed = false
  #applying = false
  #refusal: ReportedRefusal | undefined
  #connected = false
  #contact = 0
  #failure: string | undefined
  #failures = 0
  #skew = 0
  #skewTold = false
  #staleTold = false
  #warned: number | undefined
  #reported = 0
  #loops: Promise<unknown>[] = []
  #poll: AbortController | undefined
  #newest = 0
  #desired: 'STARTED' | 'STOPPED' = 'STARTED'
  #withoutEffect: readonly string[] = []

  private constructor(options: AgentOptions, marks: Marks) {
    this.#options = options
    this.#registration = options.registration
    this.#log = options.log
    this.#clock = options.clock ?? Date.now
    this.#marks = marks
    this.#connection = this.#connect()
  }

  /** @throws Refusal when what was seen so far was changed or is missing */
  static async open(options: AgentOptions): Promise<SyncAgent> {
    const { store, registration } = options
    const instance = randomUUID()
    const none = { keys: '', delegation: 0, version: 0, sha256: '', time: 0 }
    const marks = (await store?.marks(instance)) ?? { ...none, registration: registration.id, instance }
    return new SyncAgent(options, marks)
  }

  /** The configuration that was in force last; undefined: none was kept, or what was kept is refused. */
  async kept(): Promise<SyncedConfiguration | undefined> {
    try {
      const kept = await this.#options.store?.load(this.#marks)
      if (kept === undefined) return undefined
      const configuration = readDocument(configurationSchema, kept.configuration)
      this.#held = { text: kept.configuration, manifest: kept.contents }
      this.#note(configuration)
      return configuration
    } catch (error) {
      const refusal = reported(error)
      this.#count(refusal)
      this.#log.error(
        { code: refusal.code, reason: refusal.message },
        'THE KEPT CONFIGURATION IS REFUSED: the gateway needs its control plane to start',
      )
      return undefined
    }
  }

  /** What was kept cannot be put to work by this version. */
  forget(): void {
    this.#held = undefined
  }

  /**
   * The control plane's configuration, for a start that has none.
   * @throws ConnectionFailure or Refusal when there is none in time
   */
  async first(): Promise<Candidate> {
    const deadline = this.#clock() + this.#options.settings.start_timeout
    const backoff = new Backoff()
    for (;;) {
      let failure: unknown
      try {
        const candidate = await this.#fetch(
          Math.min(pollSeconds, Math.ceil((deadline - this.#clock()) / 1000)),
        )
        if (candidate !== undefined) return candidate
        failure = new ConnectionFailure(
          this.#registration.sync[0]!,
          'empty',
          `nothing was published for the group ${this.#registration.group.name} yet`,
        )
      } catch (error) {
        failure = error
      }
      const wait = backoff.failed()
      if (this.#ending.signal.aborted || this.#clock() + wait >= deadline) throw failure
      this.#log.warn({ reason: (failure as Error).message }, 'there is no configuration to start with yet')
      await this.#sleep(wait)
    }
  }

  /** What was handed over is in force. */
  async accepted(candidate: Candidate): Promise<void> {
    const { manifest, text, bundle } = candidate
    this.#held = { text, manifest }
    this.#note(candidate.configuration)
    this.#confirmed = true
    this.#refusal = undefined
    this.#staleTold = false
    this.#marks = {
      ...this.#marks,
      version: manifest.version,
      sha256: manifest.configuration.sha256,
      // One that was issued in a distant future would make everything after it seem expired.
      time: Math.max(
        this.#marks.time,
        Math.min(manifest.issued, Math.floor(this.#clock() / 1000) + furthestAhead),
      ),
    }
    await this.#keep({ delegation: bundle.delegation, manifest: bundle.manifest, configuration: text })
    await this.#acknowledge({ outcome: 'applied' }, manifest)
  }

  /** What was handed over is not in force, and changes nothing. */
  async refused(refusal: ReportedRefusal, manifest?: Manifest): Promise<void> {
    this.#refusal = refusal
    this.#count(refusal)
    const { code, message, findings } = refusal
    this.#log.error(
      {
        code,
        reason: message,
        ...(manifest && { refused: manifest.version }),
        ...(findings.length > 0 && {
          findings: findings.slice(0, 10).map(({ path, message: text }) => `${path}: ${text}`),
        }),
        version: this.#held?.manifest.version ?? 0,
      },
      'CONFIGURATION OF THE CONTROL PLANE REFUSED: the gateway goes on with the one it has',
    )
    await this.#acknowledge({ outcome: 'refused', refusal }, manifest)
  }

  /** Follows the control plane until `stop`. */
  follow(gateway: FollowedGateway): void {
    this.#loops = [this.#pollLoop(gateway), this.#heartbeatLoop(gateway), this.#certificateLoop()]
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await Promise.allSettled(this.#loops)
    await this.#connection.close()
  }

  status(): SyncStatus {
    const { id, name, group } = this.#registration
    const certificate = certificateOf(this.#registration)
    const manifest = this.#held?.manifest
    const refusal = this.#refusal
    const state = this.#applying
      ? 'applying'
      : refusal !== undefined
        ? 'refused'
        : manifest === undefined
          ? 'none'
          : this.#confirmed
            ? 'applied'
            : 'kept'
    return {
      registration: { id, name },
      group,
      instance: this.#marks.instance,
      connected: this.#connected,
      last_contact: this.#contact,
      ...(this.#failure !== undefined && { failure: this.#failure }),
      configuration: {
        state,
        version: manifest?.version ?? 0,
        ...(manifest && { sha256: manifest.configuration.sha256, expires: manifest.expires }),
        stale: this.#isStale(),
        ...(refusal !== undefined && { refusal }),
      },
      desired_status: this.#desired,
      certificate: { serial: certificate.serialNumber, not_after: lifeOf(certificate).to },
      clock_skew: this.#skew,
      failures: this.#failures,
      refusals: Object.fromEntries(this.#refusals),
      without_effect: this.#withoutEffect,
    }
  }

  async #pollLoop(gateway: FollowedGateway): Promise<void> {
    const backoff = new Backoff()
    let tried = 0
    while (!this.#ending.signal.aborted) {
      this.#tellStale()
      let wait = 0
      try {
        const candidate = await this.#fetch(pollSeconds)
        const good = candidate === undefined || (await this.#handOver(candidate, gateway))
        if (good) backoff.succeeded()
        else wait = backoff.failed()
        tried = 0
      } catch (error) {
        if (this.#ending.signal.aborted) return
        if (error instanceof Asked) continue
        if (error instanceof Refusal) {
          await this.refused(reported(error))
          this.#connection.skip()
        }
        const asked = error instanceof Rejected ? error.retryAfterMs : 0
        // Each URL gets its turn before there is a wait.
        if (++tried >= this.#connection.count || asked > 0) {
          wait = backoff.failed(asked)
          tried = 0
        }
      }
      if (wait > 0) {
        // News ends the wait as it ends a long poll.
        this.#poll = new AbortController()
        await this.#sleep(wait, this.#poll.signal)
      }
    }
  }

  /** @returns whether it is in force */
  async #handOver(candidate: Candidate, gateway: FollowedGateway): Promise<boolean> {
    if (candidate.text === this.#held?.text && candidate.manifest.version === this.#held.manifest.version) {
      await this.accepted(candidate)
      return true
    }
    this.#applying = true
    const refusal = await gateway.take(candidate.configuration).finally(() => {
      this.#applying = false
    })
    if (refusal === undefined) await this.accepted(candidate)
    else await this.refused(refusal, candidate.manifest)
    return refusal === undefined
  }

  /** @returns undefined when there is no news. @throws ConnectionFailure, Refusal */
  async #fetch(wait: number): Promise<Candidate | undefined> {
    const bytes = await this.#ask(wait, false)
    if (bytes === undefined) return undefined
    try {
      return await this.#open(bytes)
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'patch-mismatch') throw error
      this.#log.warn(
        { reason: error.message },
        'a patch of the configuration does not fit: asking for the whole',
      )
      const whole = await this.#ask(0, true)
      return whole === undefined ? undefined : await this.#open(whole)
    }
  }

  async #ask(wait: number, whole: boolean): Promise<Buffer | undefined> {
    const query = new URLSearchParams({ wait: String(Math.max(0, wait)) })
    if (this.#held !== undefined) {
      const { version, configuration, issued } = this.#held.manifest
      query.set('version', String(version))
      query.set('sha256', configuration.sha256)
      // What comes from the disk is to be confirmed at once.
      query.set('issued', String(this.#confirmed ? issued : Math.max(0, issued - 1)))
    }
    if (whole) query.set('whole', '1')
    this.#poll = new AbortController()
    const answer = await this.#send({
      method: 'GET',
      path: `${paths.configuration}?${query}`,
      headers: { accept: bundleMediaType },
      maxBytes: this.#options.settings.max_size + maxBundleHeadBytes,
      headTimeout: wait * 1000 + messageTimeoutMs,
      timeout: wait * 1000 + bundleTimeoutMs,
      signal: this.#poll.signal,
    })
    if (answer.status === 204) {
      this.#confirmed ||= this.#held !== undefined
      return undefined
    }
    return answer.body
  }

  /** Signatures, key, group, versions, times, hash, in this order. */
  async #open(bytes: Buffer): Promise<Candidate> {
    const { roots, group } = this.#registration
    const bundle = readBundle(bytes)
    const now = this.#now()
    // A document of keys that holds is remembered, whatever becomes of the rest.
    const delegation = verifyDelegation(bundle.delegation, { roots, seen: this.#marks.delegation, now })
    if (delegation.version > this.#marks.delegation) {
      this.#marks = { ...this.#marks, keys: bundle.delegation, delegation: delegation.version }
      await this.#keepMarks()
    }
    const { version, sha256 } = this.#marks
    const verified = verifyBundle(bundle, {
      roots,
      group: group.id,
      seen: { delegation: this.#marks.delegation, version, ...(sha256 !== '' && { sha256 }) },
      now,
      maxBytes: this.#options.settings.max_size,
    })
    const text = configurationOf(verified, this.#held?.text)
    const configuration = readDocument(configurationSchema, text)
    return { configuration, manifest: verified.manifest, text, bundle }
  }

  async #heartbeatLoop(gateway: FollowedGateway): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await this.#heartbeat(gateway)
      await this.#sleep(this.#options.settings.heartbeat)
    }
  }

  async #heartbeat(gateway: FollowedGateway): Promise<void> {
    const { requests, ports, cores } = gateway.facts()
    const { configuration, certificate, desired_status: status, clock_skew: skew, instance } = this.status()
    const { sha256, refusal, state, version, stale } = configuration
    const body: Heartbeat = {
      instance_id: instance,
      run_id: this.#run,
      subsystem: 'http',
      hostname: hostname(),
      ip: '',
      version: this.#options.version,
      ports,
      cores,
      api_calls: requests - this.#reported,
      control_plane_revision: version,
      probe_result: {},
      sluice: {
        configuration: {
          state: state === 'kept' ? 'applied' : state,
          version,
          stale,
          ...(sha256 !== undefined && { sha256 }),
          ...(refusal !== undefined && { refusal }),
        },
        certificate,
        status,
        clock_skew: skew,
        started: Math.floor(performance.timeOrigin / 1000),
      },
    }
    try {
      const answer = await this.#send({ method: 'POST', path: paths.heartbeat, body, ...messageBounds })
      this.#reported = requests
      const { instance_id: id, config } = readDocument(heartbeatAnswerSchema, answer.body)
      if (id !== undefined && id !== this.#marks.instance) {
        this.#marks = { ...this.#marks, instance: id }
        await this.#keepMarks()
      }
      const newest = config?.config_version ?? 0
      // The same number is told of once: a bundle that is refused stays the newest.
      if (newest > version && newest > this.#newest) this.#poll?.abort(new Asked())
      this.#newest = Math.max(this.#newest, newest)
    } catch (error) {
      if (!this.#ending.signal.aborted)
        this.#log.debug({ reason: (error as Error).message }, 'a heartbeat was not taken')
    }
  }

  async #acknowledge(
    outcome: Pick<Acknowledgement, 'outcome' | 'refusal'>,
    manifest?: Manifest,
  ): Promise<void> {
    const body: Acknowledgement = {
      instance_id: this.#marks.instance,
      version: manifest?.version ?? 0,
      ...(manifest && { sha256: manifest.configuration.sha256 }),
      ...outcome,
    }
    try {
      await this.#send({ method: 'POST', path: paths.acknowledgements, body, ...messageBounds })
    } catch (error) {
      this.#log.debug({ reason: (error as Error).message }, 'an acknowledgement was not taken')
    }
  }

  async #certificateLoop(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      this.#warnOfExpiry()
      const life = lifeOf(certificateOf(this.#registration))
      if (this.#options.settings.renew && renewalDue(life, this.#now())) await this.#renew()
      await this.#sleep(certificateCheckMs)
    }
  }

  #warnOfExpiry(): void {
    const life = lifeOf(certificateOf(this.#registration))
    const due = warningDue(life, this.#now())
    if (due === undefined || due === this.#warned) return
    this.#warned = due
    const fields = {
      expires: instant(life.to),
      renew: `sluice registration renew --client-id=ID --client-secret=SECRET --output-directory=new ${this.#options.file ?? 'registration.yaml'}`,
    }
    if (due === 0) {
      this.#log.error(
        fields,
        'THE CERTIFICATE OF THE REGISTRATION HAS EXPIRED: traffic goes on, but no configuration comes any more, and a new gateway with it cannot start',
      )
    } else {
      this.#log.warn(
        { ...fields, days: due },
        `the certificate of the registration expires within ${due} day${due === 1 ? '' : 's'}`,
      )
    }
  }

  async #renew(): Promise<void> {
    try {
      const renewed = await renewOver(this.#connection, this.#registration)
      this.#registration = renewed
      this.#warned = undefined
      const old = this.#connection
      this.#connection = this.#connect()
      this.#poll?.abort(new Asked())
      await old.close()
      this.#log.info(
        { expires: instant(lifeOf(certificateOf(renewed)).to) },
        'the certificate of the registration was renewed',
      )
    } catch (error) {
      this.#log.warn(
        { reason: (error as Error).message },
        'the certificate of the registration could not be renewed yet',
      )
      return
    }
    await this.#keepCertificate()
  }

  /** In place of the old one; or, where that is mounted for reading only, in the gateway's own folder. */
  async #keepCertificate(): Promise<void> {
    const { file, renewedFile } = this.#options
    try {
      if (file !== undefined) {
        await replaceCertificate(file, this.#registration)
        return
      }
    } catch (err) {
      this.#log.info({ err, file, instead: renewedFile }, 'the file of the registration cannot be written')
    }
    try {
      if (renewedFile !== undefined) await saveRenewed(renewedFile, this.#registration)
    } catch (err) {
      this.#log.error({ err }, 'the renewed certificate cannot be written: it is lost with this process')
    }
  }

  /** @throws ConnectionFailure; Rejected for statuses from 300 on */
  async #send(request: ControlPlaneRequest): Promise<ControlPlaneAnswer> {
    const signals = [this.#ending.signal, ...(request.signal === undefined ? [] : [request.signal])]
    const { token } = this.#registration
    const headers = { ...request.headers, ...(token !== undefined && { 'control-plane-token': token }) }
    try {
      const answer = await this.#connection.ask({ ...request, headers, signal: AbortSignal.any(signals) })
      if (answer.status >= 300) throw new Rejected(answer)
      this.#reached(answer)
      return answer
    } catch (error) {
      if (this.#ending.signal.aborted) throw error
      const reason = request.signal?.reason
      if (reason instanceof Asked) throw reason
      this.#unreached(error as Error)
      // A size is what a bundle is refused for, and not only an answer that is missing.
      if (error instanceof ConnectionFailure && error.code === 'too-large')
        throw new Refusal('too-large', error.message)
      throw error
    }
  }

  #reached(answer: ControlPlaneAnswer): void {
    if (!this.#connected) this.#log.info({ url: answer.url }, 'the control plane is reached')
    this.#connected = true
    this.#failure = undefined
    this.#contact = Math.floor(this.#clock() / 1000)
    const date = Date.parse(String(answer.headers.date))
    if (Number.isNaN(date)) return
    this.#skew = Math.round((this.#clock() - date) / 1000)
    if (Math.abs(this.#skew) < notableSkew) this.#skewTold = false
    else if (!this.#skewTold) {
      this.#skewTold = true
      this.#log.warn({ seconds: this.#skew }, 'this clock and the one of the control plane are far apart')
    }
  }

  #unreached(error: Error): void {
    this.#failures++
    const isNew = this.#failure !== error.message
    this.#connected = false
    this.#failure = error.message
    if (isNew) {
      this.#log.warn(
        { reason: error.message, version: this.#held?.manifest.version ?? 0 },
        'the control plane is not reached: the gateway goes on with the configuration that it has',
      )
    }
  }

  #tellStale(): void {
    const manifest = this.#held?.manifest
    if (manifest === undefined || this.#staleTold || !this.#isStale()) return
    this.#staleTold = true
    this.#log.warn(
      { version: manifest.version, expired: instant(manifest.expires) },
      'the configuration in force has expired: the control plane does not confirm it, or somebody keeps its answers away',
    )
  }

  #isStale(): boolean {
    const manifest = this.#held?.manifest
    return manifest !== undefined && manifest.expires <= this.#now()
  }

  /** Seconds since 1970. Never before anything that was verified was issued, so that no clock brings it back to life. */
  #now(): number {
    return Math.max(Math.floor(this.#clock() / 1000), this.#marks.time)
  }

  #note({
    desired_status: desired = 'STARTED',
    runtime_configuration: runtime = {},
  }: SyncedConfiguration): void {
    this.#desired = desired
    const settings = readRuntimeConfiguration(runtime)
    const unused = 'code' in settings ? [] : settings.withoutEffect
    if (unused.length > 0 && unused.join() !== this.#withoutEffect.join()) {
      this.#log.warn({ fields: unused }, 'fields of the runtime configuration have no effect in this version')
    }
    this.#withoutEffect = unused
  }

  #count({ code }: ReportedRefusal): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1)
  }

  /** First the configuration, then what says that nothing older may follow: either alone is sound. */
  async #keep(kept: Parameters<ConfigurationStore['save']>[0]): Promise<void> {
    try {
      await this.#options.store?.save(kept)
    } catch (err) {
      this.#log.error(
        { err },
        'the configuration cannot be kept: a start without the control plane would not have it',
      )
      return
    }
    await this.#keepMarks()
  }

  async #keepMarks(): Promise<void> {
    try {
      await this.#options.store?.saveMarks(this.#marks)
    } catch (err) {
      this.#log.error({ err }, 'what was seen of the control plane cannot be kept')
    }
  }

  async #sleep(ms: number, news?: AbortSignal): Promise<void> {
    const ending = this.#ending.signal
    const signal = news === undefined ? ending : AbortSignal.any([ending, news])
    await delay(ms, undefined, { signal, ref: false }).catch(() => {})
  }

  #connect(): Connection {
    const { sync, ca, certificate, key, serverName } = this.#registration
    const { proxy } = this.#options.settings
    return new Connection({
      urls: sync,
      ca,
      client: { certificate, key },
      ...(proxy !== undefined && { proxy }),
      ...(serverName !== undefined && { serverName }),
    })
  }
}

const messageBounds = { maxBytes: maxMessageBytes, headTimeout: messageTimeoutMs, timeout: messageTimeoutMs }

/** A long poll was given up, because there is something to ask for. */
class Asked extends Error {}

/** The control plane answers with a status that is no success. */
class Rejected extends Error {
  readonly retryAfterMs: number

  constructor({ status, headers, body, url }: ControlPlaneAnswer) {
    super(`${url}: ${messageIn(body) ?? 'no reason is given'} (${status})`)
    const seconds = Number(headers['retry-after'])
    const isTold = (status === 429 || status === 503) && Number.isFinite(seconds) && seconds > 0
    this.retryAfterMs = isTold ? Math.min(longestRetryAfterMs, seconds * 1000) : 0
  }
}

export function reported(error: unknown): ReportedRefusal {
  if (error instanceof Refusal) return { code: error.code, message: error.message, findings: [] }
  return { code: 'malformed', message: (error as Error).message, findings: [] }
}
