import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeightedTurns } from './weighted-turns.ts'

const taken = (weights: number[], count: number) => {
  let turn = 0
  const turns = new WeightedTurns(weights, () => turn++)
  return Array.from({ length: count }, () => turns.next())
}

test('a cycle gives everyone its weight, evenly spread', () => {
  assert.deepEqual(taken([5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0])
})

test('who has no weight has no turn', () => {
  assert.deepEqual(taken([0, 1], 3), [1, 1, 1])
  assert.deepEqual(taken([0, 0], 1), [-1])
  assert.deepEqual(taken([], 1), [-1])
})

test('a cycle too long to be worked out is spread all the same', () => {
  const turns = taken([99_999, 0, 100_001], 1000)
  assert.ok(Math.abs(turns.filter((index) => index === 2).length - 500) <= 2)
  assert.equal(turns.includes(1), false)
})
