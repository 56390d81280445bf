/**
 * Smooth weighted round robin, in nginx's order: over a full cycle each endpoint gets its weight, evenly spread. Turns are
 * shared, so that the cycle is one for all threads.
 */
import {
  type Balancer,
  byPriority,
  type Candidate,
  type Group,
  isWanted,
  pickFromGroups,
} from './balancer.ts'
import { inUnits, nginxOrder } from './weights.ts'

/** Where turns come from: a counter that goes from 0 to 2^31 - 1, and on from 0. */
export interface Turns {
  /** A negative count gives turns back. @returns the first of `count` turns */
  takeTurns(count: number): number
}

export class RoundRobin<E extends Candidate> implements Balancer<E> {
  readonly #groups: readonly Group<E>[]

  /** @param turnsOf the counter of a priority; asked for with the first request that needs it */
  constructor(endpoints: readonly E[], turnsOf: (priority: number) => Turns) {
    this.#groups = byPriority(endpoints).map((members) => groupOf(members, turnsOf))
  }

  pick(tried: ReadonlySet<E> | null): E | null {
    return pickFromGroups(this.#groups, tried, 0)
  }
}

function groupOf<E extends Candidate>(
  members: readonly [E, ...E[]],
  turnsOf: (priority: number) => Turns,
): Group<E> {
  const [{ weight, priority }] = members
  const turns = () => turnsOf(priority)
  if (members.every((member) => member.weight === weight)) return new Cycle(members, turns, () => members)
  const units = inUnits(members.map((member) => member.weight))
  const length = units.reduce((sum, count) => sum + count, 0)
  if (length > longestCycle) return new LongCycle(members)
  const order = length * members.length <= mostSteps ? nginxOrder : evenOrder
  return new Cycle(members, turns, () => order(members, units, length))
}

/** Turns of a cycle that is worked out beforehand, and endpoints looked at for that in nginx's way. */
const longestCycle = 65_536
const mostSteps = 1_000_000

class Cycle<E extends Candidate> implements Group<E> {
  readonly #members: readonly E[]
  readonly #turnsOf: () => Turns
  readonly #cycleOf: () => readonly E[]
  #turns: Turns | null = null
  #cycle: readonly E[] = []

  constructor(members: readonly E[], turnsOf: () => Turns, cycleOf: () => readonly E[]) {
    this.#members = members
    this.#turnsOf = turnsOf
    this.#cycleOf = cycleOf
  }

  next(tried: ReadonlySet<E> | null, onlyUsable: boolean): E | null {
    const turns = this.#turns ?? this.#begin()
    const cycle = this.#cycle
    const turn = turns.takeTurns(1) % cycle.length
    const endpoint = cycle[turn]!
    if (isWanted(endpoint, tried, onlyUsable)) return endpoint
    if (!this.#members.some((member) => isWanted(member, tried, onlyUsable))) {
      turns.takeTurns(-1)
      return null
    }
    let skipped = 1
    while (!isWanted(cycle[(turn + skipped) % cycle.length]!, tried, onlyUsable)) skipped++
    // Whoever is passed over loses its turn, or the one behind it would get both.
    turns.takeTurns(skipped)
    return cycle[(turn + skipped) % cycle.length]!
  }

  #begin(): Turns {
    this.#cycle = this.#cycleOf()
    this.#turns = this.#turnsOf()
    return this.#turns
  }
}

/** Too long to be worked out beforehand: each thread goes through it by itself. */
class LongCycle<E extends Candidate> implements Group<E> {
  readonly #members: readonly E[]
  readonly #earned: Float64Array

  constructor(members: readonly E[]) {
    this.#members = members
    this.#earned = new Float64Array(members.length)
  }

  next(tried: ReadonlySet<E> | null, onlyUsable: boolean): E | null {
    const members = this.#members
    const earned = this.#earned
    let best = -1
    let sum = 0
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (!isWanted(member, tried, onlyUsable)) continue
      sum += member.weight
      earned[i]! += member.weight
      if (best === -1 || earned[i]! > earned[best]!) best = i
    }
    if (best === -1) return null
    earned[best]! -= sum
    return members[best]!
  }
}

/** For many endpoints: everyone's turns stand at equal distances, and the first ones of all at equal distances too. */
function evenOrder<E>(members: readonly E[], units: readonly number[], length: number): E[] {
  // Place and endpoint as one number, so that they sort without a comparison of ours; no list is that long.
  const turns = new Float64Array(length)
  let at = 0
  units.forEach((count, index) => {
    const first = index / units.length
    for (let turn = 0; turn < count; turn++) {
      turns[at++] = Math.floor(((turn + first) / count) * 2 ** 32) * 2 ** 20 + index
    }
  })
  turns.sort()
  return Array.from(turns, (turn) => members[turn % 2 ** 20]!)
}
