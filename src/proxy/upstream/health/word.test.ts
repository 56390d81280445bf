import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  afterReport,
  type Counter,
  counter,
  countersOf,
  ejectedBit,
  isEjected,
  isUp,
  stateOf,
  unusableBits,
  withoutEjection,
  withoutState,
} from './word.ts'

const limits = { success: 2, http: 5, tcp: 2, timeout: 3 }
type Report = keyof typeof counter

function after(reports: readonly Report[], word = 0): number {
  return reports.reduce((at, report) => afterReport(at, counter[report], limits[report]), word)
}

function seen(word: number) {
  const { success, http_failure: http, tcp_failure: tcp, timeout_failure: timeout } = countersOf(word)
  return `${stateOf(word)} ${success} ${http} ${tcp} ${timeout}`
}

suite('the state of an endpoint', () => {
  const cases: [string, Report[], string][] = [
    ['begins healthy', [], 'healthy 0 0 0 0'],
    ['counts no successes while it is healthy', ['success', 'success', 'success'], 'healthy 0 0 0 0'],
    ['is mostly healthy from the first failure on', ['http'], 'mostly_healthy 0 1 0 0'],
    ['is unhealthy when one counter reaches its limit', ['tcp', 'tcp'], 'unhealthy 0 0 2 0'],
    ['counts each kind of failure apart', ['tcp', 'timeout', 'http', 'timeout'], 'mostly_healthy 0 1 1 2'],
    ['keeps all counters when one reaches its limit', ['http', 'timeout', 'tcp', 'tcp'], 'unhealthy 0 1 2 1'],
    ['counts no failures while it is unhealthy', ['tcp', 'tcp', 'tcp', 'http'], 'unhealthy 0 0 2 0'],
    ['is mostly healthy still after one success', ['tcp', 'success'], 'mostly_healthy 1 0 0 0'],
    ['is healthy again after enough successes', ['tcp', 'success', 'success'], 'healthy 2 0 0 0'],
    ['begins to count failures anew after a success', ['tcp', 'success', 'tcp'], 'mostly_healthy 0 0 1 0'],
    ['is mostly unhealthy from the first success on', ['tcp', 'tcp', 'success'], 'mostly_unhealthy 1 0 0 0'],
    [
      'begins to count successes anew after a failure',
      ['tcp', 'tcp', 'success', 'timeout', 'success'],
      'mostly_unhealthy 1 0 0 0',
    ],
    [
      'falls back to unhealthy only through a limit',
      ['tcp', 'tcp', 'success', 'tcp'],
      'mostly_unhealthy 0 0 1 0',
    ],
    ['falls back then', ['tcp', 'tcp', 'success', 'tcp', 'tcp'], 'unhealthy 0 0 2 0'],
    ['recovers', ['tcp', 'tcp', 'success', 'success'], 'healthy 2 0 0 0'],
    ['goes round again', ['tcp', 'tcp', 'success', 'success', 'http'], 'mostly_healthy 0 1 0 0'],
  ]
  for (const [what, reports, expected] of cases) {
    test(what, () => assert.equal(seen(after(reports)), expected))
  }

  test('changes at once with limits of 1', () => {
    const down = afterReport(0, counter.http, 1)
    assert.equal(seen(down), 'unhealthy 0 1 0 0')
    assert.equal(seen(afterReport(down, counter.success, 1)), 'healthy 1 0 0 0')
  })

  test('does not move where the limit is 0', () => {
    for (const which of Object.values(counter)) assert.equal(afterReport(0, which, 0), 0)
    const down = after(['tcp', 'tcp'])
    assert.equal(afterReport(down, counter.success, 0), down)
  })

  test('holds the highest limit in each counter without touching the others', () => {
    let word = 0
    for (const which of [counter.http, counter.tcp, counter.timeout]) {
      for (let i = 0; i < 253; i++) word = afterReport(word, which, 254)
    }
    assert.equal(seen(word), 'mostly_healthy 0 253 253 253')
    word = afterReport(word, counter.timeout, 254)
    assert.equal(seen(word), 'unhealthy 0 253 253 254')
    for (let i = 0; i < 253; i++) word = afterReport(word, counter.success, 254)
    assert.equal(seen(word), 'mostly_unhealthy 253 0 0 0')
  })
})

/** The rules of lua-resty-healthcheck as its documentation tells them, without any bits. */
class Oracle {
  state = 'healthy'
  counts = [0, 0, 0, 0]

  report(which: Counter, limit: number): void {
    const told = which === counter.success ? 'healthy' : 'unhealthy'
    if (limit === 0 || this.state === told) return
    if (which === counter.success) this.counts = [this.counts[0]! + 1, 0, 0, 0]
    else
      this.counts = this.counts.map((count, index) => (index === 0 ? 0 : count + (index === which ? 1 : 0)))
    if (this.counts[which]! >= limit) this.state = told
    else if (this.state === 'healthy') this.state = 'mostly_healthy'
    else if (this.state === 'unhealthy') this.state = 'mostly_unhealthy'
  }
}

test('follows the rules of APISIX through any sequence of reports', () => {
  let seed = 7
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return (seed >>> 8) % below
  }
  for (let run = 0; run < 200; run++) {
    const own = Array.from({ length: 8 }, () => random(6))
    const oracle = new Oracle()
    let word = random(2) === 0 ? 0 : ejectedBit
    const ejected = isEjected(word)
    for (let i = 0; i < 200; i++) {
      const which = random(4) as Counter
      // Active and passive checks have limits of their own and share the counters.
      const limit = own[which + 4 * random(2)]!
      word = afterReport(word, which, limit)
      oracle.report(which, limit)
      assert.equal(seen(word), `${oracle.state} ${oracle.counts.join(' ')}`)
      assert.equal(isUp(word), ['healthy', 'mostly_healthy'].includes(oracle.state))
      assert.equal(isEjected(word), ejected)
    }
  }
})

test('one mask tells whether an endpoint is usable', () => {
  const usable = (word: number) => (word & unusableBits) === 0
  assert.equal(usable(0), true)
  assert.equal(usable(after(['tcp'])), true)
  assert.equal(usable(after(['tcp', 'tcp'])), false)
  assert.equal(usable(after(['tcp', 'tcp', 'success'])), false)
  assert.equal(usable(ejectedBit), false)
  assert.equal(usable(after(['tcp', 'tcp', 'success', 'success'])), true)
})

test('state and ejection are forgotten apart', () => {
  const both = after(['tcp', 'tcp'], ejectedBit)
  assert.equal(withoutState(both), ejectedBit)
  assert.equal(seen(withoutEjection(both)), 'unhealthy 0 0 2 0')
  assert.equal(isEjected(withoutEjection(both)), false)
})
