import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renewalDue, warningDue } from './certificate-life.ts'

const day = 24 * 3600
const life = { from: 0, to: 90 * day }

test('warnings are due 30, 14, 7 and 1 days before the end, and at it', () => {
  const at = (days: number) => warningDue(life, life.to - days * day)
  assert.deepEqual([31, 30, 15, 14, 8, 7, 2, 1, 0.5, 0, -1].map(at), [
    undefined,
    30,
    30,
    14,
    14,
    7,
    7,
    1,
    1,
    0,
    0,
  ])
})

test('renewal is due from two thirds of the life on, and not after it', () => {
  assert.deepEqual(
    [0, 59, 60, 89, 90].map((days) => renewalDue(life, days * day)),
    [false, false, true, true, false],
  )
})
