/**
 * The ring of nginx's consistent hash and of Apache APISIX: 160 points for each unit of weight, chained CRC-32 hashes of
 * what identifies an endpoint. Two gateways with the same endpoints place a key on the same one, whatever they are made of.
 */
import { crc32Begin, crc32EndWithWord } from './crc32.ts'
import { inUnits } from './weights.ts'

export interface RingMember {
  /** `host:port`, one character a byte. */
  readonly ringId: string
  readonly weight: number
}

const pointsPerUnit = 160

/** A million points: 8 MiB and some hundred milliseconds. Beyond them, weights are rounded; see `ringUnits`. */
export const mostRingUnits = 6553

export class HashRing {
  /** Places of the points, rising. */
  readonly #places: Uint32Array
  /** Index of the member that each point belongs to. */
  readonly #owners: Uint32Array

  /** Of points at the same place, that of the member that stands first comes first. */
  constructor(members: readonly RingMember[]) {
    const units = ringUnits(members.map(({ weight }) => weight))
    const length = units.reduce((sum, count) => sum + count * pointsPerUnit, 0)
    // Place and owner as one number, 32 and 21 bits of 53: numbers sort without a comparison of ours.
    const points = new Float64Array(length)
    let at = 0
    members.forEach(({ ringId }, owner) => {
      const base = crc32Begin(ringId.replaceAll(':', '\0'))
      let place = 0
      for (let left = units[owner]! * pointsPerUnit; left > 0; left--) {
        place = crc32EndWithWord(base, place)
        points[at++] = place * mostMembers + owner
      }
    })
    points.sort()
    this.#places = new Uint32Array(length)
    this.#owners = new Uint32Array(length)
    for (let i = 0; i < length; i++) {
      const place = Math.floor(points[i]! / mostMembers)
      this.#places[i] = place
      this.#owners[i] = points[i]! - place * mostMembers
    }
  }

  /** Points. */
  get length(): number {
    return this.#places.length
  }

  /** The first point that is not before `hash`, going around; 0 when there is none. */
  find(hash: number): number {
    const places = this.#places
    let low = 0
    let high = places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (places[middle]! < hash) low = middle + 1
      else high = middle
    }
    return low === places.length ? 0 : low
  }

  /** Index of the member that owns a point. */
  ownerOf(point: number): number {
    return this.#owners[point]!
  }
}

const mostMembers = 2 ** 21

/**
 * Weights in units of their greatest common divisor, as in APISIX. Where that would be more than `mostRingUnits`, each is
 * rounded down to its share of them, but to no less than one.
 */
export function ringUnits(weights: readonly number[]): number[] {
  const units = inUnits(weights)
  const total = units.reduce((sum, count) => sum + count, 0)
  if (total <= mostRingUnits) return units
  return units.map((count) => (count === 0 ? 0 : Math.max(1, Math.floor((count * mostRingUnits) / total))))
}
