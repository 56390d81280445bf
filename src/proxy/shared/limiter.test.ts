import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createLimitTable, Limiter, type LimitState, limitEvictions, releaseLimitLocks } from './limiter.ts'

const minute = 60_000
const state = (windows: number): LimitState[] =>
  Array.from({ length: windows }, () => ({ remaining: -1, resetMs: -1 }))

function soleLimiter(bytes = 1024 * 1024): Limiter {
  return new Limiter(createLimitTable(bytes), 1)
}

test('admits exactly the limit, tells what is left, then refuses', () => {
  const limiter = soleLimiter()
  const windows = [{ limit: 3, windowMs: minute }]
  const out = state(1)
  const remaining = [1, 2, 3, 4].map(() => [limiter.acquire('jack', windows, 1, out), out[0]!.remaining])
  assert.deepEqual(remaining, [
    [true, 2],
    [true, 1],
    [true, 0],
    [false, 0],
  ])
  assert.ok(out[0]!.resetMs > 0 && out[0]!.resetMs <= minute)
})

test('keys do not share a count', () => {
  const limiter = soleLimiter()
  const windows = [{ limit: 1, windowMs: minute }]
  for (let client = 0; client < 2000; client++) {
    assert.equal(limiter.acquire(`client-${client}`, windows, 1, state(1)), true, `client-${client}`)
  }
})

test('several windows are decided together: a refusal by one counts in none', () => {
  const limiter = soleLimiter()
  const windows = [
    { limit: 2, windowMs: 1000 },
    { limit: 10, windowMs: minute },
  ]
  const out = state(2)
  limiter.acquire('jack', windows, 2, out)
  assert.equal(limiter.acquire('jack', windows, 1, out), false)
  assert.deepEqual(
    out.map((window) => window.remaining),
    [0, 8],
  )
})

test('windows of equal length keep counts of their own', () => {
  const limiter = soleLimiter()
  const windows = [
    { limit: 5, windowMs: minute },
    { limit: 3, windowMs: minute },
  ]
  const out = state(2)
  limiter.acquire('jack', windows, 1, out)
  assert.deepEqual(
    out.map((window) => window.remaining),
    [4, 2],
  )
})

test('a window opens with the first counted request and starts anew when it is over', () => {
  const limiter = soleLimiter()
  const windows = [{ limit: 1, windowMs: 1000 }]
  const out = state(1)
  const start = performance.now()
  assert.equal(limiter.acquire('jack', windows, 1, out, start), true)
  assert.equal(limiter.acquire('jack', windows, 1, out, start + 999), false)
  assert.ok(Math.abs(out[0]!.resetMs - 1) < 0.01, `${out[0]!.resetMs} ms to go`)
  assert.equal(limiter.acquire('jack', windows, 1, out, start + 1000), true)
  assert.equal(out[0]!.resetMs, 1000)
})

test('a cost of 0 looks without counting or opening a window', () => {
  const limiter = soleLimiter()
  const windows = [{ limit: 2, windowMs: minute }]
  const out = state(1)
  const start = performance.now()
  assert.equal(limiter.acquire('jack', windows, 0, out, start), true)
  assert.deepEqual(out, [{ remaining: 2, resetMs: minute }])
  assert.equal(limiter.acquire('jack', windows, 0, out, start + 5), true)
  assert.deepEqual(out, [{ remaining: 2, resetMs: minute }])
})

test('a cost above what is left is refused as a whole', () => {
  const limiter = soleLimiter()
  const windows = [{ limit: 5, windowMs: minute }]
  const out = state(1)
  assert.equal(limiter.acquire('jack', windows, 3, out), true)
  assert.equal(limiter.acquire('jack', windows, 3, out), false)
  assert.equal(out[0]!.remaining, 2)
  assert.equal(limiter.acquire('jack', windows, 2, out), true)
})

test('a lowered limit keeps the count that was reached', () => {
  const limiter = soleLimiter()
  const out = state(1)
  for (let i = 0; i < 5; i++) limiter.acquire('jack', [{ limit: 10, windowMs: minute }], 1, out)
  assert.equal(limiter.acquire('jack', [{ limit: 4, windowMs: minute }], 1, out), false)
  assert.equal(out[0]!.remaining, 0)
})

test('a full bucket makes room by dropping the window that ends soonest, and counts it', () => {
  const table = createLimitTable(512)
  const limiter = new Limiter(table, 1)
  const out = state(1)
  const start = performance.now()
  limiter.acquire('short', [{ limit: 1, windowMs: 1000 }], 1, out, start)
  for (let key = 0; key < 17; key++) {
    limiter.acquire(`long-${key}`, [{ limit: 1, windowMs: minute }], 1, out, start)
  }
  assert.equal(limitEvictions(table), 0)
  limiter.acquire('one more', [{ limit: 1, windowMs: minute }], 1, out, start)
  assert.equal(limitEvictions(table), 1)
  for (let key = 0; key < 17; key++) {
    assert.equal(limiter.acquire(`long-${key}`, [{ limit: 1, windowMs: minute }], 1, out, start), false)
  }
  assert.equal(limiter.acquire('short', [{ limit: 1, windowMs: 1000 }], 0, out, start), true)
})

test('making room never drops a window of the key that is being counted', () => {
  const limiter = new Limiter(createLimitTable(512), 1)
  const windows = Array.from({ length: 8 }, (_, index) => ({ limit: 100, windowMs: 1000 + index }))
  const out = state(8)
  for (let key = 0; key < 50; key++) {
    limiter.acquire(`key-${key}`, windows, 1, out)
    assert.ok(
      out.every((window) => window.remaining === 99),
      `key-${key}`,
    )
    limiter.acquire(`key-${key}`, windows, 1, out)
    assert.ok(
      out.every((window) => window.remaining === 98),
      `key-${key}`,
    )
  }
})

test('the lock of a dead thread opens when its id is released, and only then', () => {
  const table = createLimitTable(512)
  const words = new Int32Array(table)
  const lock = 16
  words[lock] = 7
  releaseLimitLocks(table, 3)
  assert.equal(words[lock], 7)
  releaseLimitLocks(table, 7)
  assert.equal(words[lock], 0)
  assert.equal(new Limiter(table, 1).acquire('jack', [{ limit: 1, windowMs: minute }], 1, state(1)), true)
})

test('more windows than a bucket may hold for one key are refused loudly', () => {
  const windows = Array.from({ length: 9 }, () => ({ limit: 1, windowMs: minute }))
  assert.throws(() => soleLimiter().acquire('jack', windows, 1, state(9)), RangeError)
})

test('clears the windows of one resource, or all of them', () => {
  const limiter = soleLimiter()
  const windows = [{ limit: 5, windowMs: minute }]
  const keys = ['limit-count:route:1:v:jack', 'sla:route:1:contract:2', 'limit-count:route:2:v:jack', 'plain']
  for (const key of keys) limiter.acquire(key, windows, 2, state(1))
  assert.equal(limiter.count(), 4)
  const left = () =>
    keys.map((key) => {
      const out = state(1)
      limiter.acquire(key, windows, 0, out)
      return out[0]!.remaining
    })
  assert.equal(limiter.clear('route:3'), 0)
  assert.deepEqual(left(), [3, 3, 3, 3])
  assert.equal(limiter.clear('route:1'), 2)
  assert.deepEqual(left(), [5, 5, 3, 3])
  assert.equal(limiter.clear(), 2)
  assert.deepEqual([left(), limiter.count(), limiter.clear()], [[5, 5, 5, 5], 0, 0])
})

test('a window that was cleared opens anew with its whole length', () => {
  const limiter = soleLimiter()
  const windows = [{ limit: 1, windowMs: minute }]
  assert.equal(limiter.acquire('a:route:1:x', windows, 1, state(1)), true)
  assert.equal(limiter.acquire('a:route:1:x', windows, 1, state(1)), false)
  limiter.clear('route:1')
  const out = state(1)
  assert.equal(limiter.acquire('a:route:1:x', windows, 1, out), true)
  assert.equal(out[0]!.remaining, 0)
})

suite('leaky buckets', () => {
  const bucket = { perMs: 0.01, burst: 2 }

  test('what comes too fast waits its turn, and is rejected beyond the burst', () => {
    const limiter = new Limiter(createLimitTable(4096), 1)
    const waits = Array.from({ length: 4 }, () => limiter.leak('req:route:1:a', bucket, 1, 1000))
    assert.deepEqual(waits.map(Math.round), [0, 100, 200, -100])
    assert.equal(limiter.leak('req:route:1:b', bucket, 1, 1000), 0)
    assert.equal(Math.round(limiter.leak('req:route:1:a', bucket, 1, 1100)), 200)
    assert.ok(limiter.leak('req:route:1:a', bucket, 1, 1150) < 0)
    assert.equal(limiter.leak('req:route:1:a', bucket, 1, 1500), 0, 'it has run dry')
  })

  test('a cost of 0 only looks, and larger costs take longer to drain', () => {
    const limiter = new Limiter(createLimitTable(4096), 1)
    limiter.leak('req:route:1:a', bucket, 5, 1000)
    assert.equal(Math.round(limiter.leak('req:route:1:a', bucket, 0, 1000)), -300)
    assert.equal(Math.round(limiter.leak('req:route:1:a', bucket, 0, 1400)), 100)
    assert.equal(limiter.count(), 1)
  })

  test('a steady flow at the rate never waits, on a machine that has been up for a year either', () => {
    const exact = { perMs: 0.03, burst: 0 }
    for (const start of [1000, 365 * 86_400_000]) {
      const limiter = new Limiter(createLimitTable(4096), 1)
      for (let n = 0; n < 1000; n++)
        assert.ok(limiter.leak('k', exact, 1, start + (n * 1000) / 30) >= 0, `request ${n}`)
    }
  })
})

suite('sliding windows', () => {
  const window = { limit: 10, windowMs: 1000 }
  const out = { remaining: 0, resetMs: 0 }
  /** Where a span begins, whatever the offset of this process is. */
  const begin = (limiter: Limiter) => {
    limiter.slide('probe', window, 0, out, 5000)
    return 5000 + out.resetMs
  }

  test('the span before counts by the share that still overlaps', () => {
    const limiter = new Limiter(createLimitTable(4096), 1)
    const start = begin(limiter)
    for (let n = 0; n < 10; n++) assert.equal(limiter.slide('k:route:1', window, 1, out, start + 1), true)
    assert.equal(limiter.slide('k:route:1', window, 1, out, start + 500), false)
    assert.equal(Math.round(out.resetMs), 500, 'the span is full until it ends')
    assert.equal(limiter.slide('k:route:1', window, 1, out, start + 1001), true, '9.99 before')
    assert.equal(limiter.slide('k:route:1', window, 1, out, start + 1050), false)
    assert.equal(Math.round(out.resetMs), 50, 'with 1 in this span, 9 of the last one may count')
    let passed = 0
    for (let n = 0; n < 10; n++) if (limiter.slide('k:route:1', window, 1, out, start + 1500)) passed++
    assert.equal(passed, 4)
    assert.equal(limiter.slide('k:route:1', window, 1, out, start + 3500), true, 'nothing is left of it')
    assert.equal(out.remaining, 9)
  })

  test('no window of any position has twice the limit, and a steady flow has the limit', () => {
    const limiter = new Limiter(createLimitTable(4096), 1)
    const start = begin(limiter)
    // Bursts at the worst moments, then a flow of three times the limit.
    const passed: number[] = []
    for (let ms = 0; ms < 20_000; ms += ms < 6000 && ms % 1000 < 990 ? 10 : 1) {
      const tries = ms < 6000 ? (ms % 1000 >= 990 || ms % 1000 < 20 ? 20 : 0) : ms % 33 === 0 ? 1 : 0
      for (let n = 0; n < tries; n++) if (limiter.slide('k', window, 1, out, start + ms)) passed.push(ms)
    }
    const most = Math.max(...passed.map((at) => passed.filter((ms) => ms > at - 1000 && ms <= at).length))
    assert.ok(most < 20, `${most} within a second`)
    const steady = passed.filter((ms) => ms >= 10_000 && ms < 20_000).length
    assert.ok(Math.abs(steady - 100) <= 10, `${steady} in ten seconds`)
  })
})
