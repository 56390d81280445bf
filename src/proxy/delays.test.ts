import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clock } from './clock.ts'
import { Delays } from './delays.ts'

/** Who waits, and who went on, in order. */
function waiting(delays: Delays, waits: readonly number[]) {
  const gone: number[] = []
  const whos = waits.map((ms) => {
    const who = { ms }
    delays.wait(ms, who)?.then(() => gone.push(ms))
    return who
  })
  return { gone, whos }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('requests go on in the order of their turn, none too early', async () => {
  const delays = new Delays()
  const begun = clock.tick()
  const { gone } = waiting(delays, [5e6, 1e6, 4e6, 2e6, 3e6, 1.5e6])
  delays.advance(begun + 1e6 - 1)
  await turn()
  assert.deepEqual(gone, [])
  delays.advance(begun + 3e6)
  await turn()
  assert.deepEqual(gone, [1e6, 1.5e6, 2e6, 3e6])
  delays.advance(begun + 9e6)
  await turn()
  assert.deepEqual(gone, [1e6, 1.5e6, 2e6, 3e6, 4e6, 5e6])
})

test('who is released goes on at once, and leaves the order of the others alone', async () => {
  const delays = new Delays()
  const begun = clock.tick()
  const all = Array.from({ length: 50 }, (_, index) => 1e6 + ((index * 37) % 50))
  const { gone, whos } = waiting(delays, all)
  const released = whos.filter((_, index) => index % 3 === 0)
  for (const who of released) delays.release(who)
  for (const who of released) delays.release(who)
  await turn()
  assert.deepEqual(
    gone,
    released.map(({ ms }) => ms),
  )
  delays.advance(begun + 2e6)
  await turn()
  const left = whos.filter((_, index) => index % 3 !== 0).map(({ ms }) => ms)
  assert.deepEqual(
    gone.slice(released.length),
    left.toSorted((a, b) => a - b),
  )
  assert.equal(delays.size, 0)
})

test('no more than so many wait', () => {
  const delays = new Delays(2)
  const { whos } = waiting(delays, [1e6, 1e6])
  assert.equal(delays.wait(1, {}), undefined)
  delays.release(whos[0]!)
  assert.notEqual(delays.wait(1e6, whos[0]!), undefined)
  for (const who of whos) delays.release(who)
})

test('its timer lets them go', async () => {
  const delays = new Delays()
  clock.tick()
  const later = delays.wait(20, {})
  const sooner = delays.wait(1, {})
  await sooner
  assert.equal(delays.size, 1)
  await later
  assert.equal(delays.size, 0)
})
