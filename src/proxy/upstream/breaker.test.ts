import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { CircuitBreakerSpec } from '../../config/plan.ts'
import { createLoadTable, LoadReader, LoadTable, reclaimLoads } from '../shared/load-table.ts'
import { Breaker } from './breaker.ts'

function twoThreads(limits: CircuitBreakerSpec) {
  const memory = createLoadTable(2)
  const [one, other] = [1, 2].map((id) => new Breaker(limits, new LoadTable(memory, id), 'u')) as [
    Breaker,
    Breaker,
  ]
  return { memory, one, other, reader: new LoadReader(memory) }
}

const codes = (...refusals: ({ code: string } | null)[]) => refusals.map((refusal) => refusal?.code ?? 'ok')

suite('a breaker', () => {
  test('bounds the requests of all threads together', () => {
    const { one, other } = twoThreads({ max_requests: 3 })
    assert.deepEqual(
      codes(one.beginRequest(), other.beginRequest(), one.beginRequest(), other.beginRequest()),
      ['ok', 'ok', 'ok', 'upstream_max_requests'],
    )
    one.endRequest()
    assert.deepEqual(codes(other.beginRequest()), ['ok'])
  })

  test('bounds connections, and those that are being opened', () => {
    const { one, other, reader } = twoThreads({ max_connections: 3, max_pending: 2 })
    assert.deepEqual(codes(one.openConnection('a'), other.openConnection('a'), one.openConnection('a')), [
      'ok',
      'ok',
      'upstream_max_pending',
    ])
    one.connectionSettled()
    other.connectionSettled()
    assert.deepEqual(codes(one.openConnection('a'), one.openConnection('a')), [
      'ok',
      'upstream_max_connections',
    ])
    assert.deepEqual(reader.read('u')?.sums, [0, 1, 3, 0])
    assert.deepEqual(reader.read('u')?.refusals, [0, 1, 1, 0])
    one.connectionClosed('a')
    assert.deepEqual(codes(other.openConnection('a')), ['ok'])
  })

  test('bounds pools of connections, of which each thread has its own', () => {
    const { one, other } = twoThreads({ max_pools: 3 })
    assert.deepEqual(
      codes(
        one.openConnection('a'),
        one.openConnection('a'),
        one.openConnection('b'),
        other.openConnection('a'),
        other.openConnection('b'),
        other.openConnection('a'),
      ),
      ['ok', 'ok', 'ok', 'ok', 'upstream_max_pools', 'ok'],
    )
    one.connectionClosed('a')
    assert.deepEqual(codes(other.openConnection('b')), ['upstream_max_pools'])
    one.connectionClosed('a')
    assert.deepEqual(codes(other.openConnection('b')), ['ok'])
    other.setLimits({})
    assert.deepEqual(codes(other.openConnection('c')), ['ok'])
    other.setLimits({ max_pools: 3 })
    assert.deepEqual(codes(one.openConnection('c')), ['upstream_max_pools'])
  })

  test('counts no pool for a connection that there was no room for', () => {
    const { one } = twoThreads({ max_pools: 1, max_connections: 0 })
    assert.deepEqual(codes(one.openConnection('a')), ['upstream_max_connections'])
    one.setLimits({ max_pools: 1 })
    assert.deepEqual(codes(one.openConnection('b')), ['ok'])
  })

  test('bounds retries; none may be made with a limit of 0', () => {
    const { one, other } = twoThreads({ max_retries: 1 })
    assert.deepEqual([one.beginRetry(), other.beginRetry()], [true, false])
    one.endRetry()
    assert.equal(other.beginRetry(), true)
    assert.equal(twoThreads({ max_retries: 0 }).one.beginRetry(), false)
  })

  test('bounds nothing that has no limit', () => {
    const { one } = twoThreads({})
    for (let n = 0; n < 1000; n++) {
      assert.deepEqual(codes(one.beginRequest(), one.openConnection('a')), ['ok', 'ok'])
      assert.equal(one.beginRetry(), true)
    }
  })

  test('lets a thread keep its part of the connections idle, and no more', () => {
    const { one } = twoThreads({ max_connections: 5 })
    assert.deepEqual([one.keepIdle(), one.keepIdle(), one.keepIdle()], [true, true, false])
    one.leaveIdle()
    assert.equal(one.keepIdle(), true)
    assert.equal(twoThreads({ max_connections: 1 }).one.keepIdle(), false)
  })

  test('gives back what a dead thread held', () => {
    const { memory, one, other } = twoThreads({ max_requests: 2, max_connections: 2 })
    one.beginRequest()
    one.beginRequest()
    one.openConnection('a')
    assert.deepEqual(codes(other.beginRequest()), ['upstream_max_requests'])
    reclaimLoads(memory, 1)
    assert.deepEqual(codes(other.beginRequest(), other.beginRequest(), other.openConnection('a')), [
      'ok',
      'ok',
      'ok',
    ])
  })

  test('takes new limits with what is under way', () => {
    const { one } = twoThreads({ max_requests: 5 })
    for (let n = 0; n < 4; n++) one.beginRequest()
    one.setLimits({ max_requests: 4 })
    assert.deepEqual(codes(one.beginRequest()), ['upstream_max_requests'])
    one.endRequest()
    assert.deepEqual(codes(one.beginRequest()), ['ok'])
  })

  test('that is taken away leaves nothing behind, also of what ends later', () => {
    const { one, other, reader } = twoThreads({ max_requests: 1 })
    one.beginRequest()
    one.close()
    assert.deepEqual(codes(other.beginRequest()), ['ok'])
    one.endRequest()
    assert.deepEqual(reader.read('u')?.sums, [1, 0, 0, 0])
    other.close()
    assert.equal(reader.read('u'), undefined)
  })
})
