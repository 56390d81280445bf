import assert from 'node:assert/strict'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { clock } from '../../clock.ts'
import { LoadCell } from '../../shared/load-table.ts'
import type { Candidate } from './balancer.ts'
import { Ewma } from './ewma.ts'

interface Node extends Candidate {
  name: string
  usable: boolean
  load: LoadCell
}

function nodes(...names: string[]): Node[] {
  return names.map((name) => ({ name, weight: 1, priority: 0, usable: true, load: LoadCell.alone() }))
}

/** Numbers in [0, 1) that draw these indices, two for each pick: of all, then of the others. */
function draws(...indices: [of: number, index: number][]): () => number {
  const queue = indices.map(([of, index]) => (index + 0.5) / of)
  return () => queue.shift() ?? 0
}

const begun = clock.now

suite('the faster of two', () => {
  beforeEach(() => {
    clock.now = begun
  })
  afterEach(() => clock.tick())

  function answer(balancer: Ewma<Node>, node: Node, elapsed: number): void {
    balancer.ended(node, 'complete', 200, elapsed)
  }

  test('takes the first response time as it is', () => {
    const [a] = nodes('a')
    answer(new Ewma([a!]), a!, 12)
    assert.equal(a!.load.value, 12)
  })

  test('lets old response times fade with e and ten seconds', () => {
    const [a] = nodes('a')
    const balancer = new Ewma([a!])
    answer(balancer, a!, 100)
    clock.now = begun + 10_000
    answer(balancer, a!, 20)
    const kept = Math.exp(-1)
    assert.ok(Math.abs(a!.load.value - (100 * kept + 20 * (1 - kept))) < 1e-9)
  })

  test('picks the one with the lower average, whichever is drawn first', () => {
    const list = nodes('a', 'b', 'c')
    const [a, b, c] = list as [Node, Node, Node]
    const balancer = new Ewma(list, draws([3, 0], [2, 0], [3, 1], [2, 0], [3, 0], [2, 1]))
    answer(balancer, a, 5)
    answer(balancer, b, 1)
    answer(balancer, c, 20)
    assert.equal(balancer.pick(null), b)
    assert.equal(balancer.pick(null), b)
    assert.equal(balancer.pick(null), a)
  })

  test('never compares an endpoint with itself, and draws each pair', () => {
    const list = nodes('a', 'b', 'c')
    const fastest = list[1]!
    const balancer = new Ewma(list)
    for (const node of list) answer(balancer, node, node === fastest ? 1 : 50)
    const seen = Array.from({ length: 3000 }, () => balancer.pick(null)!)
    // The fastest is in two of three pairs.
    const share = seen.filter((node) => node === fastest).length / seen.length
    assert.ok(Math.abs(share - 2 / 3) < 0.05, String(share))
  })

  test('comes back to one that was left alone', () => {
    const list = nodes('slow', 'fast')
    const [slow, fast] = list as [Node, Node]
    const balancer = new Ewma(list)
    answer(balancer, slow, 50)
    for (let second = 0; second <= 40; second++) {
      clock.now = begun + second * 1000
      answer(balancer, fast, 10)
    }
    assert.equal(balancer.pick(null), slow)
  })

  test('does not take a quick failure for a quick answer', () => {
    const list = nodes('dead', 'alive')
    const [dead, alive] = list as [Node, Node]
    const balancer = new Ewma(list)
    balancer.ended(dead, 'connect_failed', 0, 0.2)
    answer(balancer, alive, 30)
    assert.equal(balancer.pick(null), alive)
  })

  test('learns nothing from a request that was abandoned', () => {
    const [a] = nodes('a')
    new Ewma([a!]).ended(a!, 'abandoned', 0, 5000)
    assert.equal(a!.load.value, 0)
  })

  test('draws only from those that are usable and new to the request', () => {
    const list = nodes('a', 'b', 'c')
    const [a, b, c] = list as [Node, Node, Node]
    const balancer = new Ewma(list)
    b.usable = false
    for (let n = 0; n < 20; n++) assert.notEqual(balancer.pick(null), b)
    assert.equal(balancer.pick(new Set([a])), c)
    assert.equal(balancer.pick(new Set([a, c])), b)
    assert.equal(balancer.pick(new Set(list)), null)
  })

  test('tries each endpoint once before it settles on the fast one', () => {
    const list = nodes('slow', 'fast')
    const [slow, fast] = list as [Node, Node]
    const balancer = new Ewma(list)
    const picked: Node[] = []
    for (let n = 0; n < 12; n++) {
      const node = balancer.pick(null)!
      picked.push(node)
      clock.now += node === slow ? 5 : 1
      answer(balancer, node, node === slow ? 5 : 1)
    }
    assert.equal(picked.filter((node) => node === slow).length, 1)
    assert.equal(picked.filter((node) => node === fast).length, 11)
  })
})
