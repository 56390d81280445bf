import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dryServices } from './policy-dry-run.ts'
import type { PolicyServices } from './policy-runtime.ts'
import { Circuits } from './proxy/shared/circuits.ts'
import { createLimitTable, Limiter } from './proxy/shared/limiter.ts'
import { createRecordTable } from './proxy/shared/records.ts'
import { TurnCounters } from './proxy/shared/turn-counters.ts'

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

test('what is dry takes no turn and breaks no circuit', () => {
  const turns = new TurnCounters(createRecordTable(16), 1)
  const circuits = new Circuits(createRecordTable(16), 1)
  const at = (second: number): PolicyServices['circuits'] => ({
    isBroken: (key, rule) => circuits.isBroken(key, rule, second),
    failed: (key, rule) => circuits.failed(key, rule, second),
    succeeded: (key, rule) => circuits.succeeded(key, rule),
  })
  const services = {
    limiter,
    circuits: at(7),
    takeTurn: (name: string) => turns.take(name, 7),
    lookAtTurn: (name: string) => turns.look(name),
  } as unknown as PolicyServices
  const shown = dryServices(services)
  turns.take('a:route:1:0', 7)
  assert.deepEqual([shown.takeTurn('a:route:1:0'), shown.takeTurn('a:route:1:0')], [1, 1])
  const rule = { failures: 1, successes: 1, longest: 300 }
  shown.circuits.failed('b:route:1:x', rule)
  assert.equal(circuits.isBroken('b:route:1:x', rule, 7), false)
  circuits.failed('b:route:1:x', rule, 7)
  shown.circuits.succeeded('b:route:1:x', rule)
  assert.equal(shown.circuits.isBroken('b:route:1:x', rule), true)
})
