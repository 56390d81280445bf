import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Exchange } from '../../exchange.ts'
import { LoadCell } from '../../shared/load-table.ts'
import { RoundRobin } from './round-robin.ts'
import { SlowStart } from './slow-start.ts'

interface Node {
  weight: number
  priority: number
  usable: boolean
  warmth: number
  credit: number
}

function node(changes: Partial<Node> = {}): Node {
  return { weight: 1, priority: 0, usable: true, warmth: 1, credit: 0, ...changes }
}

function shares(list: Node[], picks: number): number[] {
  const turns = LoadCell.alone()
  const balancer = new SlowStart(new RoundRobin(list, () => turns))
  const picked = Array.from({ length: picks }, () => balancer.pick(null, {} as Exchange))
  return list.map((each) => picked.filter((one) => one === each).length)
}

suite('slow start', () => {
  test('gives warm endpoints all their turns', () => {
    assert.deepEqual(shares([node(), node({ weight: 2 })], 300), [100, 200])
  })

  for (const warmth of [0.1, 0.25, 0.5, 0.9]) {
    test(`gives an endpoint ${warmth * 100} % of its turns, and the rest to the others`, () => {
      const [cold, ...others] = shares([node({ warmth }), node(), node()], 3000)
      // Whoever steps in gives up no turn of its own, so that there are more rounds than of three.
      const expected = (3000 * warmth) / (2 + warmth)
      assert.ok(Math.abs(cold! - expected) < 60, `${cold} picks, not ${expected}`)
      assert.ok(Math.abs(others[0]! - others[1]!) < 60, String(others))
    })
  }

  test('does not leave a request without an endpoint', () => {
    assert.deepEqual(shares([node({ warmth: 0.1 })], 10), [10])
    const cold = shares([node({ warmth: 0.1 }), node({ warmth: 0.1 })], 100)
    assert.equal(cold[0]! + cold[1]!, 100)
  })

  test('lets neither a lower group nor an unusable endpoint step in', () => {
    assert.deepEqual(shares([node({ warmth: 0.1, priority: 1 }), node()], 10), [10, 0])
    assert.deepEqual(shares([node({ warmth: 0.1 }), node({ usable: false })], 10), [10, 0])
  })

  test('does not bring back what was tried', () => {
    const list = [node({ warmth: 0.1 }), node()]
    const balancer = new SlowStart(new RoundRobin(list, () => LoadCell.alone()))
    for (let n = 0; n < 20; n++) assert.equal(balancer.pick(new Set([list[1]!]), {} as Exchange), list[0])
    assert.equal(balancer.pick(new Set(list), {} as Exchange), null)
  })
})
