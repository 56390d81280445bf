import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OwnCodeGuard } from './own-code-guard.ts'
import { clock } from './proxy/clock.ts'
import { Delays } from './proxy/delays.ts'
import { createWatchMemory, readWatch, WatchSlot } from './proxy/shared/watch-slot.ts'

function guarded() {
  const memory = createWatchMemory()
  const failures: string[] = []
  const delays = new Delays()
  const guard = new OwnCodeGuard(
    new WatchSlot(memory, () => {}),
    (name, error) => void failures.push(`${name}: ${(error as Error).message}`),
    () => 60_000,
    delays,
  )
  return { guard, delays, failures, awaited: () => readWatch(memory).awaited }
}

const never = () => new Promise<undefined>(() => {})

test('a promise that settles is left alone, and nothing waits for it any more', async () => {
  const { guard, delays, awaited } = guarded()
  const { promise, resolve } = Promise.withResolvers<string>()
  const result = guard.watched('mine', () => promise)()
  assert.deepEqual([delays.size, awaited()], [1, [1]])
  resolve('done')
  assert.equal(await result, 'done')
  assert.deepEqual([delays.size, awaited()], [0, []])
  await assert.rejects(
    guard.watched('mine', () => Promise.reject(new Error('mine'))),
    /^Error: mine$/,
  )
})

test('a promise that never settles fails in its time with the name of who made it', async () => {
  const { guard, delays, awaited } = guarded()
  const result = guard.watched('mine', never)()
  delays.advance(clock.now + 59_999)
  assert.equal(delays.size, 1)
  delays.advance(clock.now + 60_000)
  await assert.rejects(result, /^Error: mine has not settled its promise within 60 s$/)
  assert.deepEqual([delays.size, awaited()], [0, []])
})

test('so does one of a body filter, and one that no request waits for is told of', async () => {
  const { guard, delays, failures } = guarded()
  const filter = guard.watched('mine', () => ({ write: never, end: () => Buffer.from('end') }))()
  const piece = filter.write()
  assert.equal(String(filter.end()), 'end')
  const { observe } = guard.handlers('other', { observe: never as never })
  assert.equal(observe!({} as never), undefined)
  delays.advance(clock.now + 60_000)
  await assert.rejects(piece, /mine has not settled/)
  await undefined
  assert.deepEqual(failures, ['other: other has not settled its promise within 60 s'])
})
