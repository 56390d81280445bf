/** What every way of balancing has in common. Each is a file of this folder; an upstream has one of them. */
import type { Exchange } from '../../exchange.ts'

/** What a balancer looks at. */
export interface Candidate {
  /** 0 takes no traffic. */
  readonly weight: number
  /** Higher groups first. */
  readonly priority: number
  /** False while it is known to fail. */
  readonly usable: boolean
}

export interface Balancer<E extends Candidate> {
  /**
   * The endpoint for the next attempt of a request; null when all that take traffic were tried. One that is not usable
   * comes only when no other is left, and a lower group only after all of the higher one.
   */
  pick(tried: ReadonlySet<E> | null, exchange: Exchange): E | null
}
