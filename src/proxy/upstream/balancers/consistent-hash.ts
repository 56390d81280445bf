/**
 * Consistent hashing: the same key goes to the same endpoint. The ring stays as it is while endpoints are out of use;
 * their keys go to the next ones on it and return, all others stay.
 */
import type { Exchange } from '../../exchange.ts'
import {
  type Balancer,
  byPriority,
  type Candidate,
  type Group,
  isWanted,
  pickFromGroups,
} from './balancer.ts'
import { crc32 } from './crc32.ts'
import { HashRing, type RingMember } from './hash-ring.ts'

interface RingEndpoint extends Candidate, RingMember {
  /** Requests that all threads have under way there. */
  readonly underWay: number
}

export class ConsistentHash<E extends RingEndpoint> implements Balancer<E> {
  readonly #keyOf: (exchange: Exchange) => string
  readonly #groups: readonly Group<E>[]

  /**
   * @param balanceFactor bounds the load: no endpoint has more under way than this many percent of what its weight is of
   *   all that is under way; what is beyond goes on along the ring. 0: no bound
   */
  constructor(endpoints: readonly E[], keyOf: (exchange: Exchange) => string, balanceFactor = 0) {
    this.#keyOf = keyOf
    this.#groups = byPriority(endpoints).map((members) => {
      const ring = new RingGroup(members)
      return balanceFactor === 0 ? ring : new BoundedGroup(members, ring, balanceFactor / 100)
    })
  }

  pick(tried: ReadonlySet<E> | null, exchange: Exchange): E | null {
    return pickFromGroups(this.#groups, tried, crc32(this.#keyOf(exchange)))
  }
}

class RingGroup<E extends RingEndpoint> implements Group<E> {
  readonly #members: readonly E[]
  #made: HashRing | null = null

  constructor(members: readonly E[]) {
    this.#members = members
  }

  /** Made when the first request needs it: of ten thousand upstreams a gateway may use a few. */
  get ring(): HashRing {
    this.#made ??= new HashRing(this.#members)
    return this.#made
  }

  next(tried: ReadonlySet<E> | null, onlyUsable: boolean, hash: number): E | null {
    const { ring } = this
    const members = this.#members
    const start = ring.find(hash)
    const first = members[ring.ownerOf(start)]!
    if (isWanted(first, tried, onlyUsable)) return first
    if (!members.some((member) => isWanted(member, tried, onlyUsable))) return null
    for (let point = start + 1; ; point++) {
      const member = members[ring.ownerOf(point % ring.length)]!
      if (isWanted(member, tried, onlyUsable)) return member
    }
  }
}

/** Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016). */
class BoundedGroup<E extends RingEndpoint> implements Group<E> {
  readonly #members: readonly E[]
  readonly #plain: RingGroup<E>
  readonly #factor: number

  constructor(members: readonly E[], plain: RingGroup<E>, factor: number) {
    this.#members = members
    this.#plain = plain
    this.#factor = factor
  }

  next(tried: ReadonlySet<E> | null, onlyUsable: boolean, hash: number): E | null {
    const members = this.#members
    let underWay = 1
    let weight = 0
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (onlyUsable && !member.usable) continue
      underWay += member.underWay
      weight += member.weight
    }
    if (weight === 0) return null
    const allowed = (this.#factor * underWay) / weight
    const { ring } = this.#plain
    const start = ring.find(hash)
    const first = members[ring.ownerOf(start)]!
    if (isWanted(first, tried, onlyUsable) && hasRoom(first, allowed)) return first
    const isOpen = (member: E) => isWanted(member, tried, onlyUsable) && hasRoom(member, allowed)
    // Those with room may all have been tried: then the bound gives way, not the request.
    if (!members.some(isOpen)) return this.#plain.next(tried, onlyUsable, hash)
    for (let point = start + 1; ; point++) {
      const member = members[ring.ownerOf(point % ring.length)]!
      if (isOpen(member)) return member
    }
  }
}

/** @param allowed requests under way for each unit of weight */
function hasRoom({ underWay, weight }: RingEndpoint, allowed: number): boolean {
  return underWay + 1 <= Math.ceil(allowed * weight)
}
