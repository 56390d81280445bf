/** An embedded control plane: its keys, its database, and everything that works on them. No sockets. */
import { randomUUID } from 'node:crypto'
import type { Caller } from '../admin/api/keys.ts'
import type { Catalogue } from '../config/policy-check.ts'
import { instant, type RegistrationAnswer } from '../config-sync/protocol/index.ts'
import type { Log } from '../telemetry/log.ts'
import { Accounts, type Principal, type Scope } from './accounts.ts'
import { AuditLog } from './audit-log.ts'
import { Database } from './database.ts'
import { Fleet } from './fleet.ts'
import { type Group, Groups } from './groups.ts'
import type { ControlPlaneKeys } from './keys.ts'
import { type Preparation, preparedHere } from './preparation.ts'
import type { PrivateFolder } from './private-files.ts'
import { Problem } from './problem.ts'
import { Registrations } from './registrations.ts'
import { Telemetry } from './telemetry.ts'

export interface ControlPlaneOptions {
  folder: PrivateFolder
  keys: ControlPlaneKeys
  catalogue: Catalogue
  /** Default: in the thread that asks. */
  preparation?: Preparation
  log: Log
  /** Of the software. */
  version: string
  /** Where gateways find it; set when the ports are known. */
  urls?: RegistrationAnswer['urls']
  /** Milliseconds since 1970. */
  clock?: () => number
}

const file = 'control-plane.db'
const saveEveryMs = 10_000
const refreshEveryMs = 60_000
/** Seconds before the document of keys expires from which on it is told of. */
const tellBefore = 30 * 24 * 3600

export const defaultGroup = 'default'

export class ControlPlane {
  readonly keys: ControlPlaneKeys
  readonly log: Log
  readonly version: string
  readonly catalogue: Catalogue
  readonly accounts: Accounts
  readonly registrations: Registrations
  readonly groups: Groups
  readonly fleet: Fleet
  readonly telemetry: Telemetry
  readonly audit: AuditLog
  readonly organization: string
  readonly environment: string
  readonly database: Database
  urls: RegistrationAnswer['urls']
  readonly #callers = new WeakMap<object, Caller>()
  readonly #closing = new AbortController()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #clock: () => number
  readonly #preparation: Preparation

  /** @throws what stands in the way of its keys or its database */
  constructor(options: ControlPlaneOptions) {
    const { folder, keys, catalogue, log, version, urls, clock = Date.now } = options
    this.keys = keys
    this.log = log
    this.version = version
    this.catalogue = catalogue
    this.#clock = clock
    this.#preparation = options.preparation ?? preparedHere(catalogue, version)
    this.urls = urls ?? { sync: ['https://localhost'], platform: 'https://localhost' }
    this.database = new Database(folder.touch(file), keys.seal)
    const names = this.database.collection<{ organization: string; environment: string }>('names')
    if (names.get('own') === undefined) {
      names.put('own', { organization: randomUUID(), environment: randomUUID() })
    }
    const { organization, environment } = names.get('own')!
    this.organization = organization
    this.environment = environment
    this.accounts = new Accounts(this.database, clock)
    this.audit = new AuditLog(this.database, this.now)
    this.registrations = new Registrations({
      database: this.database,
      authority: keys.authority,
      trustHash: keys.trustHash,
      organization,
      environment,
      now: this.now,
    })
    this.groups = new Groups({
      database: this.database,
      keys,
      catalogue,
      preparation: this.#preparation,
      log,
      version,
      clock,
      callerOf: (incoming) => this.#callers.get(incoming),
    })
    this.telemetry = new Telemetry(this.now)
    this.fleet = new Fleet(
      this.database,
      this.now,
      (group) => this.newestVersion(group),
      (id) => this.telemetry.forget(id),
    )
  }

  /** Seconds since 1970. */
  readonly now = (): number => Math.floor(this.#clock() / 1000)

  /** Aborted when it ends: whoever waits for news is told that there are none. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Nobody was here before: there is no group and no key. */
  get isNew(): boolean {
    return this.groups.records.size === 0
  }

  /** What a new control plane begins with. @returns the first admin key and the token for a first gateway */
  async begin(): Promise<{ key: string; token: string }> {
    await this.groups.add(
      { id: defaultGroup, name: 'default', description: '', labels: {}, enforce_service_publishing: false },
      'the control plane',
    )
    const { key } = this.accounts.addKey({ name: 'first', role: 'admin' })
    const { token } = this.registrations.addToken(defaultGroup, 'the control plane')
    return { key, token }
  }

  /** Publishes what was not, and begins with what has to be done now and then. */
  async start(): Promise<void> {
    for (const group of this.groups.all()) await group.catchUp()
    this.#tellOfExpiry()
    this.#timers.push(
      setInterval(() => this.fleet.save(), saveEveryMs),
      setInterval(() => this.#refresh(), refreshEveryMs),
    )
    for (const timer of this.#timers) timer.unref()
  }

  async close(): Promise<void> {
    if (this.closing.aborted) return
    this.#closing.abort()
    for (const timer of this.#timers) clearInterval(timer)
    await this.groups.close()
    await this.#preparation.close()
    this.fleet.save()
    this.database.close()
  }

  /** In force; 0: none. */
  newestVersion(group: string): number {
    return this.groups.get(group)?.publisher.current?.version ?? 0
  }

  /** @throws Problem 404 */
  groupNamed(id: string): Group {
    const group = this.groups.get(id)
    if (group === undefined) throw new Problem(404, `gateway group not found: ${id}`)
    return group
  }

  /** @throws Problem 404 */
  assertOrganization(id: string): void {
    if (id !== this.organization && id !== 'default') throw new Problem(404, `there is no organization ${id}`)
  }

  /** @throws Problem 404 */
  assertEnvironment(id: string): void {
    if (id !== this.environment && id !== 'default') throw new Problem(404, `there is no environment ${id}`)
  }

  /** @throws Problem 401, 403 */
  demand(principal: Principal | undefined, scope: Scope): void {
    if (principal === undefined) {
      throw new Problem(401, 'no valid access token or key was given', {
        headers: { 'WWW-Authenticate': 'Bearer' },
      })
    }
    if (!principal.scopes.includes(scope)) throw new Problem(403, `the scope ${scope} is missing`)
  }

  /** That the Admin API may serve this request, as this caller. */
  admit(incoming: object, caller: Caller): void {
    this.#callers.set(incoming, caller)
  }

  #refresh(): void {
    for (const group of this.groups.all()) group.publisher.refresh()
    this.#tellOfExpiry()
  }

  #toldOfExpiry = 0

  /** Once a day. */
  #tellOfExpiry(): void {
    const { expires } = this.keys.delegationContents
    const now = this.now()
    if (expires - now > tellBefore || now - this.#toldOfExpiry < 24 * 3600) return
    this.#toldOfExpiry = now
    this.log.warn(
      { expires: instant(expires) },
      'the document of keys expires: gateways take nothing new after that. Run `sluice control-plane --rotate-keys`',
    )
  }
}
