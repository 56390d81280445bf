/** What every way of balancing keeps to, over random endpoints and requests, against the words of the definitions. */
import assert from 'node:assert/strict'
import { afterEach, suite, test } from 'node:test'
import { Random } from '../../../../test/fuzz/random.ts'
import { clock } from '../../clock.ts'
import type { Exchange } from '../../exchange.ts'
import { sharedTime } from '../../shared/clock.ts'
import { LoadCell } from '../../shared/load-table.ts'
import type { Balancer } from './balancer.ts'
import { ConsistentHash } from './consistent-hash.ts'
import { Ewma } from './ewma.ts'
import { LeastConnections } from './least-connections.ts'
import { RoundRobin } from './round-robin.ts'
import { SlowStart } from './slow-start.ts'

class Node {
  readonly ringId: string
  readonly weight: number
  readonly priority: number
  usable = true
  underWay = 0
  warmth = 1
  credit = 0
  readonly load = LoadCell.alone()

  constructor(index: number, weight: number, priority: number) {
    this.ringId = `10.0.0.${index}:80`
    this.weight = weight
    this.priority = priority
  }
}

const roundRobin = (nodes: Node[]) => {
  const turns = new Map<number, LoadCell>()
  return new RoundRobin(nodes, (priority) => {
    if (!turns.has(priority)) turns.set(priority, LoadCell.alone())
    return turns.get(priority)!
  })
}

const ways: Record<string, (nodes: Node[]) => Balancer<Node>> = {
  roundrobin: roundRobin,
  'roundrobin with slow start': (nodes) => new SlowStart(roundRobin(nodes)),
  chash: (nodes) => new ConsistentHash(nodes, ({ id }) => id),
  'chash with bounded loads': (nodes) => new ConsistentHash(nodes, ({ id }) => id, 120),
  least_conn: (nodes) => new LeastConnections(nodes),
  ewma: (nodes) => new Ewma(nodes),
  'ewma with slow start': (nodes) => new SlowStart(new Ewma(nodes)),
}

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

/** The highest priority with a usable endpoint that was not tried, else with any that was not. */
function allowed(nodes: readonly Node[], tried: ReadonlySet<Node>): Node[] {
  const open = nodes.filter((node) => node.weight > 0 && !tried.has(node))
  const usable = open.filter((node) => node.usable)
  const candidates = usable.length > 0 ? usable : open
  const highest = Math.max(...candidates.map(({ priority }) => priority))
  return candidates.filter(({ priority }) => priority === highest)
}

for (const [way, make] of Object.entries(ways)) {
  test(`${way}: never an endpoint that is out of turn, never none while there is one (SEED=${seed})`, () => {
    const random = new Random(seed)
    for (let round = 0; round < 60; round++) {
      const nodes = Array.from(
        { length: random.below(7) },
        (_, index) => new Node(index, random.below(4) * random.below(60), random.below(3)),
      )
      const balancer = make(nodes)
      for (let request = 0; request < 40; request++) {
        for (const node of nodes) {
          node.usable = !random.once(3)
          node.underWay = random.below(10)
          node.warmth = random.once(3) ? random.below(10) / 10 : 1
        }
        const exchange = { id: `key-${random.below(1000)}` } as Exchange
        const tried = new Set<Node>()
        for (;;) {
          const candidates = allowed(nodes, tried)
          const picked = balancer.pick(tried.size === 0 ? null : tried, exchange)
          if (picked === null) {
            assert.equal(candidates.length, 0, `none of ${candidates.length}, round ${round}`)
            break
          }
          assert.ok(candidates.includes(picked), `${picked.ringId} is out of turn, round ${round}`)
          tried.add(picked)
        }
      }
    }
  })
}

suite('shares', () => {
  afterEach(() => clock.tick())

  test(`roundrobin: each its weight over every cycle, also beside others that come and go (SEED=${seed})`, () => {
    const random = new Random(seed)
    for (let round = 0; round < 40; round++) {
      const nodes = Array.from({ length: 2 + random.below(6) }, (_, n) => new Node(n, 1 + random.below(9), 0))
      const balancer = roundRobin(nodes)
      for (const node of nodes) node.usable = !random.once(4)
      const total = nodes.reduce((sum, node) => sum + node.weight, 0)
      const open = nodes.filter((node) => node.usable)
      const taking = open.length > 0 ? open : nodes
      const weight = taking.reduce((sum, node) => sum + node.weight, 0)
      // A cycle has `weight` picks: endpoints that are passed over take none.
      const cycles = 1 + random.below(5)
      const picks = Array.from({ length: weight * cycles }, () => balancer.pick(null))
      for (const node of nodes) {
        const expected = taking.includes(node) ? node.weight * cycles : 0
        assert.equal(picks.filter((pick) => pick === node).length, expected, `round ${round} of ${total}`)
      }
    }
  })

  test(`ewma: each as often as it wins a pair that was drawn by lot (SEED=${seed})`, () => {
    const random = new Random(seed)
    const draws = 20_000
    for (let round = 0; round < 5; round++) {
      const nodes = Array.from({ length: 2 + random.below(5) }, (_, n) => new Node(n, 1, 0))
      const lots = new Random(random.below(2 ** 31))
      const balancer = new Ewma(nodes, () => lots.below(2 ** 30) / 2 ** 30)
      clock.tick()
      for (const node of nodes)
        node.load.setValue(random.below(5) * 10, sharedTime(clock.now) - random.below(20_000))
      const now = sharedTime(clock.now)
      const score = ({ load }: Node) => load.value * Math.exp(-(now - load.time) / 10_000)
      const picks = Array.from({ length: draws }, () => balancer.pick(null)!)
      for (const node of nodes) {
        const others = nodes.filter((other) => other !== node)
        const wins = others.reduce((sum, other) => {
          const difference = score(node) - score(other)
          return sum + (difference < 0 ? 1 : difference > 0 ? 0 : 0.5)
        }, 0)
        const share = wins / ((nodes.length * others.length) / 2)
        const seen = picks.filter((pick) => pick === node).length
        // Six standard deviations.
        const slack = 6 * Math.sqrt(draws * share * (1 - share)) + 1
        assert.ok(
          Math.abs(seen - draws * share) <= slack,
          `${seen} of ${draws}, not ${share}, round ${round}`,
        )
      }
    }
  })
})
