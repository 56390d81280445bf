import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLoadTable, reclaimLoads } from './load-table.ts'
import { Presences } from './presences.ts'

test('threads count the requests of a key together, up to the limit', () => {
  const table = createLoadTable(2, 16)
  const [one, two] = [new Presences(table, 1), new Presences(table, 2)]
  const first = one.enter('k', 2)
  const second = two.enter('k', 2)
  assert.equal(first?.count, 1)
  assert.equal(second?.count, 2)
  assert.equal(one.enter('k', 2), null)
  assert.equal(two.enter('other', 2)?.count, 1)
  first!.leave()
  assert.equal(two.enter('k', 2)?.count, 2)
})

test('a key without requests takes no room', () => {
  const presences = new Presences(createLoadTable(1, 16), 1)
  for (let n = 0; n < 1000; n++) presences.enter(`k${n}`, 1)!.leave()
  assert.equal(presences.enter('k1', 1)?.count, 1)
})

test('what a dead thread had under way is taken out', () => {
  const table = createLoadTable(2, 16)
  new Presences(table, 1).enter('k', 1)
  const other = new Presences(table, 2)
  assert.equal(other.enter('k', 1), null)
  reclaimLoads(table, 1)
  assert.equal(other.enter('k', 1)?.count, 1)
})
