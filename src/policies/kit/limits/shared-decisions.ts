/** Decisions of stores that nodes share, with what happens while the store is absent. */
import { Type } from '../../../config/type.ts'
import type { Counter, PolicyHost } from '../host.ts'
import { type CounterStore, StoreAbsentError } from './counter-store.ts'
import type { StoreUse } from './counter-stores.ts'
import { type RedisConfig, redisTarget } from './redis-target.ts'

/** While the store is absent: requests are refused, pass, or are counted by this node alone. */
export type AbsentStore = 'closed' | 'open' | 'local'

export const absentStore = Type.Optional(
  Type.Enum(['closed', 'open', 'local'], {
    description:
      'What happens while Redis does not answer: 500, no limit, or limits of this node alone. ' +
      'Default: `open` with `allow_degradation`, else `closed`.',
  }),
)

export class SharedDecisions {
  readonly store: CounterStore
  readonly absent: AbsentStore
  readonly #counter: Counter
  readonly #slots: Record<AbsentStore | 'counted', number>

  constructor(name: string, host: Pick<PolicyHost, 'metrics'>, store: CounterStore, absent: AbsentStore) {
    this.store = store
    this.absent = absent
    this.#counter = host.metrics.counter(
      'sluice_shared_limit_decisions_total',
      'Decisions about limits that nodes share: counted by the store, or made without it because it was absent.',
      ['policy', 'decision'],
    )
    const slot = (decision: string) => this.#counter.slot([name, decision])
    this.#slots = {
      counted: slot('counted'),
      closed: slot('closed'),
      open: slot('open'),
      local: slot('local'),
    }
  }

  /**
   * What the store decides; while it is absent what `local` decides, or how the request is to be treated.
   * @throws what is not about the store's absence
   */
  async decide<T>(
    shared: (store: CounterStore) => Promise<T>,
    local: () => T,
  ): Promise<T | 'closed' | 'open'> {
    try {
      const decision = await shared(this.store)
      this.#counter.add(this.#slots.counted, 1)
      return decision
    } catch (error) {
      if (!(error instanceof StoreAbsentError)) throw error
      this.#counter.add(this.#slots[this.absent], 1)
      return this.absent === 'local' ? local() : this.absent
    }
  }
}

/** Undefined for the policy `local`. */
export function sharedDecisions(
  name: string,
  config: RedisConfig & { allow_degradation: boolean; absent_store?: AbsentStore },
  host: Pick<PolicyHost, 'metrics' | 'counterStore'>,
  use: StoreUse = {},
): SharedDecisions | undefined {
  const target = redisTarget(config)
  if (target === undefined) return undefined
  const absent = config.absent_store ?? (config.allow_degradation ? 'open' : 'closed')
  return new SharedDecisions(name, host, host.counterStore(target, use), absent)
}
