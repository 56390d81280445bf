/** Sub-buckets of each power of two; a value is known to within one part in this many. */
const resolution = 64
const resolutionBits = 6
const largest = 2 ** 31 - 1

/** A run of neighbouring values and how many fell into it. Microseconds, both ends included. */
export interface Bucket {
  from: number
  to: number
  count: number
}

/**
 * Latencies in buckets that widen with the value, as HdrHistogram does: fixed memory however long the run,
 * and every percentile exact to 1.6 %. Takes microseconds up to 35 minutes; what is longer counts as that.
 */
export class Histogram {
  readonly #counts = new Float64Array((32 - resolutionBits) * resolution)
  #count = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0

  record(microseconds: number): void {
    const value = Math.min(Math.max(Math.round(microseconds), 0), largest)
    this.#counts[bucketOf(value)]! += 1
    this.#count++
    this.#sum += value
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
  }

  get count(): number {
    return this.#count
  }

  /** Exact; 0 when nothing was recorded. */
  get min(): number {
    return this.#count === 0 ? 0 : this.#min
  }

  /** Exact; 0 when nothing was recorded. */
  get max(): number {
    return this.#max
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count
  }

  /** The smallest value that at least `share` (0 to 1) of all are not above; 0 when nothing was recorded. */
  percentile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.#count))
    let seen = 0
    for (const [index, count] of this.#counts.entries()) {
      seen += count
      if (seen >= rank) return Math.min(upperEnd(index), this.#max)
    }
    return this.#max
  }

  /** Counts by powers of two, from the smallest value's to the largest's; for people to look at. */
  octaves(): Bucket[] {
    const octaves: Bucket[] = []
    for (const [index, count] of this.#counts.entries()) {
      if (count === 0 && (octaves.length === 0 || lowerEnd(index) > this.#max)) continue
      const from = 2 ** Math.floor(Math.log2(Math.max(lowerEnd(index), 1)))
      const last = octaves.at(-1)
      if (last?.from === from) last.count += count
      else octaves.push({ from, to: 2 * from - 1, count })
    }
    return octaves
  }

  /** Every bucket that holds something. */
  *[Symbol.iterator](): Generator<Bucket> {
    for (const [index, count] of this.#counts.entries()) {
      if (count > 0) yield { from: lowerEnd(index), to: upperEnd(index), count }
    }
  }
}

/** The first `resolution` values have a bucket each; from there on each power of two has as many. */
function bucketOf(value: number): number {
  if (value < resolution) return value
  const shift = 31 - Math.clz32(value) - resolutionBits
  return shift * resolution + (value >>> shift)
}

function lowerEnd(index: number): number {
  const shift = shiftOf(index)
  return (index - shift * resolution) * 2 ** shift
}

function upperEnd(index: number): number {
  return lowerEnd(index) + 2 ** shiftOf(index) - 1
}

function shiftOf(index: number): number {
  return Math.max(0, Math.floor(index / resolution) - 1)
}
