/**
 * Consistent hashing: the same key goes to the same endpoint. The ring stays as it is while endpoints are out of use;
 * their keys go to the next ones on it and return, all others stay.
 */
import type { Exchange } from '../../exchange.ts'
import type { Balancer, Candidate } from './balancer.ts'
import { crc32 } from './crc32.ts'
import { HashRing, type RingMember } from './hash-ring.ts'
import { byPriority } from './priority.ts'

export class ConsistentHash<E extends Candidate & RingMember> implements Balancer<E> {
  readonly #keyOf: (exchange: Exchange) => string
  readonly #groups: readonly Group<E>[]

  constructor(endpoints: readonly E[], keyOf: (exchange: Exchange) => string) {
    this.#keyOf = keyOf
    this.#groups = byPriority(endpoints).map((members) => new Group(members))
  }

  pick(tried: ReadonlySet<E> | null, exchange: Exchange): E | null {
    const hash = crc32(this.#keyOf(exchange))
    for (const group of this.#groups) {
      const endpoint = group.at(hash, tried, true)
      if (endpoint !== null) return endpoint
    }
    for (const group of this.#groups) {
      const endpoint = group.at(hash, tried, false)
      if (endpoint !== null) return endpoint
    }
    return null
  }
}

class Group<E extends Candidate & RingMember> {
  readonly #members: readonly E[]
  #ring: HashRing | null = null

  constructor(members: readonly E[]) {
    this.#members = members
  }

  at(hash: number, tried: ReadonlySet<E> | null, onlyUsable: boolean): E | null {
    const members = this.#members
    // Made when the first request needs it: of ten thousand upstreams a gateway may use a few.
    this.#ring ??= new HashRing(members)
    const ring = this.#ring
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

function isWanted<E extends Candidate>(
  member: E,
  tried: ReadonlySet<E> | null,
  onlyUsable: boolean,
): boolean {
  return (!onlyUsable || member.usable) && (tried === null || !tried.has(member))
}
