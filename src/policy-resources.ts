/** The resources of the current plan that policies look things up in. */
import { applyDelta } from './config/diff.ts'
import type {
  ConsumerSpec,
  ContractSpec,
  Plan,
  PlanDelta,
  PluginConfig,
  ResourceKind,
} from './config/plan.ts'

const policyKinds = ['consumers', 'contracts', 'plugin_metadata'] as const satisfies readonly ResourceKind[]

type Listener = (kinds: ReadonlySet<ResourceKind>) => void

export class PolicyResources {
  readonly #listeners: Listener[] = []
  #plan: Plan | null = null

  consumers(): ReadonlyMap<string, ConsumerSpec> {
    return this.#plan?.consumers ?? new Map()
  }

  contracts(): ReadonlyMap<string, ContractSpec> {
    return this.#plan?.contracts ?? new Map()
  }

  metadata(policy: string): PluginConfig | undefined {
    return this.#plan?.plugin_metadata.get(policy)?.plugins[policy]
  }

  onChanged(listener: Listener): void {
    this.#listeners.push(listener)
  }

  /** Has `work` see the resources that the delta leads to. When it throws, everything is as it was. */
  change(delta: PlanDelta, work: () => void): void {
    const before = this.#plan
    const own = ownPart(delta)
    this.#plan = applyDelta(before, own)
    const kinds = new Set(policyKinds.filter((kind) => own.put[kind] ?? own.remove[kind]))
    if (kinds.size > 0) this.#tell(kinds)
    try {
      work()
    } catch (error) {
      this.#plan = before
      if (kinds.size > 0) this.#tell(kinds)
      throw error
    }
  }

  #tell(kinds: ReadonlySet<ResourceKind>): void {
    for (const listener of this.#listeners) listener(kinds)
  }
}

/** Without routes and the like: those are the engine's, and copying their maps would hold up traffic. */
function ownPart(delta: PlanDelta): PlanDelta {
  const own: PlanDelta = { ...delta, put: {}, remove: {} }
  for (const kind of policyKinds) {
    if (delta.put[kind] !== undefined) Object.assign(own.put, { [kind]: delta.put[kind] })
    if (delta.remove[kind] !== undefined) own.remove[kind] = delta.remove[kind]
  }
  return own
}
