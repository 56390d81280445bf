/** Smooth weighted round robin, nginx's algorithm: over a full cycle each endpoint gets its weight, evenly spread. */
import type { Balancer, Candidate } from './balancer.ts'
import { byPriority } from './priority.ts'

export class RoundRobin<E extends Candidate> implements Balancer<E> {
  /** By priority, the highest first. */
  readonly #groups: readonly Group<E>[]

  /** `start` in [0, 1) is where the cycle begins: by chance, so that threads and reloads do not all favour the first. */
  constructor(endpoints: readonly E[], start: number = Math.random()) {
    this.#groups = byPriority(endpoints).map((members) => groupOf(members, start))
  }

  pick(tried: ReadonlySet<E> | null): E | null {
    const groups = this.#groups
    for (let i = 0; i < groups.length; i++) {
      const endpoint = groups[i]!.next(tried, true)
      if (endpoint !== null) return endpoint
    }
    for (let i = 0; i < groups.length; i++) {
      const endpoint = groups[i]!.next(tried, false)
      if (endpoint !== null) return endpoint
    }
    return null
  }
}

interface Group<E> {
  /** Null when it has none that is wanted. */
  next(tried: ReadonlySet<E> | null, onlyUsable: boolean): E | null
}

function groupOf<E extends Candidate>(members: readonly [E, ...E[]], start: number): Group<E> {
  const { weight } = members[0]
  return members.every((member) => member.weight === weight)
    ? new Rotation(members, start)
    : new SmoothRotation(members, start)
}

/** Equal weights need no arithmetic. */
class Rotation<E extends Candidate> implements Group<E> {
  readonly #members: readonly E[]
  #at: number

  constructor(members: readonly E[], start: number) {
    this.#members = members
    this.#at = Math.floor(start * members.length)
  }

  next(tried: ReadonlySet<E> | null, onlyUsable: boolean): E | null {
    const members = this.#members
    for (let looked = 0; looked < members.length; looked++) {
      const member = members[this.#at]!
      this.#at = this.#at + 1 === members.length ? 0 : this.#at + 1
      if ((!onlyUsable || member.usable) && (tried === null || !tried.has(member))) return member
    }
    return null
  }
}

/** Everyone earns its weight, the richest is picked and pays what all earned together. */
class SmoothRotation<E extends Candidate> implements Group<E> {
  readonly #members: readonly E[]
  readonly #current: number[]

  constructor(members: readonly E[], start: number) {
    this.#members = members
    this.#current = members.map(() => 0)
    for (let picks = Math.floor(start * members.length); picks > 0; picks--) this.next(null, false)
  }

  next(tried: ReadonlySet<E> | null, onlyUsable: boolean): E | null {
    const members = this.#members
    const current = this.#current
    let best = -1
    let earned = 0
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (onlyUsable && !member.usable) continue
      if (tried?.has(member)) continue
      earned += member.weight
      current[i]! += member.weight
      if (best === -1 || current[i]! > current[best]!) best = i
    }
    if (best === -1) return null
    current[best]! -= earned
    return members[best]!
  }
}
