import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Telemetry } from './telemetry.ts'

test('what instances upload is bounded over all of them, and what was renewed longest ago makes room', () => {
  const telemetry = new Telemetry(() => 7)
  const metrics = 'x'.repeat(512 * 1024)
  for (let number = 0; number < 128; number++) telemetry.takeMetrics({ instance_id: `i${number}`, metrics })
  telemetry.takeMetrics({ instance_id: 'i0', metrics: 'new' })
  telemetry.takeMetrics({ instance_id: 'more', metrics })
  assert.deepEqual(telemetry.metricsOf('i0'), { time: 7, text: 'new', truncated: false })
  telemetry.takeMetrics({ instance_id: 'another', metrics })
  assert.equal(telemetry.metricsOf('i1'), undefined)
  assert.ok(telemetry.metricsOf('i3'))
})

test('of the log of an instance the last thousand lines are kept', () => {
  const telemetry = new Telemetry(() => 7)
  for (let number = 0; number < 1005; number++)
    telemetry.takeLines({ instance_id: 'i', lines: [`line ${number}`], dropped: number === 0 ? 2 : 0 })
  const { lines, dropped } = telemetry.logOf('i')!
  assert.deepEqual([lines.length, lines[0], dropped], [1000, 'line 5', 2])
  telemetry.forget('i')
  assert.equal(telemetry.logOf('i'), undefined)
})
