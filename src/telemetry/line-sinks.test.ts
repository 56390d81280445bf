import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LineSinks } from './line-sinks.ts'
import { type Announcement, createMetricMemory, Registry } from './metrics.ts'

async function sinksIn(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sinks-'))
  t.after(() => rm(folder, { recursive: true }))
  const printed: [lines: string, count: number][] = []
  const errors: object[] = []
  const announcements: Announcement[] = []
  const memory = createMetricMemory(100)
  const quiet = () => {}
  const sinks = new LineSinks({
    stdout: {
      write: async (lines, count) => void printed.push([lines.toString(), count]),
      reopen: async () => {},
      close: async () => {},
    },
    metrics: new Registry(memory, (announcement) => announcements.push(announcement)),
    log: { debug: quiet, info: quiet, warn: quiet, error: (fields) => errors.push(fields) },
  })
  const dropped = (sink: string) => {
    for (const one of announcements) {
      if (one.type === 'series' && one.series.labels[0] === sink)
        return new Float64Array(memory)[one.series.slot]
    }
    return undefined
  }
  return { sinks, folder, printed, errors, dropped }
}

test('whoever opens a target gets the same sink', async (t) => {
  const { sinks, folder, printed } = await sinksIn(t)
  const path = join(folder, 'access.log')
  assert.equal(sinks.open({ type: 'file', path }), sinks.open({ type: 'file', path }))
  assert.notEqual(sinks.open({ type: 'file', path }), sinks.open({ type: 'stdout' }))
  sinks.open({ type: 'file', path }).write('to the file')
  sinks.open({ type: 'stdout' }).write('one')
  sinks.open({ type: 'stdout' }).write('two')
  await sinks.close()
  assert.equal(await readFile(path, 'utf8'), 'to the file\n')
  assert.deepEqual(printed, [['one\ntwo\n', 2]])
})

test('lines that are lost show in a metric and, once, in the log', async (t) => {
  const { sinks, folder, errors, dropped } = await sinksIn(t)
  const path = join(folder, 'not', 'there.log')
  const sink = sinks.open({ type: 'file', path })
  assert.equal(dropped(path), 0)
  for (let line = 0; line < 3; line++) {
    sink.write('lost')
    await sink.flush()
  }
  assert.equal(dropped(path), 3)
  assert.equal(errors.length, 1)
})
