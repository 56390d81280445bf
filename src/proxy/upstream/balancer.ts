/** Smooth weighted round robin, nginx's algorithm: over a full cycle each endpoint gets its weight, evenly spread. */

/** What the balancer looks at. */
export interface Weighted {
  /** 0 takes no traffic. */
  readonly weight: number
  /** Higher groups first. */
  readonly priority: number
}

export class RoundRobin {
  /** By priority, the highest first. */
  readonly #groups: readonly Group[]

  /** `start` in [0, 1) is where the cycle begins: by chance, so that threads and reloads do not all favour the first. */
  constructor(endpoints: readonly Weighted[], start: number = Math.random()) {
    const members = new Map<number, number[]>()
    endpoints.forEach(({ weight, priority }, index) => {
      if (weight > 0) members.set(priority, [...(members.get(priority) ?? []), index])
    })
    this.#groups = [...members]
      .sort(([a], [b]) => b - a)
      .map(([, indices]) => groupOf(indices, endpoints, start))
  }

  /**
   * Index of the next endpoint; -1 when none takes traffic. One that was tried in this request comes again only when all
   * were, and a lower group only after all of the higher one.
   */
  next(tried: ReadonlySet<number> | null): number {
    for (const group of this.#groups) {
      const index = group.next(tried)
      if (index !== -1) return index
    }
    return this.#groups[0]?.next(null) ?? -1
  }
}

interface Group {
  /** -1 when all were tried. */
  next(tried: ReadonlySet<number> | null): number
}

function groupOf(indices: readonly number[], endpoints: readonly Weighted[], start: number): Group {
  const weights = indices.map((index) => endpoints[index]!.weight)
  if (weights.every((weight) => weight === weights[0])) return new Rotation(indices, start)
  return new SmoothRotation(indices, weights, start)
}

/** Equal weights need no arithmetic. */
class Rotation implements Group {
  readonly #indices: readonly number[]
  #at: number

  constructor(indices: readonly number[], start: number) {
    this.#indices = indices
    this.#at = Math.floor(start * indices.length)
  }

  next(tried: ReadonlySet<number> | null): number {
    const indices = this.#indices
    for (let looked = 0; looked < indices.length; looked++) {
      const index = indices[this.#at]!
      this.#at = this.#at + 1 === indices.length ? 0 : this.#at + 1
      if (tried === null || !tried.has(index)) return index
    }
    return -1
  }
}

/** Everyone earns its weight, the richest is picked and pays what all earned together. */
class SmoothRotation implements Group {
  readonly #indices: readonly number[]
  readonly #weights: readonly number[]
  readonly #current: number[]

  constructor(indices: readonly number[], weights: readonly number[], start: number) {
    this.#indices = indices
    this.#weights = weights
    this.#current = weights.map(() => 0)
    for (let picks = Math.floor(start * indices.length); picks > 0; picks--) this.next(null)
  }

  next(tried: ReadonlySet<number> | null): number {
    let best = -1
    let earned = 0
    for (let i = 0; i < this.#indices.length; i++) {
      if (tried?.has(this.#indices[i]!)) continue
      const weight = this.#weights[i]!
      earned += weight
      this.#current[i]! += weight
      if (best === -1 || this.#current[i]! > this.#current[best]!) best = i
    }
    if (best === -1) return -1
    this.#current[best]! -= earned
    return this.#indices[best]!
  }
}
