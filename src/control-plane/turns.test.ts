import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Turns } from './turns.ts'

test('so many have a turn at once, in the order in which they came, and each once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const turns = new Turns(2, 1000)
  const begun: number[] = []
  const leave: (() => void)[] = []
  for (let number = 0; number < 5; number++) {
    void turns.enter().then((end) => {
      begun.push(number)
      leave.push(end)
    })
  }
  await turn()
  assert.deepEqual(begun, [0, 1])
  leave[1]!()
  leave[1]!()
  await turn()
  assert.deepEqual(begun, [0, 1, 2])
  // Who takes long keeps nobody waiting, and leaves no turn twice.
  t.mock.timers.tick(1000)
  await turn()
  assert.deepEqual(begun, [0, 1, 2, 3, 4])
  leave[0]!()
  leave[2]!()
  leave[3]!()
  leave[4]!()
  const ends = [await turns.enter(), await turns.enter()]
  let third = false
  void turns.enter().then(() => {
    third = true
  })
  await turn()
  assert.equal(third, false)
  for (const end of ends) end()
})
