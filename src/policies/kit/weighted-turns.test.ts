import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeightedTurns } from './weighted-turns.ts'

const taken = (weights: number[], count: number) => {
  const turns = new WeightedTurns(weights)
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
