import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileSplit, type Split } from './split.ts'

const split = (separator: string, text: string) => (compileSplit(separator) as Split)(text)

test('a text is cut where the separator matches', () => {
  assert.deepEqual(split('\\s*\\|\\s*', 'infra | qa|dev'), ['infra', 'qa', 'dev'])
  assert.deepEqual(split(',', ',a,'), ['', 'a', ''])
  assert.deepEqual(split(';', 'a'), ['a'])
})

test('a separator that matches nothing cuts nothing, and ends', () => {
  assert.deepEqual(split('x*', 'axb'), ['a', 'b'])
})

test('a text is cut into a bounded number of pieces', () => {
  assert.equal(split(',', ','.repeat(5000)).length, 1024)
})

test('an expression that is none is told', () => {
  assert.match((compileSplit('(') as { problem: string }).problem, /./)
})
