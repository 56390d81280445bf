import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Candidate } from './balancer.ts'
import { RoundRobin, type Turns } from './round-robin.ts'

interface Node extends Candidate {
  index: number
  usable: boolean
}

function nodes(...weights: number[]): Node[] {
  return weights.map((weight, index) => ({ index, weight, priority: 0, usable: true }))
}

/** Turns from `first` on, for each priority its own. */
function robin(list: readonly Node[], first = 0): RoundRobin<Node> {
  const turns = new Map<number, Turns>()
  return new RoundRobin(list, (priority) => {
    if (!turns.has(priority)) turns.set(priority, counter(first))
    return turns.get(priority)!
  })
}

function counter(first: number): Turns {
  let next = first
  return {
    takeTurns(count) {
      const turn = next
      next = (next + count) & 0x7fff_ffff
      return turn
    },
  }
}

function picks(balancer: RoundRobin<Node>, count: number, tried: ReadonlySet<Node> | null = null): number[] {
  return Array.from({ length: count }, () => balancer.pick(tried)!.index)
}

function tally(list: number[], length: number): number[] {
  return Array.from({ length }, (_, index) => list.filter((picked) => picked === index).length)
}

suite('round robin', () => {
  test("spreads weights smoothly, in nginx's order", () => {
    assert.deepEqual(picks(robin(nodes(5, 1, 1)), 14), [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0])
  })

  test('takes turns where weights are equal', () => {
    assert.deepEqual(picks(robin(nodes(7, 7, 7)), 7), [0, 1, 2, 0, 1, 2, 0])
  })

  test('begins anywhere in the cycle', () => {
    assert.deepEqual(picks(robin(nodes(1, 1, 1), 2), 4), [2, 0, 1, 2])
    assert.deepEqual(picks(robin(nodes(5, 1, 1), 2), 4), [1, 0, 2, 0])
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
      for (const start of [0, 1, 7, 2 ** 30]) {
        const balancer = robin(nodes(...list), start)
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
    const balancer = robin(nodes(...list))
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
    assert.deepEqual(picks(robin(nodes(0, 1, 0)), 3), [1, 1, 1])
    assert.equal(robin(nodes(0, 0)).pick(null), null)
    assert.equal(robin([]).pick(new Set()), null)
  })
})

suite('endpoints that were tried', () => {
  for (const list of [
    [1, 1, 1],
    [5, 3, 1],
    [2, 0, 2],
  ]) {
    test(`do not come again: after all of ${list} there is none`, () => {
      const balancer = robin(nodes(...list))
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
    const others = picks(robin(list), 3000, new Set([list[0]!]))
    assert.deepEqual(tally(others, 3), [0, 2000, 1000])
  })
})

suite('endpoints that are not usable', () => {
  test('are left out, whatever their weight', () => {
    for (const list of [nodes(9, 1, 1), nodes(1, 1, 1)]) {
      list[0]!.usable = false
      assert.deepEqual(tally(picks(robin(list), 100), 3), [0, 50, 50])
    }
  })

  test('are all used when none is usable', () => {
    const list = nodes(2, 1, 1)
    for (const node of list) node.usable = false
    assert.deepEqual(tally(picks(robin(list), 40), 3), [20, 10, 10])
  })

  test('come when all others were tried', () => {
    const list = nodes(1, 1)
    list[0]!.usable = false
    assert.equal(robin(list).pick(new Set([list[1]!])), list[0])
    assert.equal(robin(list).pick(new Set(list)), null)
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
    assert.deepEqual(tally(picks(robin(endpoints), 300), 5), [0, 100, 200, 0, 0])
  })

  test('lower ones come after all of the higher were tried', () => {
    const balancer = robin(endpoints)
    assert.equal(balancer.pick(new Set([b, c])), a)
    assert.equal(balancer.pick(new Set([b, c, a])), e)
    assert.equal(balancer.pick(new Set([a, b, c, e])), null)
    assert.equal(balancer.pick(new Set([a, c])), b)
  })

  test('lower ones take over while no higher one is usable', () => {
    const down = endpoints.map((node) => ({ ...node, usable: node.priority < 10 }))
    assert.deepEqual(tally(picks(robin(down), 10), 5), [10, 0, 0, 0, 0])
  })
})

suite('turns', () => {
  test('that are shared make one cycle of several balancers', () => {
    const turns = counter(0)
    const list = nodes(5, 1, 1)
    const threads = Array.from({ length: 3 }, () => new RoundRobin(list, () => turns))
    const order = Array.from({ length: 14 }, (_, n) => threads[n % 3]!.pick(null)!.index)
    assert.deepEqual(order, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0])
  })

  test('are asked for with the first request', () => {
    let asked = 0
    const balancer = new RoundRobin(nodes(1, 1), () => {
      asked++
      return counter(0)
    })
    assert.equal(asked, 0)
    picks(balancer, 3)
    assert.equal(asked, 1)
  })

  test('go on after the last one', () => {
    assert.deepEqual(picks(robin(nodes(1, 1), 2 ** 31 - 2), 4), [0, 1, 0, 1])
  })
})

test('many endpoints take their turns evenly spread, each its weight in a cycle', () => {
  const weights = Array.from({ length: 1000 }, (_, n) => 1 + (n % 3))
  const total = weights.reduce((sum, weight) => sum + weight)
  const seen = picks(robin(nodes(...weights)), total * 2)
  assert.deepEqual(
    tally(seen, 1000),
    weights.map((weight) => weight * 2),
  )
  const turns = seen.flatMap((index, turn) => (index === 2 ? [turn] : []))
  const gaps = turns.slice(1).map((turn, n) => turn - turns[n]!)
  for (const gap of gaps) assert.ok(Math.abs(gap - total / 3) < total / 100, String(gaps))
})

test('weights whose cycle would be too long keep their shares', () => {
  const list = nodes(1_000_003, 500_001, 2)
  const seen = tally(picks(robin(list), 15_000), 3)
  assert.ok(Math.abs(seen[0]! - 10_000) <= 1 && Math.abs(seen[1]! - 5000) <= 1, String(seen))
  assert.equal(picks(robin(list), 10, new Set(list.slice(0, 2))).join(''), '2222222222')
})
