import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, spread } from './statistics.ts'

test('the median of an odd number of rounds is the middle one, whatever their order', () => {
  assert.deepEqual(spread([30, 10, 20]), { median: 20, min: 10, max: 30 })
})

test('the median of an even number of rounds lies between the middle two', () => {
  assert.equal(median([40, 10, 20, 30]), 25)
})

test('numbers are ordered as numbers, not as text', () => {
  assert.deepEqual(spread([9, 100, 20]), { median: 20, min: 9, max: 100 })
})

test('nothing measured is an error, not a zero', () => {
  assert.throws(() => spread([]), RangeError)
})

test('the rounds handed in stay as they are', () => {
  const rounds = [3, 1, 2]
  spread(rounds)
  assert.deepEqual(rounds, [3, 1, 2])
})
