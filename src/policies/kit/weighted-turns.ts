/** Smooth weighted turns, in nginx's order: in a full cycle everyone gets its weight, evenly spread. */
export class WeightedTurns {
  readonly #weights: readonly number[]
  readonly #earned: number[]
  readonly #sum: number

  constructor(weights: readonly number[]) {
    this.#weights = weights
    this.#earned = weights.map(() => 0)
    this.#sum = weights.reduce((sum, weight) => sum + weight, 0)
  }

  /** @returns whose turn it is, as an index; -1 when nobody has a weight */
  next(): number {
    if (this.#sum === 0) return -1
    const earned = this.#earned
    let best = -1
    for (let i = 0; i < earned.length; i++) {
      if (this.#weights[i] === 0) continue
      earned[i]! += this.#weights[i]!
      if (best === -1 || earned[i]! > earned[best]!) best = i
    }
    earned[best]! -= this.#sum
    return best
  }
}
