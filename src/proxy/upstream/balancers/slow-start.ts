/**
 * Lets endpoints that began or came back take a growing share of the turns that a balancer gives them, where the balancer
 * itself does not weigh that.
 */
import type { Exchange } from '../../exchange.ts'
import type { Balancer, Candidate } from './balancer.ts'

interface WarmingEndpoint extends Candidate {
  /** Share of its turns that it takes, from 0 to 1. */
  readonly warmth: number
  /** Parts of turns that it has taken and not yet used. */
  credit: number
}

export class SlowStart<E extends WarmingEndpoint> implements Balancer<E> {
  readonly #balancer: Balancer<E>

  constructor(balancer: Balancer<E>) {
    this.#balancer = balancer
  }

  pick(tried: ReadonlySet<E> | null, exchange: Exchange): E | null {
    const first = this.#balancer.pick(tried, exchange)
    if (first === null || takesTurn(first)) return first
    const passed = new Set(tried)
    for (let next: E | null = first; next !== null; ) {
      passed.add(next)
      next = this.#balancer.pick(passed, exchange)
      // One that is not usable, or of a lower group, does not step in for one that only has to warm up.
      if (next === null || !next.usable || next.priority !== first.priority) break
      if (takesTurn(next)) return next
    }
    return first
  }
}

function takesTurn(endpoint: WarmingEndpoint): boolean {
  const { warmth } = endpoint
  if (warmth >= 1) return true
  endpoint.credit += warmth
  if (endpoint.credit < 1) return false
  endpoint.credit -= 1
  return true
}
