/** The configuration of one gateway group, changed by the Admin API of a single gateway. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { hold, remove } from '../admin/api/holding.ts'
import { ResourceCheck, surroundingsIn } from '../admin/api/resource-check.ts'
import { Store } from '../admin/api/store.ts'
import { storedDocument, storedJson } from '../admin/api/stored-document.ts'
import { readTarget } from '../admin/api/target.ts'
import { type ChangeTarget, LiveConfiguration, type Transaction } from '../admin/live-configuration.ts'
import { zonesElsewhere } from '../config/cache-zones.ts'
import { check } from '../config/check.ts'
import { applyInPlace } from '../config/diff.ts'
import type { Loaded } from '../config/load.ts'
import type { Plan, PlanChanges } from '../config/plan.ts'
import type { Catalogue } from '../config/policy-check.ts'
import { formatFinding } from '../config/problem.ts'
import type { Database } from './database.ts'
import { type Authorship, authorshipFact, History, type ResourceChange } from './history.ts'

/** What of a group's settings is sent to its gateways; it has versions like resources. */
export const settingsKind = '$settings'

/** Who is being served, for whatever they change on the way. */
const authorship = new AsyncLocalStorage<Authorship>()

/** Work whose changes are by this author. */
export const as = <T>(by: Authorship, work: () => T): T => authorship.run(by, work)

export interface GroupConfigurationOptions {
  database: Database
  group: string
  catalogue: Catalogue
  /** Of the software. */
  version: string
  /** Seconds since 1970. */
  now: () => number
  /** After each change. */
  onChange: () => void
}

export class GroupConfiguration {
  readonly history: History
  readonly live: LiveConfiguration
  readonly plan: Plan
  readonly #catalogue: Catalogue

  /** @throws Tampered, or an Error with what is wrong with what is kept */
  constructor({ database, group, catalogue, version, now, onChange }: GroupConfigurationOptions) {
    this.#catalogue = catalogue
    this.history = new History({ database, group, now, onChange })
    const store = new Store(this.history)
    const { plan, configuration, findings } = check(noFiles(), catalogue, {
      gatewayVersion: version,
      zones: zonesElsewhere,
      held: storedDocument(store),
    })
    if (plan === undefined || configuration === undefined) {
      const text = findings.map(formatFinding).join('')
      throw new Error(`the configuration of the group ${group} cannot be used any more:\n${text}`)
    }
    this.plan = plan
    this.live = new AuthoredConfiguration(targetOf(plan), store, configuration)
  }

  /** JSON of the `SyncedConfiguration` that gateways would get. */
  synced(): string {
    const { store } = this.live
    const runtime = store.get(settingsKind, 'runtime_configuration')?.value
    const status = store.get(settingsKind, 'desired_status')?.value
    return `{"resources":${storedJson(store)}${runtime === undefined ? '' : `,"runtime_configuration":${runtime}`}${
      status === undefined ? '' : `,"desired_status":${status}`
    }}`
  }

  /** JSON of the resources of the newest version. */
  resources(): Promise<string> {
    return this.live.look(() => storedJson(this.live.store))
  }

  /** The newest version with what gateways would get, from one moment between two changes. */
  newest(): Promise<{ version: number; synced: string }> {
    return this.live.look(() => ({ version: this.history.head, synced: this.synced() }))
  }

  setting(name: 'runtime_configuration' | 'desired_status'): unknown {
    const stored = this.live.store.get(settingsKind, name)
    return stored && JSON.parse(stored.value)
  }

  async set(name: 'runtime_configuration' | 'desired_status', value: unknown): Promise<void> {
    await this.live.run(({ store, writes }) => {
      writes()
      store.put(settingsKind, name, JSON.stringify(value), null)
    })
  }

  /** Makes the configuration what it was after that version. @returns how many resources changed */
  async goBack(version: number): Promise<number> {
    return this.live.run((transaction) => {
      const changes = this.history
        .between(this.history.head, version)
        .filter(({ kind, id }) => kind !== settingsKind || id !== 'desired_status')
      this.#apply(changes, transaction)
      return changes.length
    })
  }

  #apply(changes: readonly ResourceChange[], transaction: Transaction): void {
    const ground = new ResourceCheck({ catalogue: this.#catalogue, zones: zonesElsewhere })
    for (const { kind, id, after } of changes) {
      if (kind === settingsKind) this.#applySetting(id, after, transaction)
      // Its owner may have taken it along.
      else if (after === null && transaction.store.get(kind, id) !== undefined) {
        remove(targetIn(kind, id), transaction)
      }
    }
    for (const { kind, id, after } of changes) {
      if (kind === settingsKind || after === null) continue
      const target = targetIn(kind, id)
      const value = JSON.parse(after) as Record<string, unknown>
      // It was right as a whole; on the way there it need not be.
      const around = {
        ...surroundingsIn(transaction.configuration, target),
        exists: () => true,
        ownersOf: () => [],
        globalRules: () => [],
        conflicts: () => false,
      }
      const checked = ground.check(target, value, around)
      if ('error' in checked) throw new GoneWrong(`${kind} ${id}: ${String(checked.error)}`)
      hold(target, { value, input: checked.input, expires: null }, transaction)
    }
  }

  #applySetting(name: string, after: string | null, { store, writes }: Transaction): void {
    writes()
    if (after === null) store.remove(settingsKind, name)
    else store.put(settingsKind, name, after, null)
  }
}

/** What was right once is not any more, by the rules of this version. */
export class GoneWrong extends Error {}

const noFiles = (): Loaded => ({ documents: [], findings: [] })

const targetIn = (kind: string, id: string) => readTarget([...kind.split('/'), ...id.split('/')])!

/** Nothing runs here: a change only has to fit. */
const targetOf = (plan: Plan): ChangeTarget => ({
  plan,
  async change(changes: PlanChanges) {
    applyInPlace(plan, { ...changes, version: plan.version + 1 })
    return { outcome: 'applied', version: plan.version, changes: {} }
  },
  async apply() {
    return { outcome: 'refused', reason: 'there are no files to read' }
  },
})

/** Tells the store whose change it is, together with the change. */
class AuthoredConfiguration extends LiveConfiguration {
  override run<T>(job: (transaction: Transaction) => T): Promise<T> {
    const by = authorship.getStore()
    if (by === undefined) return super.run(job)
    return super.run((transaction) => {
      let told = false
      const writes: Transaction['writes'] = (undo) => {
        transaction.writes(undo)
        if (told) return
        told = true
        transaction.store.setFact(authorshipFact, JSON.stringify(by))
      }
      return job({ ...transaction, writes })
    })
  }
}
