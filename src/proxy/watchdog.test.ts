import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { createWatchMemory, WatchSlot } from './shared/watch-slot.ts'
import { Watchdog, watchInterval } from './watchdog.ts'

type Line = [level: string, fields: Record<string, unknown>, message: string]

function watched(t: TestContext) {
  const lines: Line[] = []
  const write = (level: string) => (fields: object, message: string) =>
    void lines.push([level, fields as Record<string, unknown>, message])
  const log = { debug() {}, info: write('info'), warn: write('warn'), error: write('error') }
  const dog = new Watchdog(() => ({ slow: 1000, stuck: 10_000 }), log as never)
  t.after(() => dog.close())
  const memory = createWatchMemory()
  const slot = new WatchSlot(memory, (label, name) => dog.name(1, label, name))
  const thread = { threadId: 1, memory, isApplying: false, ends: 0, end: () => void thread.ends++ }
  dog.watch(thread)
  let now = performance.now()
  const jump = (ms: number) => {
    now += ms
    dog.look(now)
  }
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed += watchInterval) jump(watchInterval)
  }
  return { lines, dog, slot, thread, pass, jump }
}

suite('a thread that does not answer', () => {
  test('is told of with the policy that holds it, and ended once when it goes on', (t) => {
    const { lines, slot, thread, pass } = watched(t)
    slot.beat()
    pass(250)
    slot.enter(slot.label('mine'))
    pass(750)
    assert.equal(lines.length, 0)
    pass(500)
    assert.deepEqual(
      lines.map(([level, { policy }, message]) => [level, policy, message]),
      [['warn', 'mine', 'data thread does not answer']],
    )
    assert.equal(thread.ends, 0)
    pass(20_000)
    assert.equal(thread.ends, 1)
    assert.equal(lines.at(-1)?.[1].policy, 'mine')
    assert.equal(lines.length, 2)
  })

  test('is told of with what it had waited for where no call holds it', (t) => {
    const { lines, slot, pass } = watched(t)
    slot.beat()
    slot.await(slot.label('waiting'))
    pass(2000)
    assert.deepEqual(lines[0]?.[1].awaited, ['waiting'])
    assert.equal(lines[0]?.[1].policy, undefined)
  })

  test('and then does is left alone', (t) => {
    const { lines, slot, thread, pass } = watched(t)
    slot.beat()
    pass(5000)
    slot.beat()
    pass(5000)
    slot.beat()
    pass(250)
    assert.equal(thread.ends, 0)
    assert.deepEqual(
      lines.map(([, , message]) => message),
      [
        'data thread does not answer',
        'data thread answers again',
        'data thread does not answer',
        'data thread answers again',
      ],
    )
  })

  test('because the whole process stood still is not blamed', (t) => {
    const { lines, slot, thread, jump, pass } = watched(t)
    slot.beat()
    pass(250)
    jump(3_600_000)
    assert.deepEqual([lines.length, thread.ends], [0, 0])
  })

  test('before it counted for the first time is no less stuck', (t) => {
    const { lines, thread, pass } = watched(t)
    pass(10_000)
    assert.equal(thread.ends, 1)
    assert.equal(lines.length, 2)
  })

  test('because it has a plan to work on has thirty seconds', (t) => {
    const { lines, slot, thread, pass } = watched(t)
    slot.beat()
    pass(250)
    thread.isApplying = true
    pass(29_000)
    assert.deepEqual([lines.length, thread.ends], [0, 0])
    pass(2000)
    assert.equal(thread.ends, 1)
  })
})
