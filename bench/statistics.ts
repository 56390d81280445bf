/** Median, smallest and largest of a few measurements: enough for rounds, where a mean would hide an outlier. */
export interface Spread {
  median: number
  min: number
  max: number
}

/** Throws a RangeError when there is nothing to summarise. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no values to summarise')
  const sorted = values.toSorted((a, b) => a - b)
  return { median: middle(sorted), min: sorted[0]!, max: sorted.at(-1)! }
}

export function median(values: readonly number[]): number {
  return spread(values).median
}

function middle(sorted: readonly number[]): number {
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}
