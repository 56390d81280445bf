import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { RoundRobin, type Weighted } from './balancer.ts'

function weights(...list: number[]): Weighted[] {
  return list.map((weight) => ({ weight, priority: 0 }))
}

function picks(balancer: RoundRobin, count: number): number[] {
  return Array.from({ length: count }, () => balancer.next(null))
}

function tally(list: number[], length: number): number[] {
  return Array.from({ length }, (_, index) => list.filter((picked) => picked === index).length)
}

suite('round robin', () => {
  test("spreads weights smoothly, in nginx's order", () => {
    assert.deepEqual(
      picks(new RoundRobin(weights(5, 1, 1), 0), 14),
      [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0],
    )
  })

  test('takes turns where weights are equal', () => {
    assert.deepEqual(picks(new RoundRobin(weights(7, 7, 7), 0), 7), [0, 1, 2, 0, 1, 2, 0])
  })

  test('begins anywhere in the cycle', () => {
    assert.deepEqual(picks(new RoundRobin(weights(1, 1, 1), 0.99), 4), [2, 0, 1, 2])
    assert.deepEqual(picks(new RoundRobin(weights(5, 1, 1), 0.99), 4), [1, 0, 2, 0])
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
        const balancer = new RoundRobin(weights(...list), start)
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
    const balancer = new RoundRobin(weights(...list), 0)
    const seen: number[] = []
    for (let i = 1; i <= total * 3; i++) {
      seen.push(balancer.next(null))
      tally(seen, list.length).forEach((count, index) => {
        assert.ok(
          Math.abs(count - (i * list[index]!) / total) <= 1,
          `endpoint ${index} after ${i} picks: ${count}`,
        )
      })
    }
  })

  test('never picks weight 0, and nothing when there is nothing else', () => {
    assert.deepEqual(picks(new RoundRobin(weights(0, 1, 0)), 3), [1, 1, 1])
    assert.equal(new RoundRobin(weights(0, 0)).next(null), -1)
    assert.equal(new RoundRobin([]).next(new Set()), -1)
  })
})

suite('endpoints that were tried', () => {
  for (const list of [
    [1, 1, 1],
    [5, 3, 1],
    [2, 0, 2],
  ]) {
    test(`come again only when all of ${list} were tried`, () => {
      const balancer = new RoundRobin(weights(...list))
      const usable = list.filter((weight) => weight > 0).length
      for (let request = 0; request < 50; request++) {
        const tried = new Set<number>()
        for (let attempt = 0; attempt < usable; attempt++) tried.add(balancer.next(tried))
        assert.equal(tried.size, usable)
        assert.ok(tried.has(balancer.next(tried)))
      }
    })
  }

  test('shares stay close to the weights while some are skipped', () => {
    const list = [3, 2, 1]
    const balancer = new RoundRobin(weights(...list), 0)
    const others: number[] = []
    for (let i = 0; i < 3000; i++) others.push(balancer.next(new Set([0])))
    assert.deepEqual(tally(others, 3), [0, 2000, 1000])
  })
})

suite('priority groups', () => {
  const endpoints = [
    { weight: 1, priority: 0 },
    { weight: 1, priority: 10 },
    { weight: 2, priority: 10 },
    { weight: 0, priority: 20 },
    { weight: 1, priority: -1 },
  ]

  test('only the highest takes traffic as long as it has endpoints', () => {
    assert.deepEqual(tally(picks(new RoundRobin(endpoints), 300), 5), [0, 100, 200, 0, 0])
  })

  test('lower ones come after all of the higher were tried', () => {
    const balancer = new RoundRobin(endpoints)
    assert.equal(balancer.next(new Set([1, 2])), 0)
    assert.equal(balancer.next(new Set([1, 2, 0])), 4)
    assert.ok([1, 2].includes(balancer.next(new Set([0, 1, 2, 4]))))
    assert.equal(balancer.next(new Set([0, 2])), 1)
  })
})
