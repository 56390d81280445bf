import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRecordTable } from './records.ts'
import { TurnCounters } from './turn-counters.ts'

test('threads take the turns of a name in one order', () => {
  const table = createRecordTable(16)
  const [one, two] = [new TurnCounters(table, 1), new TurnCounters(table, 2)]
  const name = 'traffic-split:route:1:0'
  assert.equal(two.look(name), 0)
  assert.deepEqual([one.take(name, 0), two.take(name, 0), two.take(name, 1), one.take(name, 1)], [0, 1, 2, 3])
  assert.equal(two.look(name), 4)
  assert.equal(one.take('traffic-split:route:1:1', 1), 0)
})
