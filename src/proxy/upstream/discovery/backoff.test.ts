import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from './backoff.ts'

test('waits double up to the longest', () => {
  const backoff = new Backoff({ first: 500, longest: 5000 }, () => 0)
  assert.deepEqual(
    Array.from({ length: 6 }, () => backoff.next()),
    [500, 1000, 2000, 4000, 5000, 5000],
  )
})

test('waits are spread over the upper half', () => {
  const backoff = new Backoff({ first: 1000, longest: 1000 }, () => 0.999)
  assert.ok(backoff.next() > 500 && backoff.next() < 501)
})

test('a success begins anew', () => {
  const backoff = new Backoff({ first: 100, longest: 5000 }, () => 0)
  backoff.next()
  backoff.next()
  backoff.reset()
  assert.equal(backoff.next(), 100)
})

test('no number of failures overflows', () => {
  const backoff = new Backoff({ first: 1, longest: 30_000 }, () => 0)
  for (let i = 0; i < 5000; i++) backoff.next()
  assert.equal(backoff.next(), 30_000)
})
