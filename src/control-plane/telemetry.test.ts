import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Telemetry } from './telemetry.ts'

const metrics = 'x'.repeat(512 * 1024)

test('what instances upload is bounded over all of them, and what was renewed longest ago makes room', () => {
  const telemetry = new Telemetry(() => 7)
  const take = (id: string, text = metrics) =>
    telemetry.takeMetrics({ instance_id: id, metrics: text }, `of ${id}`)
  for (let number = 0; number < 128; number++) take(`i${number}`)
  take('i0', 'new')
  take('more')
  assert.deepEqual(telemetry.metricsOf('i0'), { time: 7, text: 'new', truncated: false })
  take('another')
  assert.equal(telemetry.metricsOf('i1'), undefined)
  assert.ok(telemetry.metricsOf('i3'))
})

test('one registration with many instances makes nothing of others go', () => {
  const telemetry = new Telemetry(() => 7)
  telemetry.takeMetrics({ instance_id: 'victim', metrics }, 'honest')
  for (let number = 0; number < 300; number++) {
    telemetry.takeMetrics({ instance_id: `invented ${number}`, metrics }, 'hostile')
  }
  assert.ok(telemetry.metricsOf('victim'))
  const kept = Array.from({ length: 300 }, (_, number) => telemetry.metricsOf(`invented ${number}`))
  assert.equal(kept.filter((one) => one !== undefined).length, 16)
  assert.ok(kept.at(-1))
  telemetry.forget('invented 299')
  telemetry.takeMetrics({ instance_id: 'invented 0', metrics }, 'hostile')
  assert.ok(telemetry.metricsOf('invented 284'))
})

test('of the log of an instance the last thousand lines are kept', () => {
  const telemetry = new Telemetry(() => 7)
  for (let number = 0; number < 1005; number++) {
    const dropped = number === 0 ? 2 : 0
    telemetry.takeLines({ instance_id: 'i', lines: [`line ${number}`], dropped }, 'r')
  }
  const { lines, dropped } = telemetry.logOf('i')!
  assert.deepEqual([lines.length, lines[0], dropped], [1000, 'line 5', 2])
  telemetry.forget('i')
  assert.equal(telemetry.logOf('i'), undefined)
})
