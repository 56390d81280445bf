/** What a gateway learnt while it ran, beside its configuration: operators may look at how much it is, and clear it. */

/** Kinds of run-time state, with what clearing them means. */
export const stateKinds = {
  /** Rate limit windows: every caller begins anew. */
  limits: 'rate limit windows that are open',
  /** Where balancers stand: turns, loads and latencies. */
  balancers: 'upstreams whose balancers remember something',
  /** Results of active and passive health checks. */
  health: 'endpoints whose health is known',
  /** Circuit breakers and ejections. */
  breakers: 'breakers and ejections that are counting or open',
  /** Answers, keys and names that were kept. */
  caches: 'entries of caches',
  /** Counts that policies made for the metrics endpoint. */
  metrics: 'series of metrics',
} as const

export type StateKind = keyof typeof stateKinds

export const stateKindNames = Object.keys(stateKinds) as StateKind[]

/** How many there are, or were cleared, by kind; a kind that nobody keeps is absent. */
export type StateCounts = Partial<Record<StateKind, number>>

/**
 * The resource that state belongs to, as policies and upstreams know their owners: `route:1`, `service:2`,
 * `upstream:3`, `plugin_config:4`, `consumer_group:5`, `consumer:jack`, `global_rule:6`.
 */
export type StateOwner = string

/** What `clear` is about. */
export interface ClearedState {
  kinds: readonly StateKind[]
  /** Absent: of every resource. State that belongs to none is then left alone. */
  owner?: StateOwner
}

/** Who keeps state of one kind. */
export interface StateKeeper {
  readonly kind: StateKind
  /** Entries that it has now. */
  count(): number
  /** Forgets what belongs to the owner, or everything. @returns how many entries that were */
  clear(owner: StateOwner | undefined): number
}

/** A keeper of state that belongs to no resource, so that clearing one resource leaves it alone. */
export function sharedState(kind: StateKind, count: () => number, clearAll: () => number): StateKeeper {
  return { kind, count, clear: (owner) => (owner === undefined ? clearAll() : 0) }
}

/** The keepers of one thread. */
export class RunTimeState {
  readonly #keepers: StateKeeper[] = []

  add(keeper: StateKeeper): void {
    this.#keepers.push(keeper)
  }

  counts(): StateCounts {
    return total(this.#keepers.map((keeper) => ({ [keeper.kind]: keeper.count() })))
  }

  /** @returns how many entries were cleared */
  clear({ kinds, owner }: ClearedState): StateCounts {
    const meant = this.#keepers.filter(({ kind }) => kinds.includes(kind))
    return total(meant.map((keeper) => ({ [keeper.kind]: keeper.clear(owner) })))
  }
}

/** The sums, by kind. */
export function total(parts: readonly StateCounts[]): StateCounts {
  const sums: StateCounts = {}
  for (const part of parts) {
    for (const kind of stateKindNames) {
      const count = part[kind]
      if (count !== undefined) sums[kind] = (sums[kind] ?? 0) + count
    }
  }
  return sums
}
