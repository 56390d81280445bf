/** The instances of gateways as their heartbeats tell of them. */
import { randomUUID } from 'node:crypto'
import type { Acknowledgement, Heartbeat } from '../config-sync/protocol/index.ts'
import type { Collection, Database } from './database.ts'
import type { Registration } from './registrations.ts'

export const instanceStatuses = ['Healthy', 'OutOfSync', 'LostConnection', 'Offline'] as const
export type InstanceStatus = (typeof instanceStatuses)[number]

export interface Instance {
  id: string
  registration: string
  group: string
  hostname: string
  ip: string
  version: string
  ports: number[]
  cores: number
  /** Requests, since the first heartbeat. */
  calls: number
  runId: string
  /** Seconds since 1970. */
  created: number
  seen: number
  /** In force there; 0: nothing. */
  revision: number
  /** Since when that is not the newest; absent: it is. */
  behind?: number
  sluice?: Heartbeat['sluice']
  /** What became of the last configuration that it was sent. */
  acknowledged?: Pick<Acknowledgement, 'version' | 'outcome' | 'refusal'> & { time: number }
}

/** Seconds. */
const outOfSyncAfter = 30
const lostAfter = 30
const offlineAfter = 2 * 3600
const forgottenAfter = 7 * 24 * 3600
/** Of one registration, so that no gateway fills the memory with inventions. */
const mostInstances = 1000

export class Fleet {
  readonly #database: Database
  readonly #kept: Collection<Instance>
  readonly #instances = new Map<string, Instance>()
  readonly #changed = new Set<string>()
  /** Seconds since 1970. */
  readonly #now: () => number
  /** Newest version of a group; 0: none. */
  readonly #newest: (group: string) => number
  readonly #forgotten: (id: string) => void

  /** @param forgotten is called with each instance that is removed, or was silent for too long */
  constructor(
    database: Database,
    now: () => number,
    newest: (group: string) => number,
    forgotten: (id: string) => void,
  ) {
    this.#database = database
    this.#forgotten = forgotten
    this.#now = now
    this.#newest = newest
    this.#kept = database.collection('instances')
    for (const instance of this.#kept.all()) this.#instances.set(instance.id, { ...instance })
  }

  all(): Instance[] {
    return [...this.#instances.values()]
  }

  get(id: string): Instance | undefined {
    return this.#instances.get(id)
  }

  /** @returns the id that the instance has from now on; undefined: there are too many already */
  heartbeat(registration: Registration, beat: Heartbeat): string | undefined {
    const now = this.#now()
    const known = this.#instances.get(beat.instance_id)
    // An id that another gateway has is no id for this one.
    const id = known === undefined || known.registration === registration.id ? beat.instance_id : randomUUID()
    const before = this.#instances.get(id)
    if (before === undefined && this.#count(registration.id) >= mostInstances) return undefined
    const revision = beat.sluice?.configuration.version ?? beat.control_plane_revision
    const isNewest = revision >= this.#newest(registration.group)
    const instance: Instance = {
      id,
      registration: registration.id,
      group: registration.group,
      hostname: beat.hostname,
      ip: beat.ip,
      version: beat.version,
      ports: [...beat.ports],
      cores: beat.cores,
      calls: (before?.calls ?? 0) + beat.api_calls,
      runId: beat.run_id,
      created: before?.created ?? now,
      seen: now,
      revision,
      ...(!isNewest && { behind: before?.behind ?? now }),
      ...(beat.sluice !== undefined && { sluice: keptPart(beat.sluice) }),
      ...(before?.acknowledged !== undefined && { acknowledged: before.acknowledged }),
    }
    this.#instances.set(id, instance)
    this.#changed.add(id)
    return id
  }

  /** @returns whether an instance that is known says something that it had not said before */
  acknowledge(
    registration: Registration,
    { instance_id: id, version, outcome, refusal }: Acknowledgement,
  ): boolean {
    const instance = this.#instances.get(id)
    if (instance === undefined || instance.registration !== registration.id) return false
    const before = instance.acknowledged
    instance.acknowledged = {
      version,
      outcome,
      time: this.#now(),
      ...(refusal !== undefined && { refusal: shortened(refusal) }),
    }
    if (outcome === 'applied') {
      instance.revision = version
      if (version >= this.#newest(registration.group)) delete instance.behind
    }
    this.#changed.add(id)
    return before?.version !== version || before.outcome !== outcome || before.refusal?.code !== refusal?.code
  }

  status(instance: Instance): InstanceStatus {
    const now = this.#now()
    const silent = now - instance.seen
    if (silent >= offlineAfter) return 'Offline'
    if (silent >= lostAfter) return 'LostConnection'
    const newest = this.#newest(instance.group)
    if (newest === 0 || instance.revision >= newest) return 'Healthy'
    const refused = instance.acknowledged?.outcome === 'refused' && instance.acknowledged.version >= newest
    const state = instance.sluice?.configuration
    if (refused || (state?.state === 'refused' && state.version >= newest)) return 'OutOfSync'
    return now - (instance.behind ?? now) >= outOfSyncAfter ? 'OutOfSync' : 'Healthy'
  }

  /** Of what the instance was sent. */
  configurationState(instance: Instance): 'UP_TO_DATE' | 'APPLYING' | 'REFUSED' | 'NONE' {
    const newest = this.#newest(instance.group)
    if (newest > 0 && instance.revision >= newest) return 'UP_TO_DATE'
    const refused = instance.acknowledged?.outcome === 'refused' && instance.acknowledged.version >= newest
    if (refused || instance.sluice?.configuration.state === 'refused') return 'REFUSED'
    return newest === 0 ? 'NONE' : 'APPLYING'
  }

  remove(id: string): boolean {
    if (!this.#instances.delete(id)) return false
    this.#forgotten(id)
    this.#changed.delete(id)
    if (this.#kept.get(id) !== undefined) this.#kept.remove(id)
    return true
  }

  /** Threads of the instances that are there. */
  cores(): number {
    const now = this.#now()
    return this.all().reduce((sum, { cores, seen }) => sum + (now - seen < lostAfter ? cores : 0), 0)
  }

  /** Forgets who was silent long, and writes what changed; to be called now and then, and at the end. */
  save(): void {
    const now = this.#now()
    const gone = this.all().filter(({ seen }) => now - seen >= forgottenAfter)
    for (const { id } of gone) {
      this.#instances.delete(id)
      this.#changed.delete(id)
      this.#forgotten(id)
    }
    const hour = Math.floor(now / 3600) * 3600
    const cores = this.cores()
    const known = this.#database.sql.prepare('SELECT cores FROM cores WHERE hour = ?').get(hour)
    const isMore = cores > Number(known?.cores ?? 0)
    if (gone.length === 0 && this.#changed.size === 0 && !isMore) return
    this.#database.commit(
      [
        ...gone.map(({ id }) => this.#kept.change(id, undefined)),
        ...[...this.#changed].map((id) => this.#kept.change(id, { ...this.#instances.get(id)! })),
      ],
      () => {
        if (isMore) this.#database.sql.prepare('INSERT OR REPLACE INTO cores VALUES (?, ?)').run(hour, cores)
      },
    )
    this.#changed.clear()
  }

  /** The most threads at once in each hour, the newest first. Times in seconds since 1970. */
  coreUsage(from: number, to: number): { hour: number; cores: number }[] {
    return this.#database.sql
      .prepare('SELECT hour, cores FROM cores WHERE hour >= ? AND hour <= ? ORDER BY hour DESC')
      .all(from, to) as unknown as { hour: number; cores: number }[]
  }

  #count(registration: string): number {
    let count = 0
    for (const instance of this.#instances.values()) if (instance.registration === registration) count++
    return count
  }
}

/** Of what a gateway says, the members that somebody looks at; it may send many others. */
function keptPart({
  configuration: { state, version, sha256, stale, refusal },
  certificate: { serial, not_after },
  status,
  clock_skew,
  started,
}: NonNullable<Heartbeat['sluice']>): Heartbeat['sluice'] {
  return {
    configuration: {
      state,
      version,
      stale,
      ...(sha256 !== undefined && { sha256 }),
      ...(refusal !== undefined && { refusal: shortened(refusal) }),
    },
    certificate: { serial, not_after },
    status,
    clock_skew,
    started,
  }
}

type ReportedRefusal = NonNullable<Acknowledgement['refusal']>

/** Characters of the findings of one refusal; a thousand instances may have one each. */
const mostOfFindings = 16 * 1024

/** The first findings, as far as there is room. */
export function shortened({ code, message, findings }: ReportedRefusal): ReportedRefusal {
  const kept: ReportedRefusal['findings'] = []
  let size = 0
  for (const { code: kind, severity, path, message: text, hint } of findings) {
    size += path.length + text.length + (hint?.length ?? 0)
    if (size > mostOfFindings) break
    kept.push({ code: kind, severity, path, message: text, ...(hint !== undefined && { hint }) })
  }
  return { code, message, findings: kept }
}
