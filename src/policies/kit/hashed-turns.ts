/** Turns by a hash of the request, on the ring of nginx and APISIX: the same key goes to the same member. */
import type { Exchange } from '../../proxy/exchange.ts'
import { crc32 } from '../../proxy/upstream/balancers/crc32.ts'
import { HashRing, type RingMember } from '../../proxy/upstream/balancers/hash-ring.ts'
import { compileHashKey } from '../../proxy/upstream/hash-key.ts'

export type HashSource = Parameters<typeof compileHashKey>[0]

export class HashedTurns {
  readonly #members: number
  readonly #ring: HashRing
  readonly #keyOf: (exchange: Exchange) => string

  constructor(members: readonly RingMember[], source: HashSource) {
    this.#members = members.filter(({ weight }) => weight > 0).length
    this.#ring = new HashRing(members)
    this.#keyOf = compileHashKey(source)
  }

  /** The members with a weight, as indices: the one whose key it is, and then those that follow on the ring. */
  order(exchange: Exchange): number[] {
    const order: number[] = []
    const ring = this.#ring
    if (ring.length === 0) return order
    for (let point = ring.find(crc32(this.#keyOf(exchange))); order.length < this.#members; point++) {
      const owner = ring.ownerOf(point % ring.length)
      if (!order.includes(owner)) order.push(owner)
    }
    return order
  }
}

const fieldName = /^[a-zA-Z0-9_-]+$/
const variable =
  /^(?:uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id|arg_[0-9a-zA-Z_-]+)$/

/** What is wrong with it, as one sentence; undefined: nothing. */
export function hashSourceFinding(on: HashSource['on'], key: string | undefined): string | undefined {
  if (on === 'consumer') return undefined
  if (key === undefined) return `\`key\` is needed with hash_on: ${on}`
  const isSound = on === 'vars_combinations' || (on === 'vars' ? variable : fieldName).test(key)
  return isSound ? undefined : `\`${key}\` cannot be the \`key\` with hash_on: ${on}`
}
