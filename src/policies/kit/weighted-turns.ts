import { inUnits, nginxOrder } from '../../proxy/upstream/balancers/weights.ts'

/** Longest cycle that is worked out beforehand. */
const longestCycle = 65_536
/** Multiples of it, without their whole part, fill any interval evenly. */
const goldenRatio = (Math.sqrt(5) - 1) / 2

/** Weighted turns of whoever takes from one counter: everyone gets its weight, evenly spread; cycles are in nginx's order. */
export class WeightedTurns {
  readonly #weights: readonly number[]
  readonly #take: () => number
  readonly #sum: number
  #cycle: readonly number[] | null = null

  /** @param take gives the next turn, from 0 to 2^31 - 1, and on from 0 */
  constructor(weights: readonly number[], take: () => number) {
    this.#weights = weights
    this.#take = take
    this.#sum = weights.reduce((sum, weight) => sum + weight, 0)
  }

  /** @returns whose turn it is, as an index; -1 when nobody has a weight */
  next(): number {
    if (this.#sum === 0) return -1
    const cycle = this.#cycle ?? this.#begin()
    const turn = this.#take()
    return cycle.length === 0 ? this.#spread(turn) : cycle[turn % cycle.length]!
  }

  #begin(): readonly number[] {
    const units = inUnits(this.#weights)
    const length = units.reduce((sum, count) => sum + count, 0)
    this.#cycle = length > longestCycle ? [] : nginxOrder([...units.keys()], units, length)
    return this.#cycle
  }

  #spread(turn: number): number {
    let rest = ((turn * goldenRatio) % 1) * this.#sum
    for (let index = 0; index < this.#weights.length; index++) {
      rest -= this.#weights[index]!
      if (rest < 0) return index
    }
    return this.#weights.findLastIndex((weight) => weight > 0)
  }
}
