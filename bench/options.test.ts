import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions } from './options.ts'

test('a full run takes five rounds, a quick one two', () => {
  assert.equal(readOptions([])?.rounds, 5)
  assert.equal(readOptions(['--quick'])?.rounds, 2)
  assert.equal(readOptions(['--quick', '--rounds', '4'])?.rounds, 4)
})

test('scenarios and opponents are lists', () => {
  const options = readOptions(['--scenario', 'plain,chain', '--opponents=haproxy'])
  assert.deepEqual(options?.scenarios, ['plain', 'chain'])
  assert.deepEqual(options?.opponents, ['haproxy'])
})

test('arguments for Node.js are separated by spaces', () => {
  const options = readOptions(['--node-args=--cpu-prof  --cpu-prof-dir=profiles'])
  assert.deepEqual(options?.nodeArguments, ['--cpu-prof', '--cpu-prof-dir=profiles'])
})

test('wrk counts in whole seconds, so nothing else is taken', () => {
  assert.throws(() => readOptions(['--seconds', '0.5']), /whole number/)
  assert.throws(() => readOptions(['--rounds', '0']), /whole number/)
  assert.throws(() => readOptions(['--rounds', 'many']), /whole number/)
})

test('an unknown option is refused', () => {
  assert.throws(() => readOptions(['--turbo']), TypeError)
})

test('policies are measured in short rounds, all of them when none is named', () => {
  const all = readOptions(['--policies', '--record'])
  assert.deepEqual([all?.policies, all?.record, all?.rounds, all?.seconds], [[], true, 3, 1])
  assert.deepEqual(readOptions(['--policies', 'cors,key-auth'])?.policies, ['cors', 'key-auth'])
  assert.equal(readOptions([])?.policies, undefined)
})
