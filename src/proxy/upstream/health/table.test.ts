import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { describeReason, type Reason, reasonCode, reasonOf } from './reason.ts'
import { createHealthTable, HealthTable } from './table.ts'
import { counter, countersOf, isEjected, stateOf } from './word.ts'

const upstream = 1
const slot = 2
const reason: Reason = { source: 'probe', failure: 'status', status: 503 }

function twoThreads() {
  const memory = createHealthTable(16)
  return [new HealthTable(memory), new HealthTable(memory)] as const
}

suite('the health table', () => {
  test('shows what one thread reports to all', () => {
    const [one, other] = twoThreads()
    assert.equal(other.isUsable(slot), true)
    one.report(upstream, slot, counter.http, 2, reason, 10)
    assert.equal(stateOf(other.word(slot)), 'mostly_healthy')
    other.report(upstream, slot, counter.http, 2, reason, 20)
    assert.equal(one.isUsable(slot), false)
    assert.deepEqual(one.reason(slot), reason)
    assert.equal(countersOf(one.word(slot)).http_failure, 2)
  })

  test('tells of changes of usability and of nothing else', () => {
    const [table] = twoThreads()
    table.report(upstream, slot, counter.tcp, 2, null, 10)
    assert.deepEqual([table.changes(upstream), table.since(slot)], [0, 0])
    table.report(upstream, slot, counter.tcp, 2, null, 20)
    assert.deepEqual([table.changes(upstream), table.since(slot)], [1, 20])
    table.report(upstream, slot, counter.success, 2, null, 30)
    assert.deepEqual([table.changes(upstream), table.since(slot)], [1, 20])
    table.report(upstream, slot, counter.success, 2, null, 40)
    assert.deepEqual([table.changes(upstream), table.since(slot)], [2, 40])
  })

  test('ejects an endpoint once, whatever its state, and takes it back', () => {
    const [one, other] = twoThreads()
    assert.equal(one.eject(upstream, slot, reason, 10), true)
    assert.equal(other.eject(upstream, slot, reason, 20), false)
    assert.equal(other.isUsable(slot), false)
    assert.deepEqual([one.changes(upstream), one.since(slot)], [2, 10])
    one.report(upstream, slot, counter.tcp, 1, null, 30)
    one.readmit(upstream, slot, 40)
    assert.equal(isEjected(one.word(slot)), false)
    assert.equal(one.isUsable(slot), false, 'it is unhealthy still')
    one.forgetState(upstream, slot, 50)
    assert.equal(one.isUsable(slot), true)
    assert.deepEqual([one.changes(upstream), one.since(slot)], [3, 50])
  })

  test('forgets everything about an endpoint', () => {
    const [table] = twoThreads()
    table.report(upstream, slot, counter.tcp, 1, reason, 10)
    table.clear(upstream, slot)
    assert.deepEqual([table.word(slot), table.reason(slot), table.since(slot)], [0, undefined, 0])
    assert.equal(table.changes(upstream), 2)
  })

  test('counts failures in a row, the gateway’s among them apart', () => {
    const [one, other] = twoThreads()
    const streaks = { errors: 0, gateway: 0 }
    one.addFailure(slot, true, streaks)
    other.addFailure(slot, true, streaks)
    assert.deepEqual(streaks, { errors: 2, gateway: 2 })
    one.addFailure(slot, false, streaks)
    assert.deepEqual(streaks, { errors: 3, gateway: 0 })
    other.endStreak(slot)
    one.addFailure(slot, true, streaks)
    assert.deepEqual(streaks, { errors: 1, gateway: 1 })
    for (let i = 0; i < 70_000; i++) one.addFailure(slot, true, streaks)
    assert.deepEqual(streaks, { errors: 65_535, gateway: 65_535 })
  })

  test('lets traffic count from a moment after the first request on', () => {
    const [control, data] = twoThreads()
    control.settle(upstream)
    control.settle(upstream)
    assert.equal(data.touch(upstream), false)
    control.settle(upstream)
    assert.equal(data.touch(upstream), false)
    control.settle(upstream)
    assert.equal(data.touch(upstream), true)
    control.settle(upstream)
    assert.equal(data.touch(upstream), true)
  })

  test('keeps slots apart', () => {
    const [table] = twoThreads()
    table.report(upstream, slot, counter.tcp, 1, reason, 10)
    table.touch(upstream)
    assert.equal(table.word(slot + 1), 0)
    assert.equal(table.word(0), 0)
    table.wipe(slot)
    assert.equal(table.word(slot), 0)
    assert.equal(table.changes(upstream), 1)
  })
})

test('a reason survives its code, and no code is no reason', () => {
  assert.equal(reasonOf(0), undefined)
  assert.deepEqual(reasonOf(reasonCode(reason)), reason)
  const broken: Reason = { source: 'traffic', failure: 'tls_failed', status: 0 }
  assert.deepEqual(reasonOf(reasonCode(broken)), broken)
  assert.equal(describeReason(reason), 'probe: status 503')
  assert.equal(describeReason(broken), 'traffic: the TLS handshake failed')
})
