import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Candidate } from './balancer.ts'
import { LeastConnections } from './least-connections.ts'

interface Node extends Candidate {
  usable: boolean
  underWay: number
  warmth: number
}

function node(weight: number, changes: Partial<Node> = {}): Node {
  return { weight, priority: 0, usable: true, underWay: 0, warmth: 1, ...changes }
}

function pickAndHold(balancer: LeastConnections<Node>, list: readonly Node[]): number {
  const picked = balancer.pick(null)!
  picked.underWay++
  return list.indexOf(picked)
}

suite('least connections', () => {
  test('prefers the higher weight, and goes on as requests pile up', () => {
    const list = [node(3), node(2)]
    const balancer = new LeastConnections(list)
    assert.deepEqual(
      Array.from({ length: 3 }, () => pickAndHold(balancer, list)),
      [0, 1, 0],
    )
  })

  test('always picks one with the least load for its weight', () => {
    let seed = 1
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return (seed >>> 8) % below
    }
    for (let round = 0; round < 500; round++) {
      const list = Array.from({ length: 1 + random(8) }, () =>
        node(random(4), { underWay: random(20), usable: random(4) > 0 }),
      )
      const tried = new Set(list.filter(() => random(4) === 0))
      const balancer = new LeastConnections(list)
      for (let n = 0; n < 3; n++) {
        const open = list.filter((each) => each.weight > 0 && !tried.has(each))
        const usable = open.filter((each) => each.usable)
        const candidates = usable.length > 0 ? usable : open
        const least = Math.min(...candidates.map(({ underWay, weight }) => (underWay + 1) / weight))
        const picked = balancer.pick(tried)
        if (candidates.length === 0) assert.equal(picked, null)
        else {
          assert.ok(candidates.includes(picked!))
          assert.equal((picked!.underWay + 1) / picked!.weight, least)
        }
      }
    }
  })

  test('takes turns among equals', () => {
    const list = [node(1), node(1), node(1)]
    const balancer = new LeastConnections(list)
    const picked = Array.from({ length: 9 }, () => list.indexOf(balancer.pick(null)!))
    for (const index of [0, 1, 2]) assert.equal(picked.filter((each) => each === index).length, 3)
  })

  test('weighs a cold endpoint by its warmth', () => {
    const list = [node(1, { underWay: 3 }), node(1, { warmth: 0.2 })]
    const balancer = new LeastConnections(list)
    assert.equal(balancer.pick(null), list[0])
    list[1]!.warmth = 0.5
    assert.equal(balancer.pick(null), list[1])
  })

  test('uses lower groups after all of the higher were tried, or while none of them is usable', () => {
    const list = [node(1, { priority: 1 }), node(1), node(5, { priority: -1 })]
    const balancer = new LeastConnections(list)
    const [high, middle, low] = list as [Node, Node, Node]
    assert.equal(balancer.pick(null), high)
    assert.equal(balancer.pick(new Set([high])), middle)
    assert.equal(balancer.pick(new Set([high, middle])), low)
    assert.equal(balancer.pick(new Set(list)), null)
    high.usable = false
    middle.usable = false
    assert.equal(balancer.pick(null), low)
    low.usable = false
    assert.equal(balancer.pick(null), high)
  })
})
