import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Candidate } from './balancer.ts'
import { RoundRobin } from './round-robin.ts'

interface Node extends Candidate {
  index: number
  usable: boolean
}

function nodes(...weights: number[]): Node[] {
  return weights.map((weight, index) => ({ index, weight, priority: 0, usable: true }))
}

function picks(balancer: RoundRobin<Node>, count: number, tried: ReadonlySet<Node> | null = null): number[] {
  return Array.from({ length: count }, () => balancer.pick(tried)!.index)
}

function tally(list: number[], length: number): number[] {
  return Array.from({ length }, (_, index) => list.filter((picked) => picked === index).length)
}

suite('round robin', () => {
  test("spreads weights smoothly, in nginx's order", () => {
    assert.deepEqual(picks(new RoundRobin(nodes(5, 1, 1), 0), 14), [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0])
  })

  test('takes turns where weights are equal', () => {
    assert.deepEqual(picks(new RoundRobin(nodes(7, 7, 7), 0), 7), [0, 1, 2, 0, 1, 2, 0])
  })

  test('begins anywhere in the cycle', () => {
    assert.deepEqual(picks(new RoundRobin(nodes(1, 1, 1), 0.99), 4), [2, 0, 1, 2])
    assert.deepEqual(picks(new RoundRobin(nodes(5, 1, 1), 0.99), 4), [1, 0, 2, 0])
  })

  test('gives each endpoint exactly its weight over a cycle, wherever the cycle begins', () => {
    for (const list of [
      [1],
      [3, 1],
      [5, 1, 1],
      [4, 0, 2],
      [100, 1],
      [1, 2, 3, 4, 5],
      [2, 2, 2],
      [0, 0, 9, 0],
    ]) {
      const total = list.reduce((sum, weight) => sum + weight)
      for (const start of [0, 0.3, 0.7, 0.999]) {
        const balancer = new RoundRobin(nodes(...list), start)
        assert.deepEqual(tally(picks(balancer, total), list.length), list, `${list} from ${start}`)
        assert.deepEqual(
          tally(picks(balancer, total * 7), list.length),
          list.map((weight) => weight * 7),
        )
      }
    }
  })

  test('never falls behind the ideal share by more than one pick, nor runs ahead of it', () => {
    const list = [13, 7, 5, 3, 1]
    const total = 29
    const balancer = new RoundRobin(nodes(...list), 0)
    const seen: number[] = []
    for (let i = 1; i <= total * 3; i++) {
      seen.push(balancer.pick(null)!.index)
      tally(seen, list.length).forEach((count, index) => {
        assert.ok(
          Math.abs(count - (i * list[index]!) / total) <= 1,
          `endpoint ${index} after ${i} picks: ${count}`,
        )
      })
    }
  })

  test('never picks weight 0, and nothing when there is nothing else', () => {
    assert.deepEqual(picks(new RoundRobin(nodes(0, 1, 0)), 3), [1, 1, 1])
    assert.equal(new RoundRobin(nodes(0, 0)).pick(null), null)
    assert.equal(new RoundRobin<Node>([]).pick(new Set()), null)
  })
})

suite('endpoints that were tried', () => {
  for (const list of [
    [1, 1, 1],
    [5, 3, 1],
    [2, 0, 2],
  ]) {
    test(`do not come again: after all of ${list} there is none`, () => {
      const balancer = new RoundRobin(nodes(...list))
      const withWeight = list.filter((weight) => weight > 0).length
      for (let request = 0; request < 50; request++) {
        const tried = new Set<Node>()
        for (let attempt = 0; attempt < withWeight; attempt++) tried.add(balancer.pick(tried)!)
        assert.equal(tried.size, withWeight)
        assert.equal(balancer.pick(tried), null)
      }
    })
  }

  test('shares stay close to the weights while some are skipped', () => {
    const list = nodes(3, 2, 1)
    const others = picks(new RoundRobin(list, 0), 3000, new Set([list[0]!]))
    assert.deepEqual(tally(others, 3), [0, 2000, 1000])
  })
})

suite('endpoints that are not usable', () => {
  test('are left out, whatever their weight', () => {
    for (const list of [nodes(9, 1, 1), nodes(1, 1, 1)]) {
      list[0]!.usable = false
      assert.deepEqual(tally(picks(new RoundRobin(list), 100), 3), [0, 50, 50])
    }
  })

  test('are all used when none is usable', () => {
    const list = nodes(2, 1, 1)
    for (const node of list) node.usable = false
    assert.deepEqual(tally(picks(new RoundRobin(list), 40), 3), [20, 10, 10])
  })

  test('come when all others were tried', () => {
    const list = nodes(1, 1)
    list[0]!.usable = false
    assert.equal(new RoundRobin(list).pick(new Set([list[1]!])), list[0])
    assert.equal(new RoundRobin(list).pick(new Set(list)), null)
  })
})

suite('priority groups', () => {
  const [a, b, c, d, e] = [
    { index: 0, weight: 1, priority: 0, usable: true },
    { index: 1, weight: 1, priority: 10, usable: true },
    { index: 2, weight: 2, priority: 10, usable: true },
    { index: 3, weight: 0, priority: 20, usable: true },
    { index: 4, weight: 1, priority: -1, usable: true },
  ] as [Node, Node, Node, Node, Node]
  const endpoints = [a, b, c, d, e]

  test('only the highest takes traffic as long as it has endpoints', () => {
    assert.deepEqual(tally(picks(new RoundRobin(endpoints), 300), 5), [0, 100, 200, 0, 0])
  })

  test('lower ones come after all of the higher were tried', () => {
    const balancer = new RoundRobin(endpoints)
    assert.equal(balancer.pick(new Set([b, c])), a)
    assert.equal(balancer.pick(new Set([b, c, a])), e)
    assert.equal(balancer.pick(new Set([a, b, c, e])), null)
    assert.equal(balancer.pick(new Set([a, c])), b)
  })

  test('lower ones take over while no higher one is usable', () => {
    const down = endpoints.map((node) => ({ ...node, usable: node.priority < 10 }))
    assert.deepEqual(tally(picks(new RoundRobin(down), 10), 5), [10, 0, 0, 0, 0])
  })
})
