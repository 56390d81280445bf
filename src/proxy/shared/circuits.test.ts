import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Circuits } from './circuits.ts'
import { createRecordTable } from './records.ts'

const rule = { failures: 2, successes: 2, longest: 5 }
const key = 'api-breaker:route:1:h /'

function twoThreads() {
  const table = createRecordTable(16)
  return [new Circuits(table, 1), new Circuits(table, 2)] as const
}

test('bad answers of all threads add up, and break the circuit in all of them', () => {
  const [one, two] = twoThreads()
  one.failed(key, rule, 10)
  assert.equal(two.isBroken(key, rule, 10), false)
  two.failed(key, rule, 10)
  for (const circuits of [one, two]) {
    assert.equal(circuits.isBroken(key, rule, 12), true)
    assert.equal(circuits.isBroken(key, rule, 13), false)
    assert.equal(circuits.isBroken(`${key}other`, rule, 12), false)
  }
})

test('it breaks for twice as long each time, up to the longest', () => {
  const [circuits] = twoThreads()
  for (const [from, seconds] of [
    [0, 2],
    [100, 4],
    [200, 5],
    [300, 5],
  ] as const) {
    circuits.failed(key, rule, from)
    circuits.failed(key, rule, from)
    assert.equal(circuits.isBroken(key, rule, from + seconds), true)
    assert.equal(circuits.isBroken(key, rule, from + seconds + 1), false)
  }
})

test('good answers of all threads end it, unless a bad one comes among them', () => {
  const [one, two] = twoThreads()
  for (let n = 0; n < 2; n++) one.failed(key, rule, 0)
  one.succeeded(key, rule)
  two.failed(key, rule, 0)
  two.succeeded(key, rule)
  assert.equal(one.isBroken(key, rule, 1), true)
  one.succeeded(key, rule)
  assert.equal(two.isBroken(key, rule, 1), false)
})
