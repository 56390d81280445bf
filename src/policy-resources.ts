/** The resources of the current plan that policies look things up in. */
import type {
  ConsumerSpec,
  ContractSpec,
  PlanChanges,
  PlanDelta,
  PluginConfig,
  ProtoSpec,
  ResourceKind,
  Resources,
} from './config/plan.ts'

/** Without routes and the like, which are the engine's. */
const policyKinds = [
  'consumers',
  'contracts',
  'protos',
  'plugin_metadata',
] as const satisfies readonly ResourceKind[]

type PolicyKind = (typeof policyKinds)[number]
type Held = { [K in PolicyKind]: Map<string, Resources[K]> }
type Listener = (changed: ChangedResources) => void

/** The ids of what was put or removed, by kind; a kind without any is absent. */
export type ChangedResources = ReadonlyMap<ResourceKind, readonly string[]>

export class PolicyResources {
  readonly #listeners: Listener[] = []
  readonly #held: Held = {
    consumers: new Map(),
    contracts: new Map(),
    protos: new Map(),
    plugin_metadata: new Map(),
  }

  consumers(): ReadonlyMap<string, ConsumerSpec> {
    return this.#held.consumers
  }

  contracts(): ReadonlyMap<string, ContractSpec> {
    return this.#held.contracts
  }

  proto(id: string): ProtoSpec | undefined {
    return this.#held.protos.get(id)
  }

  metadata(policy: string): PluginConfig | undefined {
    return this.#held.plugin_metadata.get(policy)?.plugins[policy]
  }

  onChanged(listener: Listener): void {
    this.#listeners.push(listener)
  }

  /**
   * Has `work` see the resources that the delta leads to. When it throws, everything is as it was. The effort is that of
   * the delta, however many resources there are.
   */
  change(delta: PlanDelta, work: () => void): void {
    const { changed, inverse } = this.#swap(delta)
    this.#tell(changed)
    try {
      work()
    } catch (error) {
      this.#swap(inverse)
      this.#tell(changed)
      throw error
    }
  }

  /** `inverse` takes it back. */
  #swap({ put, remove }: PlanChanges): { changed: ChangedResources; inverse: PlanChanges } {
    const inverse: PlanChanges = { put: {}, remove: {} }
    const changed = new Map<ResourceKind, string[]>()
    for (const kind of policyKinds) {
      const map = this.#held[kind] as Map<string, object>
      const removed = remove[kind] ?? []
      const added = (put[kind] ?? []).map((one) => ['username' in one ? one.username : one.id, one] as const)
      const ids = [...removed, ...added.map(([id]) => id)]
      if (ids.length === 0) continue
      changed.set(kind, ids)
      const before = ids.map((id) => map.get(id))
      Object.assign(inverse.put, { [kind]: before.filter((one) => one !== undefined) })
      inverse.remove[kind] = ids.filter((_, index) => before[index] === undefined)
      for (const id of removed) map.delete(id)
      for (const [id, one] of added) map.set(id, one)
    }
    return { changed, inverse }
  }

  #tell(changed: ChangedResources): void {
    if (changed.size === 0) return
    for (const listener of this.#listeners) listener(changed)
  }
}
