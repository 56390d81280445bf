import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Sample, standing } from './comparison.ts'

const sample = (round: number, cpu: number): Sample => ({
  round,
  cpu,
  requestsPerSecond: 1_000,
  p50: 1,
  p99: 2,
  busy: 1,
  disturbed: 0,
  errors: 0,
})

test('a ratio is taken within a round, so that a slow minute of the machine weighs on both sides', () => {
  const units = [sample(1, 20), sample(2, 40)]
  const { ratio, cpu } = standing('other', [sample(1, 30), sample(2, 60)], units)
  assert.deepEqual(ratio, { median: 1.5, min: 1.5, max: 1.5 })
  assert.deepEqual(cpu, { median: 45, min: 30, max: 60 })
})

test('the unit of a round is the mean of its measurements at both ends', () => {
  const { ratio } = standing('other', [sample(1, 30)], [sample(1, 10), sample(1, 20)])
  assert.equal(ratio?.median, 2)
})

test('a round without its unit gives no ratio', () => {
  assert.equal(standing('other', [sample(1, 30)], []).ratio, undefined)
})
