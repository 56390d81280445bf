import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { WaitingLines } from './waiting-lines.ts'

const filled = (count: number) => {
  const lines = new WaitingLines()
  for (let number = 0; number < count; number++) lines.add(`line ${number}`)
  return lines
}

suite('lines that wait to be sent', () => {
  test('stay until they were sent, in their order', () => {
    const lines = filled(3)
    assert.deepEqual(lines.next(2), { lines: ['line 0', 'line 1'], dropped: 0 })
    assert.deepEqual(lines.next(2).lines, ['line 0', 'line 1'])
    lines.sent(2, 0)
    assert.deepEqual(lines.next(2), { lines: ['line 2'], dropped: 0 })
  })

  test('make room by dropping the oldest, which are counted once', () => {
    const lines = filled(2005)
    assert.deepEqual(lines.next(1), { lines: ['line 5'], dropped: 5 })
    lines.sent(1, 5)
    assert.deepEqual(lines.next(1), { lines: ['line 6'], dropped: 0 })
  })

  test('that were dropped while they were being sent count as sent', () => {
    const lines = filled(2000)
    const { lines: sent, dropped } = lines.next(3)
    for (let number = 2000; number < 2005; number++) lines.add(`line ${number}`)
    lines.sent(sent.length, dropped)
    assert.deepEqual(lines.next(1), { lines: ['line 5'], dropped: 2 })
  })

  test('that nobody wants are counted as dropped, and do not come again', () => {
    const lines = filled(2003)
    const { lines: refused, dropped } = lines.next(2)
    lines.drop(refused.length, dropped)
    assert.deepEqual(lines.next(1), { lines: ['line 5'], dropped: 5 })
  })

  test('are bounded in their characters', () => {
    const lines = new WaitingLines()
    for (let number = 0; number < 100; number++) lines.add('x'.repeat(20_000))
    const { lines: kept, dropped } = lines.next(1000)
    assert.equal(dropped, 36)
    // 128 Ki characters at once.
    assert.equal(kept.length, 16)
    assert.ok(kept.every((line) => line.length === 8192))
  })
})
