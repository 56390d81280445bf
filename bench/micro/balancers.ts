/**
 * What a pick costs, by way of balancing and number of endpoints, and what the ring of consistent hashing costs to make.
 * Run: node bench/micro/balancers.ts
 */
import type { Exchange } from '../../src/proxy/exchange.ts'
import { createLoadTable, LoadTable } from '../../src/proxy/shared/load-table.ts'
import type { Balancer, Candidate } from '../../src/proxy/upstream/balancers/balancer.ts'
import { ConsistentHash } from '../../src/proxy/upstream/balancers/consistent-hash.ts'
import { Ewma } from '../../src/proxy/upstream/balancers/ewma.ts'
import { HashRing } from '../../src/proxy/upstream/balancers/hash-ring.ts'
import { LeastConnections } from '../../src/proxy/upstream/balancers/least-connections.ts'
import { RoundRobin } from '../../src/proxy/upstream/balancers/round-robin.ts'

const counts = [3, 100, 1000]
const rounds = 5
/** Two threads: the cells are shared, as with any gateway of more than one. */
const table = new LoadTable(createLoadTable(2), 1)

class Node implements Candidate {
  readonly ringId: string
  readonly weight: number
  readonly priority = 0
  readonly usable = true
  readonly underWay = 0
  readonly warmth = 1
  readonly load = table.claim(String(Math.random()))

  constructor(index: number) {
    this.ringId = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:8080`
    this.weight = 1 + (index % 3)
  }
}

const ways: Record<string, (nodes: Node[]) => Balancer<Node>> = {
  roundrobin: (nodes) => new RoundRobin(nodes, () => table.claim(`turns ${nodes.length}`)),
  chash: (nodes) => new ConsistentHash(nodes, ({ id }) => id),
  'chash, bounded': (nodes) => new ConsistentHash(nodes, ({ id }) => id, 125),
  least_conn: (nodes) => new LeastConnections(nodes),
  ewma: (nodes) => new Ewma(nodes),
}

const exchanges = Array.from({ length: 4096 }, (_, n) => ({ id: `client-${n * 7919}` }) as Exchange)

console.log('way              endpoints  ns a pick')
for (const [way, make] of Object.entries(ways)) {
  for (const count of counts) {
    const balancer = make(Array.from({ length: count }, (_, index) => new Node(index)))
    const cost = Math.min(
      ...Array.from({ length: rounds }, () => pick(balancer, 3_000_000 / count + 100_000)),
    )
    console.log(`${way.padEnd(16)} ${String(count).padStart(9)} ${cost.toFixed(0).padStart(10)}`)
  }
}

console.log('\nring             endpoints     points         ms')
for (const count of counts) {
  const nodes = Array.from({ length: count }, (_, index) => new Node(index))
  const begun = performance.now()
  const ring = new HashRing(nodes)
  const taken = performance.now() - begun
  const figures = [count, ring.length, taken.toFixed(1)].map((figure) => String(figure).padStart(10))
  console.log(`${''.padEnd(16)}${figures.join(' ')}`)
}

/** @returns nanoseconds */
function pick(balancer: Balancer<Node>, times: number): number {
  let weight = 0
  const begun = performance.now()
  for (let n = 0; n < times; n++) weight += balancer.pick(null, exchanges[n & 4095]!)!.weight
  const taken = performance.now() - begun
  if (weight === 0) throw new Error('nothing was picked')
  return (taken / times) * 1e6
}
