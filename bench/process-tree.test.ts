import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { cpuMicros, descendants, parseCore, parseResident, parseStat, residentBytes } from './process-tree.ts'

const line =
  '4242 (nginx: (worker) x) S 4241 4241 4241 0 -1 4194368 900 0 0 0 130 270 11 12 20 0 1 0 5000 13000000 1200'

test('times are found behind a command with spaces and brackets', () => {
  assert.deepEqual(parseStat(line), { pid: 4242, parent: 4241, ticks: 400 })
})

test('anything else than a stat line is refused', () => {
  assert.throws(() => parseStat('VmRSS: 12 kB'), SyntaxError)
})

test('descendants are found through all generations, in any order, and strangers are left out', () => {
  const process = (pid: number, parent: number) => ({ pid, parent, ticks: 1 })
  const all = [process(30, 20), process(20, 10), process(10, 1), process(11, 1), process(31, 11)]
  assert.deepEqual(
    descendants(10, all).map(({ pid }) => pid),
    [30, 20, 10],
  )
})

test('resident size comes in bytes, and a process that is gone has none', () => {
  assert.equal(parseResident('VmPeak:\t  900 kB\nVmRSS:\t  512 kB\nThreads:\t4\n'), 524_288)
  assert.equal(parseResident(''), 0)
})

test('what a core did counts without its idle time and its waiting for disks', () => {
  const stat =
    'cpu  99 99 99 99 99 99 99 99 0 0\ncpu0 1 2 4 1000 1000 8 16 32 0 0\ncpu10 9 9 9 9 9 9 9 9 0 0\n'
  assert.equal(parseCore(stat, '0'), 63)
  assert.throws(() => parseCore(stat, '1'), RangeError)
})

test('CPU time of this very process agrees with what the runtime says', () => {
  const tick = 1e6 / Number(execFileSync('getconf', ['CLK_TCK']))
  const before = process.cpuUsage()
  const seen = cpuMicros(process.pid)
  const after = process.cpuUsage()
  assert.ok(seen >= before.user + before.system - 2 * tick, 'less than was used before')
  assert.ok(seen <= after.user + after.system + 2 * tick, 'more than was used after')
})

test('resident size of this very process is a plausible share of the machine', () => {
  assert.ok(residentBytes(process.pid) > 10 * 1024 * 1024)
})
