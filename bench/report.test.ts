import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { markdown, type Report, record } from './report.ts'

const report: Report = {
  date: '2026-11-22T12:00:00.000Z',
  machine: {
    cpu: 'AMD EPYC',
    cores: 2,
    memory: '24 GiB',
    kernel: '6.18',
    versions: { node: '26.10.0', nginx: '1.22.1' },
    commit: '1a2b3c4',
  },
  options: {
    scenarios: [],
    opponents: [],
    rounds: 1,
    seconds: 3,
    warmup: 4,
    quick: false,
    json: false,
    record: true,
    nodeArguments: [],
  },
  absent: ['haproxy is not installed'],
  sections: [
    {
      name: 'plain',
      summary: 'Small GETs.',
      columns: ['gateway', 'ratio to nginx'],
      rows: [['sluice', '1.50']],
      notes: ['sluice against nginx: 1.50; must 1.35 MISSED, aim 1.1 not yet'],
      data: { standings: [] },
    },
  ],
}

test('a report tells the machine, who was missing, and losses', () => {
  const text = markdown(report)
  assert.match(text, /^# Bench of 2026-11-22, commit 1a2b3c4$/m)
  assert.match(text, /AMD EPYC, 2 cores, 24 GiB, Linux 6\.18; node 26\.10\.0, nginx 1\.22\.1\./)
  assert.match(text, /^1 round of 3 s/m)
  assert.match(text, /^Not measured: haproxy is not installed\.$/m)
  assert.match(text, /^- sluice against nginx: 1\.50; must 1\.35 MISSED/m)
})

test('it is kept under its date and commit, as text and with every figure', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = record(folder, report)
  assert.equal(basename(path), '2026-11-22-1a2b3c4')
  assert.equal(readFileSync(`${path}.md`, 'utf8'), markdown(report))
  assert.deepEqual(JSON.parse(readFileSync(`${path}.json`, 'utf8')), report)
})
