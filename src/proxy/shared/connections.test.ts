import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConnectionCounts,
  createConnectionTable,
  openConnections,
  reclaimConnections,
} from './connections.ts'

test('the limit holds for all threads together', () => {
  const table = createConnectionTable(2)
  const first = new ConnectionCounts(table, 1)
  const second = new ConnectionCounts(table, 2)
  assert.deepEqual([first.open(3), second.open(3), first.open(3), second.open(3)], [true, true, true, false])
  first.close()
  assert.equal(second.open(3), true)
  assert.equal(openConnections(table), 3)
})

test("a dead thread's connections are given back, the others' stay", () => {
  const table = createConnectionTable(2)
  const first = new ConnectionCounts(table, 1)
  const second = new ConnectionCounts(table, 2)
  for (let i = 0; i < 5; i++) first.open(10)
  second.open(10)
  reclaimConnections(table, 1)
  assert.equal(openConnections(table), 1)
  assert.equal(second.ofThread, 1)
  assert.equal(first.ofThread, 0)
})
