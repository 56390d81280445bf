import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type Deadline, TimerWheel } from './timer-wheel.ts'

const wheel = new TimerWheel()
after(() => wheel.close())

function entry(onDeadline: (now: number) => void = () => {}): Deadline & { fired: number[] } {
  const fired: number[] = []
  return {
    fired,
    due: 0,
    wheelTick: 0,
    wheelNext: null,
    wheelPrevious: null,
    onDeadline(now) {
      fired.push(now)
      onDeadline(now)
    },
  }
}

test('fires once, not before its time and within a tick after it', () => {
  const start = performance.now()
  const one = entry()
  wheel.set(one, start + 200)
  wheel.advance(start + 199)
  assert.deepEqual(one.fired, [])
  wheel.advance(start + 251)
  wheel.advance(start + 400)
  assert.deepEqual(one.fired, [start + 251])
})

test('a deadline that moves later is put back, one that moves earlier is moved', () => {
  const start = performance.now() + 1000
  wheel.advance(start)
  const later = entry()
  wheel.set(later, start + 100)
  wheel.set(later, start + 5000)
  const earlier = entry()
  wheel.set(earlier, start + 60_000)
  wheel.set(earlier, start + 100)
  wheel.advance(start + 200)
  assert.equal(later.fired.length, 0)
  assert.equal(earlier.fired.length, 1)
  wheel.advance(start + 5100)
  assert.equal(later.fired.length, 1)
})

test('times beyond one turn of the wheel wait for their turn', () => {
  const start = performance.now() + 10_000
  wheel.advance(start)
  const far = entry()
  wheel.set(far, start + 300_000)
  wheel.advance(start + 299_000)
  assert.equal(far.fired.length, 0)
  wheel.advance(start + 300_100)
  assert.equal(far.fired.length, 1)
})

test('a handler may clear its neighbours and set itself again', () => {
  const start = performance.now() + 400_000
  wheel.advance(start)
  const neighbours = [entry(), entry(), entry()]
  const killer = entry(() => {
    for (const neighbour of neighbours) wheel.clear(neighbour)
    if (killer.fired.length === 1) wheel.set(killer, start + 400)
  })
  // The newest entry of a slot comes up first.
  for (const neighbour of neighbours) wheel.set(neighbour, start + 100)
  wheel.set(killer, start + 100)
  const survivor = entry()
  wheel.set(survivor, start + 130)
  wheel.advance(start + 200)
  assert.deepEqual(
    neighbours.map((neighbour) => neighbour.fired.length),
    [0, 0, 0],
  )
  assert.equal(survivor.fired.length, 1)
  wheel.advance(start + 500)
  assert.equal(killer.fired.length, 2)
})
