import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Exchange } from '../../exchange.ts'
import type { Candidate } from './balancer.ts'
import { ConsistentHash } from './consistent-hash.ts'
import { crc32 } from './crc32.ts'
import { HashRing } from './hash-ring.ts'

interface Node extends Candidate {
  ringId: string
  usable: boolean
  underWay: number
}

function nodes(count: number, priority = 0): Node[] {
  return Array.from({ length: count }, (_, n) => ({
    ringId: `10.0.${priority}.${n}:80`,
    weight: 1,
    priority,
    usable: true,
    underWay: 0,
  }))
}

const keyed = (id: string) => ({ id }) as Exchange
const balancer = (list: Node[]) => new ConsistentHash(list, ({ id }) => id)
const keys = Array.from({ length: 200 }, (_, n) => `k${n}`)

/** Owners of the points from the key's on, each once, in the order in which they come. */
function clockwise(list: Node[], key: string): Node[] {
  const ring = new HashRing(list)
  const start = ring.find(crc32(key))
  const owners = Array.from({ length: ring.length }, (_, n) => list[ring.ownerOf((start + n) % ring.length)]!)
  return [...new Set(owners)]
}

suite('consistent hashing', () => {
  test('gives a key the same endpoint every time', () => {
    const hash = balancer(nodes(5))
    for (const key of keys) assert.equal(hash.pick(null, keyed(key)), hash.pick(null, keyed(key)))
  })

  test('tries the endpoints in the order of the ring, each once', () => {
    const list = nodes(6)
    const hash = balancer(list)
    for (const key of keys) {
      const tried = new Set<Node>()
      for (let next = hash.pick(tried, keyed(key)); next !== null; next = hash.pick(tried, keyed(key))) {
        tried.add(next)
      }
      assert.deepEqual([...tried], clockwise(list, key))
    }
  })

  test('keeps every other key in place while an endpoint is not usable, and gives it its own back', () => {
    const list = nodes(5)
    const hash = balancer(list)
    const before = keys.map((key) => hash.pick(null, keyed(key)))
    list[2]!.usable = false
    keys.forEach((key, n) => {
      const expected = before[n] === list[2] ? clockwise(list, key)[1] : before[n]
      assert.equal(hash.pick(null, keyed(key)), expected)
    })
    list[2]!.usable = true
    assert.deepEqual(
      keys.map((key) => hash.pick(null, keyed(key))),
      before,
    )
  })

  test('uses all where none is usable', () => {
    const list = nodes(4)
    const hash = balancer(list)
    const before = keys.map((key) => hash.pick(null, keyed(key)))
    for (const node of list) node.usable = false
    assert.deepEqual(
      keys.map((key) => hash.pick(null, keyed(key))),
      before,
    )
  })

  test('has a ring for each priority, the lower after the higher', () => {
    const [high, low] = [nodes(2, 1), nodes(2, 0)]
    const hash = balancer([...low, ...high])
    for (const key of keys) {
      const [a, b] = clockwise(high, key)
      const [c, d] = clockwise(low, key)
      const tried = new Set<Node>()
      for (const expected of [a!, b!, c!, d!]) {
        assert.equal(hash.pick(tried, keyed(key)), expected)
        tried.add(expected)
      }
      assert.equal(hash.pick(tried, keyed(key)), null)
    }
  })

  test('never picks weight 0, and nothing when there is nothing else', () => {
    const [idle, busy] = nodes(2) as [Node, Node]
    const hash = balancer([{ ...idle, weight: 0 }, busy])
    for (const key of keys) assert.equal(hash.pick(null, keyed(key)), busy)
    assert.equal(balancer([{ ...idle, weight: 0 }]).pick(null, keyed('a')), null)
    assert.equal(balancer([]).pick(null, keyed('a')), null)
  })
})

suite('bounded loads', () => {
  test('leave keys where they are as long as the load is even', () => {
    const list = nodes(5)
    const plain = balancer(list)
    const bounded = new ConsistentHash(list, ({ id }) => id, 150)
    for (const key of keys) assert.equal(bounded.pick(null, keyed(key)), plain.pick(null, keyed(key)))
  })

  test('never let an endpoint have more than its share times the factor under way', () => {
    for (const factor of [101, 125, 200]) {
      const list = nodes(6).map((node, n) => ({ ...node, weight: 1 + (n % 3) }))
      const weight = list.reduce((sum, node) => sum + node.weight, 0)
      const hash = new ConsistentHash(list, ({ id }) => id, factor)
      for (let total = 1; total <= 600; total++) {
        // Everybody asks for the same two keys.
        const node = hash.pick(null, keyed(`hot-${total % 2}`))!
        node.underWay++
        const bound = Math.ceil((factor / 100) * total * (node.weight / weight))
        assert.ok(node.underWay <= bound, `${factor}: ${node.underWay} of ${total} under way, not ${bound}`)
      }
    }
  })

  test('send what is beyond the bound to the next on the ring', () => {
    const list = nodes(4)
    const hash = new ConsistentHash(list, ({ id }) => id, 150)
    for (const key of keys) {
      const [first, second, ...others] = clockwise(list, key)
      for (const node of list) node.underWay = 0
      for (const node of others) node.underWay = 10
      first!.underWay = 20
      assert.equal(hash.pick(null, keyed(key)), second)
    }
  })

  test('count only endpoints that are usable, and give way when those with room were tried', () => {
    const list = nodes(4)
    const hash = new ConsistentHash(list, ({ id }) => id, 120)
    for (const node of list) node.underWay = 10
    list[0]!.usable = false
    list[1]!.usable = false
    list[2]!.underWay = 30
    for (const key of keys) {
      assert.equal(hash.pick(null, keyed(key)), list[3])
      assert.equal(hash.pick(new Set([list[3]!]), keyed(key)), list[2])
    }
  })
})
