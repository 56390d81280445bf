/** The endpoint with the fewest requests under way for its weight, this one counted in; of equals, each in turn. */
import {
  type Balancer,
  byPriority,
  type Candidate,
  type Group,
  isWanted,
  pickFromGroups,
} from './balancer.ts'

interface CountedEndpoint extends Candidate {
  /** Requests that all threads have under way there. */
  readonly underWay: number
  /** Share of its weight that it takes, from 0 to 1: less than 1 for a while after it began or came back. */
  readonly warmth: number
}

export class LeastConnections<E extends CountedEndpoint> implements Balancer<E> {
  readonly #groups: readonly Group<E>[]

  constructor(endpoints: readonly E[]) {
    this.#groups = byPriority(endpoints).map((members) => new LeastGroup(members))
  }

  pick(tried: ReadonlySet<E> | null): E | null {
    return pickFromGroups(this.#groups, tried, 0)
  }
}

class LeastGroup<E extends CountedEndpoint> implements Group<E> {
  readonly #members: readonly E[]
  #begin = 0

  constructor(members: readonly E[]) {
    this.#members = members
  }

  next(tried: ReadonlySet<E> | null, onlyUsable: boolean): E | null {
    const members = this.#members
    let best: E | null = null
    let least = Number.POSITIVE_INFINITY
    this.#begin = this.#begin + 1 >= members.length ? 0 : this.#begin + 1
    for (let i = 0; i < members.length; i++) {
      const at = this.#begin + i
      const member = members[at < members.length ? at : at - members.length]!
      if (!isWanted(member, tried, onlyUsable)) continue
      const load = (member.underWay + 1) / (member.weight * member.warmth)
      if (best === null || load < least) {
        least = load
        best = member
      }
    }
    return best
  }
}
