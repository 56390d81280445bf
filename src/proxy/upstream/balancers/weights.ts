/** Weights divided by their greatest common divisor. */
export function inUnits(weights: readonly number[]): number[] {
  const divisor = weights.reduce(greatestCommonDivisor, 0)
  return weights.map((weight) => (divisor === 0 ? 0 : weight / divisor))
}

/** A cycle in which everyone has its units. Everyone earns its weight, the richest is picked and pays what all earned together. */
export function nginxOrder<E>(members: readonly E[], units: readonly number[], length: number): E[] {
  const earned = units.map(() => 0)
  return Array.from({ length }, () => {
    let best = 0
    for (let i = 0; i < units.length; i++) {
      earned[i]! += units[i]!
      if (earned[i]! > earned[best]!) best = i
    }
    earned[best]! -= length
    return members[best]!
  })
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
