/** The limit table under real threads: exactness is a promise about all of them together. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
  createLimitTable,
  Limiter,
  type LimitWindow,
  releaseLimitLocks,
} from '../../src/proxy/shared/limiter.ts'

interface Hammering {
  table: SharedArrayBuffer
  threadId: number
  gate: SharedArrayBuffer
  keys: string[]
  windows: LimitWindow[]
  attempts: number
}

function hammer(task: Hammering): Worker {
  return new Worker(new URL('hammer.ts', import.meta.url), { workerData: task })
}

async function grantsOf(worker: Worker): Promise<number[]> {
  const [grants] = await once(worker, 'message')
  return grants
}

/** Lets the threads begin at the same time, so that they meet in the table. */
function openGate(gate: SharedArrayBuffer): void {
  const words = new Int32Array(gate)
  Atomics.store(words, 0, 1)
  Atomics.notify(words, 0)
}

test('threads that share keys admit exactly the limit of each', async () => {
  const table = createLimitTable(64 * 1024)
  const gate = new SharedArrayBuffer(4)
  const keys = ['one key for all', 'another']
  const windows = [
    { limit: 5000, windowMs: 600_000 },
    { limit: 7001, windowMs: 3_600_000 },
  ]
  const workers = [1, 2, 3, 4].map((threadId) =>
    hammer({ table, threadId, gate, keys, windows, attempts: 4000 }),
  )
  await Promise.all(workers.map((worker) => once(worker, 'online')))
  const results = Promise.all(workers.map(grantsOf))
  openGate(gate)
  const grants = await results
  for (const key of keys.keys()) {
    const granted = grants.map((ofThread) => ofThread[key]!)
    assert.equal(
      granted.reduce((sum, count) => sum + count),
      5000,
    )
    const out = windows.map(() => ({ remaining: -1, resetMs: -1 }))
    new Limiter(table, 9).acquire(keys[key]!, windows, 0, out)
    assert.deepEqual(
      out.map((window) => window.remaining),
      [0, 2001],
    )
  }
})

test('threads that wait for the lock of a dead one go on when it is released', async () => {
  const table = createLimitTable(512)
  const gate = new SharedArrayBuffer(4)
  const lock = 16
  Atomics.store(new Int32Array(table), lock, 5)
  const windows = [{ limit: 100, windowMs: 600_000 }]
  const workers = [1, 2].map((threadId) =>
    hammer({ table, threadId, gate, keys: ['jack'], windows, attempts: 80 }),
  )
  await Promise.all(workers.map((worker) => once(worker, 'online')))
  const results = Promise.all(workers.map(grantsOf))
  openGate(gate)
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(Atomics.load(new Int32Array(table), lock), 5, 'the lock is still held')
  releaseLimitLocks(table, 5)
  const grants = await results
  assert.equal(grants[0]![0]! + grants[1]![0]!, 100)
})

test('windows run on one clock in all threads', async () => {
  const table = createLimitTable(512)
  const gate = new SharedArrayBuffer(4)
  const windows = [{ limit: 1, windowMs: 600_000 }]
  const worker = hammer({ table, threadId: 1, gate, keys: ['jack'], windows, attempts: 1 })
  const result = grantsOf(worker)
  openGate(gate)
  await result
  const out = [{ remaining: -1, resetMs: -1 }]
  assert.equal(new Limiter(table, 2).acquire('jack', windows, 1, out), false)
  // The other thread opened the window within this test's life; its own clock started later than ours.
  assert.ok(out[0]!.resetMs > 590_000 && out[0]!.resetMs <= 600_000, `${out[0]!.resetMs} ms to go`)
})
