/** The configuration that a gateway has from its control plane, and what it has seen of it: verified, kept, and counted. */
import { randomUUID } from 'node:crypto'
import type { Log } from '../telemetry/log.ts'
import type { ConfigurationStore, KeptConfiguration, Marks, Standing } from './kept-configuration.ts'
import { type Bundle, configurationOf, readBundle, verifyBundle } from './protocol/bundle.ts'
import { instant, verifyDelegation } from './protocol/delegation.ts'
import { readDocument } from './protocol/document.ts'
import type { Manifest } from './protocol/manifest.ts'
import { configurationSchema, type ReportedRefusal, type SyncedConfiguration } from './protocol/messages.ts'
import { Refusal } from './protocol/refusal.ts'
import type { Registration } from './registration.ts'
import { readRuntimeConfiguration } from './runtime-configuration.ts'
import type { SyncStatus } from './status.ts'

/** A configuration whose signatures hold, and that nobody has looked at yet. */
export interface Candidate {
  configuration: SyncedConfiguration
  readonly manifest: Manifest
  readonly text: string
  readonly bundle: Bundle
}

export interface HeldOptions {
  registration: Registration
  /** Absent: nothing is kept. */
  store?: ConfigurationStore
  /** Bytes of a configuration. */
  maxSize: number
  log: Log
  /** Milliseconds since 1970. */
  clock: () => number
}

/** Seconds that the time of a control plane may be ahead to count as the time. */
const furthestAhead = 24 * 3600

export class HeldConfiguration {
  readonly #options: HeldOptions
  readonly #log: Log
  readonly #refusals = new Map<string, number>()
  #marks: Marks
  /** In force, or about to be at the start. */
  #held: { text: string; manifest: Manifest } | undefined
  #confirmed = false
  #applying = false
  /** On the disk, what is in force, or about to be, is not in its place yet. */
  #pending: Candidate | 'since the start' | undefined
  #refusal: ReportedRefusal | undefined
  #staleTold = false
  #desired: 'STARTED' | 'STOPPED' = 'STARTED'
  #withoutEffect: readonly string[] = []
  #forwardsLogs = false

  private constructor(options: HeldOptions, marks: Marks) {
    this.#options = options
    this.#log = options.log
    this.#marks = marks
  }

  /** @throws Refusal when what was seen so far was changed or is missing */
  static async open(options: HeldOptions): Promise<HeldConfiguration> {
    const { store, registration } = options
    const instance = randomUUID()
    const none = { keys: '', delegation: 0, version: 0, sha256: '', time: 0 }
    const marks = (await store?.marks(instance)) ?? { ...none, registration: registration.id, instance }
    return new HeldConfiguration(options, marks)
  }

  /** Of this gateway, among the replicas with its registration. */
  get instance(): string {
    return this.#marks.instance
  }

  get version(): number {
    return this.#held?.manifest.version ?? 0
  }

  get manifest(): Manifest | undefined {
    return this.#held?.manifest
  }

  /** Whether the control plane has said since the start that it is still the one. */
  get isConfirmed(): boolean {
    return this.#confirmed
  }

  /** Seconds since 1970. Never before anything that was verified was issued, so that no clock brings it back to life. */
  get now(): number {
    return Math.max(Math.floor(this.#options.clock() / 1000), this.#marks.time)
  }

  /** The runtime configuration asks for the lines of the log. */
  get forwardsLogs(): boolean {
    return this.#forwardsLogs
  }

  get state() {
    const manifest = this.#held?.manifest
    const refusal = this.#refusal
    return {
      configuration: {
        state: this.#stateName(),
        version: this.version,
        ...(manifest && { sha256: manifest.configuration.sha256, expires: manifest.expires }),
        stale: this.#isStale(),
        ...(refusal !== undefined && { refusal }),
      },
      desired_status: this.#desired,
      refusals: Object.fromEntries(this.#refusals),
      without_effect: this.#withoutEffect,
    }
  }

  /**
   * The configuration that was in force last, or that took its place when the gateway was killed; undefined: none was
   * kept, or what was kept is refused.
   */
  async kept(): Promise<SyncedConfiguration | undefined> {
    const next = await this.#load('next')
    if (next !== undefined) this.#pending = 'since the start'
    return next ?? this.#load('configuration')
  }

  /**
   * What was kept cannot be put to work by this version.
   * @returns what was in force before it, if that was kept too
   */
  async earlier(): Promise<SyncedConfiguration | undefined> {
    this.#held = undefined
    if (this.#pending === undefined) return undefined
    this.#pending = undefined
    await this.#options.store?.discard()
    return this.#load('configuration')
  }

  async #load(which: Standing): Promise<SyncedConfiguration | undefined> {
    try {
      const kept = await this.#options.store?.load(this.#marks, which)
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
        which === 'next'
          ? 'THE CONFIGURATION THAT WAS ABOUT TO BE PUT TO WORK IS REFUSED: the one before it is taken'
          : 'THE KEPT CONFIGURATION IS REFUSED: the gateway needs its control plane to start',
      )
      return undefined
    }
  }

  /** The control plane has nothing newer. */
  confirm(): void {
    this.#confirmed ||= this.#held !== undefined
  }

  has({ text, manifest }: Candidate): boolean {
    return text === this.#held?.text && manifest.version === this.#held.manifest.version
  }

  /** Signatures, key, group, versions, times, hash, in this order. @throws Refusal */
  async verify(bytes: Buffer): Promise<Candidate> {
    const { roots, group } = this.#options.registration
    const bundle = readBundle(bytes)
    const { now } = this
    // A document of keys that holds is remembered, whatever becomes of the rest.
    const delegation = verifyDelegation(bundle.delegation, { roots, seen: this.#marks.delegation, now })
    if (delegation.version > this.#marks.delegation) {
      await this.#mark({ keys: bundle.delegation, delegation: delegation.version })
    }
    const { version, sha256 } = this.#marks
    const verified = verifyBundle(bundle, {
      roots,
      group: group.id,
      seen: { delegation: this.#marks.delegation, version, ...(sha256 !== '' && { sha256 }) },
      now,
      maxBytes: this.#options.maxSize,
    })
    const text = configurationOf(verified, this.#held?.text)
    const configuration = readDocument(configurationSchema, text)
    return { configuration, manifest: verified.manifest, text, bundle }
  }

  /** While a configuration is being put to work. It is on the disk before any client sees it. */
  async applying<Value>(candidate: Candidate, work: () => Promise<Value>): Promise<Value> {
    this.#applying = true
    try {
      await this.#prepare(candidate)
      return await work()
    } finally {
      this.#applying = false
    }
  }

  async #prepare(candidate: Candidate): Promise<void> {
    const { store } = this.#options
    try {
      if (this.#pending !== undefined) await store?.adopt()
      this.#pending = undefined
      await store?.prepare(keptForm(candidate))
      this.#pending = candidate
    } catch (err) {
      this.#cannotKeep(err)
    }
  }

  /** It is in force: kept for the next start, first the configuration, then what says that nothing older may follow. */
  async accept(candidate: Candidate): Promise<void> {
    const { manifest, text, configuration } = candidate
    this.#held = { text, manifest }
    this.#note(configuration)
    this.#confirmed = true
    this.#refusal = undefined
    this.#staleTold = false
    // One that was issued in a distant future would make everything after it seem expired.
    const latest = Math.floor(this.#options.clock() / 1000) + furthestAhead
    const time = Math.max(this.#marks.time, Math.min(manifest.issued, latest))
    this.#marks = {
      ...this.#marks,
      version: manifest.version,
      sha256: manifest.configuration.sha256,
      time,
    }
    try {
      const { store } = this.#options
      if (this.#pending === candidate) await store?.adopt()
      else await store?.save(keptForm(candidate))
      this.#pending = undefined
    } catch (err) {
      this.#cannotKeep(err)
      return
    }
    await this.#mark({})
  }

  /** It changes nothing. @param refused what was verified of it */
  async refuse(refusal: ReportedRefusal, refused?: Manifest): Promise<void> {
    this.#refusal = refusal
    this.#count(refusal)
    if (this.#pending !== undefined && this.#pending !== 'since the start') {
      this.#pending = undefined
      await this.#options.store?.discard().catch((err: unknown) => this.#cannotKeep(err))
    }
    const { code, message, findings } = refusal
    this.#log.error(
      {
        code,
        reason: message,
        ...(refused && { refused: refused.version }),
        ...(findings.length > 0 && {
          findings: findings.slice(0, 10).map(({ path, message: text }) => `${path}: ${text}`),
        }),
        version: this.version,
      },
      'CONFIGURATION OF THE CONTROL PLANE REFUSED: the gateway goes on with the one it has',
    )
  }

  /** The control plane gives this gateway a name of its own. */
  async rename(instance: string): Promise<void> {
    if (instance !== this.#marks.instance) await this.#mark({ instance })
  }

  tellStale(): void {
    const manifest = this.#held?.manifest
    if (manifest === undefined || this.#staleTold || !this.#isStale()) return
    this.#staleTold = true
    this.#log.warn(
      { version: manifest.version, expired: instant(manifest.expires) },
      'the configuration in force has expired: the control plane does not confirm it, or somebody keeps its answers away',
    )
  }

  #stateName(): SyncStatus['configuration']['state'] {
    if (this.#applying) return 'applying'
    if (this.#refusal !== undefined) return 'refused'
    if (this.#held === undefined) return 'none'
    return this.#confirmed ? 'applied' : 'kept'
  }

  #isStale(): boolean {
    const manifest = this.#held?.manifest
    return manifest !== undefined && manifest.expires <= this.now
  }

  #note({
    desired_status: desired = 'STARTED',
    runtime_configuration: runtime = {},
  }: SyncedConfiguration): void {
    this.#desired = desired
    const settings = readRuntimeConfiguration(runtime)
    const unused = 'code' in settings ? [] : settings.withoutEffect
    this.#forwardsLogs = !('code' in settings) && settings.forwardLogs
    if (unused.length > 0 && unused.join() !== this.#withoutEffect.join()) {
      this.#log.warn({ fields: unused }, 'fields of the runtime configuration have no effect in this version')
    }
    this.#withoutEffect = unused
  }

  #cannotKeep(err: unknown): void {
    this.#log.error(
      { err },
      'the configuration cannot be kept: a start without the control plane would not have it',
    )
  }

  #count({ code }: ReportedRefusal): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1)
  }

  async #mark(marks: Partial<Marks>): Promise<void> {
    this.#marks = { ...this.#marks, ...marks }
    try {
      await this.#options.store?.saveMarks(this.#marks)
    } catch (err) {
      this.#log.error({ err }, 'what was seen of the control plane cannot be kept')
    }
  }
}

const keptForm = ({ bundle, text }: Candidate): KeptConfiguration => ({
  delegation: bundle.delegation,
  manifest: bundle.manifest,
  configuration: text,
})

/** As a control plane is told. */
export function reported(error: unknown): ReportedRefusal {
  if (error instanceof Refusal) return { code: error.code, message: error.message, findings: [] }
  return { code: 'malformed', message: (error as Error).message, findings: [] }
}
