import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, suite, test } from 'node:test'
import type { Exchange } from '../../../proxy/exchange.ts'
import { Batches, type BatchSettings, PartlyDelivered } from './batch-processor.ts'

const settings: BatchSettings = {
  name: 'test',
  batch_max_size: 3,
  inactive_timeout: 5,
  buffer_duration: 12,
  max_retry_count: 0,
  retry_delay: 1,
}
const exchange = {
  binding: { routeId: 'r1' },
  client: { localAddress: '127.0.0.1' },
} as unknown as Exchange

/** A processor with a server whose answers the test gives. */
function processor(changed: Partial<BatchSettings> = {}, maxPending = 100) {
  const values = new Map<string, number>()
  const series = (name: string) => {
    const slots: string[] = []
    return {
      slot: (labels: readonly string[]) => slots.push(`${name} ${labels.join(' ')}`) - 1,
      add: (slot: number, amount: number) => {
        values.set(slots[slot]!, (values.get(slots[slot]!) ?? 0) + amount)
      },
    }
  }
  const logged: string[] = []
  const tell = (_: object, message: string) => logged.push(message)
  const metrics = { counter: series, gauge: series, histogram: () => assert.fail() }
  const batches = new Batches(metrics, { debug: tell, info: tell, warn: tell, error: tell })
  const sends: { entries: readonly string[]; resolve(): void; reject(error: Error): void }[] = []
  const open = () =>
    batches.open<string>('p', { ...settings, ...changed }, maxPending, (entries) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      sends.push({ entries, resolve, reject })
      return promise
    })
  const batch = open()
  return {
    batch,
    batches,
    open,
    sends,
    logged,
    push: (...entries: string[]) => {
      for (const entry of entries) batch.push(entry, entry.length, exchange)
    },
    outcome: (name: string) => values.get(`sluice_log_entries_total p ${name}`) ?? 0,
    collected: () => values.get('apisix_batch_process_entries test r1 127.0.0.1'),
  }
}

/** Lets promises run that are settled. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

suite('a batch processor', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => mock.timers.reset())

  test('sends a batch that is full at once', async () => {
    const { push, sends, outcome, collected } = processor()
    push('a', 'b')
    assert.equal(collected(), 2)
    assert.equal(sends.length, 0)
    push('c', 'd')
    assert.deepEqual(sends[0]!.entries, ['a', 'b', 'c'])
    assert.equal(collected(), 1)
    sends[0]!.resolve()
    await settle()
    assert.equal(outcome('delivered'), 3)
  })

  test('sends what there is when nothing came for a while', () => {
    const { push, sends } = processor()
    push('a')
    mock.timers.tick(4999)
    assert.equal(sends.length, 0)
    mock.timers.tick(1)
    assert.deepEqual(sends[0]!.entries, ['a'])
  })

  test('sends what is old enough, however much goes on coming', () => {
    const { push, sends } = processor({ batch_max_size: 100 })
    push('a')
    for (let second = 1; second < 15; second++) {
      mock.timers.tick(1000)
      push('b')
      assert.equal(sends.length, 0)
    }
    mock.timers.tick(1000)
    assert.equal(sends[0]!.entries.length, 15)
  })

  test('tries a batch again as often as it may, then gives it up and counts', async () => {
    const { push, sends, outcome, logged } = processor({ max_retry_count: 2, retry_delay: 3 })
    push('a', 'b', 'c')
    for (let tries = 1; tries <= 3; tries++) {
      assert.equal(sends.length, tries)
      sends.at(-1)!.reject(new Error('no'))
      await settle()
      mock.timers.tick(3000)
    }
    assert.equal(sends.length, 3)
    assert.equal(outcome('failed'), 3)
    assert.deepEqual(logged, ['log entries cannot be delivered'])
  })

  test('sends again only what was not delivered', async () => {
    const { push, sends, outcome } = processor({ max_retry_count: 1, retry_delay: 0 })
    push('a', 'b', 'c')
    sends[0]!.reject(new PartlyDelivered(2, 'the third'))
    await settle()
    mock.timers.tick(0)
    assert.deepEqual(sends[1]!.entries, ['c'])
    sends[1]!.resolve()
    await settle()
    assert.deepEqual([outcome('delivered'), outcome('failed')], [3, 0])
  })

  test('holds no more than it may while a server stalls; every entry is counted once', async () => {
    const { push, open, sends, outcome, logged } = processor({}, 30)
    for (let n = 0; n < 100; n++) push(String(n))
    open().push('of another route', 1, exchange)
    assert.equal(sends.length, 4, 'four batches on their way')
    assert.equal(outcome('discarded'), 71)
    assert.equal(logged.filter((message) => message.includes('discarded')).length, 1)
    for (let n = 0; n < 10; n++) {
      sends[n]!.resolve()
      await settle()
    }
    assert.equal(outcome('delivered'), 30)
    push('x', 'y', 'z')
    assert.deepEqual(sends.at(-1)!.entries, ['x', 'y', 'z'])
  })

  test('holds no more bytes than it may', () => {
    const { batch, outcome } = processor({ batch_max_size: 1000 }, 1000)
    const megabyte = 1024 * 1024
    for (let n = 0; n < 70; n++) batch.push('', megabyte, exchange)
    assert.equal(outcome('discarded'), 6)
  })

  test('a server that comes and goes is told of twice, not for every batch', async () => {
    const { push, sends, outcome, logged } = processor()
    for (const fails of [true, true, false, false, true]) {
      push('a', 'b', 'c')
      if (fails) sends.at(-1)!.reject(new Error('away'))
      else sends.at(-1)!.resolve()
      await settle()
    }
    assert.deepEqual([outcome('failed'), outcome('delivered')], [9, 6])
    assert.deepEqual(logged, [
      'log entries cannot be delivered',
      'log entries are delivered again',
      'log entries cannot be delivered',
    ])
  })

  test('at the end of a thread everything is sent once more, and not waited for too long', async () => {
    const { push, batches, sends, outcome } = processor({ max_retry_count: 9 })
    push('a', 'b', 'c')
    sends[0]!.reject(new Error('no'))
    await settle()
    push('d')
    const closed = batches.close(1000)
    assert.deepEqual(
      sends.slice(1).map(({ entries }) => entries),
      [['a', 'b', 'c'], ['d']],
    )
    sends[1]!.reject(new Error('no'))
    sends[2]!.resolve()
    await closed
    assert.deepEqual([outcome('failed'), outcome('delivered')], [3, 1])

    const stalled = processor()
    stalled.push('a', 'b', 'c')
    const late = stalled.batches.close(1000)
    mock.timers.tick(1000)
    await late
  })
})
