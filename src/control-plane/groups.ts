/** Gateway groups: each has a configuration, and publishes it to its gateways. */
import { AdminApi } from '../admin/api/api.ts'
import type { Caller } from '../admin/api/keys.ts'
import { zonesElsewhere } from '../config/cache-zones.ts'
import type { Catalogue } from '../config/policy-check.ts'
import { type Finding, hasErrors } from '../config/problem.ts'
import type { Log } from '../telemetry/log.ts'
import type { Collection, Database } from './database.ts'
import { as, GroupConfiguration } from './group-configuration.ts'
import type { ControlPlaneKeys } from './keys.ts'
import { ofUnknownPolicies, type Preparation } from './preparation.ts'
import { Problem } from './problem.ts'
import { Publisher } from './publisher.ts'

export interface GatewayGroup {
  id: string
  name: string
  description: string
  labels: Record<string, string>
  type: 'api7_gateway'
  /** Changes wait until somebody publishes them. */
  enforce_service_publishing: boolean
  /** Seconds since 1970. */
  created_at: number
  updated_at: number
}

export interface GroupsOptions {
  database: Database
  keys: ControlPlaneKeys
  catalogue: Catalogue
  preparation: Preparation
  log: Log
  version: string
  /** Milliseconds since 1970. */
  clock: () => number
  /** Who asks for this; every request of the Admin API was admitted already. */
  callerOf: (incoming: object) => Caller | undefined
}

/** Milliseconds in which changes gather before they are published together. */
const gatheringMs = 20
/** Milliseconds until a publication that could not be checked is tried again. */
const tryAgainMs = 1000

/** Who signs without being asked. */
const itself = 'the control plane'

export class Group {
  readonly configuration: GroupConfiguration
  readonly publisher: Publisher
  readonly admin: AdminApi
  /** Why the newest change is not published. */
  refused: readonly Finding[] = []
  readonly #log: Log
  readonly #isAutomatic: () => boolean
  readonly #preparation: Preparation
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  /** Publications, one at a time. Never rejects. */
  #publishing: Promise<unknown> = Promise.resolve()

  constructor(id: string, isAutomatic: () => boolean, options: GroupsOptions) {
    const { database, keys, catalogue, preparation, log, version, clock, callerOf } = options
    const now = () => Math.floor(clock() / 1000)
    this.#log = log
    this.#isAutomatic = isAutomatic
    this.#preparation = preparation
    this.configuration = new GroupConfiguration({
      database,
      group: id,
      catalogue,
      version,
      now,
      onChange: () => this.#expectPublication(),
    })
    const { signing, delegation, ownKeys } = keys
    this.publisher = new Publisher({ database, group: id, signing, delegation, ownKeys, preparation, now })
    this.admin = new AdminApi({
      settings: this.configuration.plan.settings.admin,
      live: this.configuration.live,
      catalogue,
      zones: zonesElsewhere,
      ofUnknownPolicies,
      log,
      version,
      now: clock,
      group: id,
      admission: {
        refuseAddress: () => undefined,
        admit: (_, incoming) => {
          const caller = callerOf(incoming)
          return caller === undefined
            ? { answer: { status: 401, body: { error_msg: 'failed to check token' } } }
            : { caller }
        },
      },
      audit: { write() {}, async reopen() {}, async close() {} },
    })
  }

  /** Of the newest change, published or not. */
  get version(): number {
    return this.configuration.history.head
  }

  /**
   * Signs what is there now for the gateways of the group.
   * @returns the version in force, and whether it is another than before
   * @throws Problem 422, with findings
   */
  publish(author: string, message: string): Promise<{ version: number; published: boolean }> {
    const publishing = this.#publishing.then(() => this.#publish(author, message))
    this.#publishing = publishing.catch(() => {})
    return publishing
  }

  /** With findings that are errors it would not be published. @param resources default: those of the newest version */
  async findings(resources?: object): Promise<Finding[]> {
    const asked = resources === undefined ? await this.configuration.resources() : JSON.stringify(resources)
    return this.#preparation.ask('check', { resources: asked })
  }

  /** What changed while nobody published, as a start finds it. */
  async catchUp(): Promise<void> {
    if (
      this.publisher.current === undefined ||
      (this.#isAutomatic() && this.version > this.publisher.highest)
    ) {
      await this.#publishItself()
    }
  }

  async close(): Promise<void> {
    await this.configuration.live.settle()
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#publishing
    await this.admin.close()
  }

  async #publish(author: string, message: string): Promise<{ version: number; published: boolean }> {
    const { configuration, publisher } = this
    if (this.version <= publisher.highest && publisher.current?.version !== publisher.highest) {
      // The same number for something that is signed otherwise would be two truths.
      await as({ author, message: 'signed anew' }, () =>
        configuration.set('desired_status', configuration.setting('desired_status') ?? 'STARTED'),
      )
    }
    const { version, synced } = await configuration.newest()
    const before = publisher.text
    const prepared = await this.#preparation.ask('prepare', {
      configuration: synced,
      ...(before !== undefined && { before }),
    })
    const { findings } = prepared
    if (hasErrors(findings)) {
      this.refused = findings
      throw new Problem(422, 'the configuration has errors, and is not published', {
        more: { findings: findings.slice(0, 100) },
      })
    }
    this.refused = []
    const published = publisher.publish(prepared, { version, author, message })
    return { version: publisher.current!.version, published }
  }

  #expectPublication(afterMs = gatheringMs): void {
    if (this.#isClosed || !this.#isAutomatic() || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#publishItself()
    }, afterMs)
  }

  async #publishItself(): Promise<void> {
    try {
      await this.publish(itself, '')
    } catch (err) {
      const findings = this.refused.filter(({ severity }) => severity === 'error').slice(0, 10)
      this.#log.warn({ err, findings }, 'a change is kept, and not published')
      // What keeps a check from an answer passes; what a check finds does not.
      if (!(err instanceof Problem)) this.#expectPublication(tryAgainMs)
    }
  }
}

export class Groups {
  readonly records: Collection<GatewayGroup>
  readonly #options: GroupsOptions
  readonly #groups = new Map<string, Group>()

  constructor(options: GroupsOptions) {
    this.#options = options
    this.records = options.database.collection('groups')
    for (const { id } of this.records.all()) this.#open(id)
  }

  get(id: string): Group | undefined {
    return this.#groups.get(id)
  }

  all(): Group[] {
    return [...this.#groups.values()]
  }

  /** It begins with a version of nothing, so that its gateways can start. @throws Problem 409 */
  async add(
    group: Omit<GatewayGroup, 'created_at' | 'updated_at' | 'type'>,
    author: string,
  ): Promise<GatewayGroup> {
    if (this.records.all().some(({ id, name }) => id === group.id || name === group.name)) {
      throw new Problem(409, `there is a gateway group ${group.name} already`)
    }
    const time = Math.floor(this.#options.clock() / 1000)
    const record: GatewayGroup = { ...group, type: 'api7_gateway', created_at: time, updated_at: time }
    this.records.put(group.id, record)
    const opened = this.#open(group.id)
    await as({ author, message: 'the group was made' }, () =>
      opened.configuration.set('desired_status', 'STARTED'),
    )
    await opened.publish(author, 'the group was made')
    return record
  }

  update(id: string, changes: Partial<GatewayGroup>): GatewayGroup {
    const before = this.records.get(id)!
    const record = { ...before, ...changes, updated_at: Math.floor(this.#options.clock() / 1000) }
    this.records.put(id, record)
    return record
  }

  /** With its configuration and its history. */
  async remove(id: string): Promise<void> {
    const { database } = this.#options
    const group = this.#groups.get(id)
    this.#groups.delete(id)
    await group?.close()
    database.commit([this.records.change(id, undefined)], () => {
      for (const table of ['drafts', 'facts', 'versions', 'publications']) {
        database.sql.prepare(`DELETE FROM ${table} WHERE group_id = ?`).run(id)
      }
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.all().map((group) => group.close()))
  }

  #open(id: string): Group {
    const group = new Group(
      id,
      () => this.records.get(id)?.enforce_service_publishing === false,
      this.#options,
    )
    this.#groups.set(id, group)
    return group
  }
}
