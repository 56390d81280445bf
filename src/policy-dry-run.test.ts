import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dryServices } from './policy-dry-run.ts'
import type { PolicyServices } from './policy-runtime.ts'
import { createLimitTable, Limiter } from './proxy/shared/limiter.ts'

const limiter = new Limiter(createLimitTable(64 * 1024), 1)
const dry = dryServices({ limiter } as unknown as PolicyServices).limiter
const windows = [
  { limit: 2, windowMs: 60_000 },
  { limit: 3, windowMs: 3_600_000 },
]
const states = () => windows.map(() => ({ remaining: -1, resetMs: -1 }))

test('a dry limiter decides and tells what the limiter would, again and again', () => {
  for (let taken = 0; taken < 4; taken++) {
    const [looked, again, counted] = [states(), states(), states()]
    const expected = dry.acquire('key', windows, 1, looked)
    assert.equal(dry.acquire('key', windows, 1, again), expected)
    assert.equal(limiter.acquire('key', windows, 1, counted), expected)
    const remaining = (list: typeof looked) => list.map((state) => state.remaining)
    assert.deepEqual(remaining(looked), remaining(counted), `after ${taken}`)
    assert.deepEqual(remaining(again), remaining(counted), `after ${taken}`)
  }
})
