import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { createLoadTable, LoadCell, LoadReader, LoadTable, loadSum, reclaimLoads } from './load-table.ts'

const { requests, connections } = loadSum

function twoThreads(cells?: number) {
  const memory = createLoadTable(2, cells)
  return {
    memory,
    one: new LoadTable(memory, 1),
    other: new LoadTable(memory, 2),
    reader: new LoadReader(memory),
  }
}

suite('a cell', () => {
  test('is one for all that claim its name, and no other', () => {
    const { one, other, reader } = twoThreads()
    const [a, b] = [one.claim('u 10.0.0.1:80'), other.claim('u 10.0.0.1:80')]
    a.add(requests, 2)
    assert.equal(b.add(requests, 1), 2)
    assert.equal(a.sum(requests), 3)
    assert.equal(one.claim('u 10.0.0.2:80').sum(requests), 0)
    assert.deepEqual(reader.read('u 10.0.0.1:80')?.sums, [3, 0, 0, 0])
    assert.equal(reader.read('u 10.0.0.3:80'), undefined)
  })

  test('keeps sums within their limits, and counts what it refused', () => {
    const { one, other, reader } = twoThreads()
    const [a, b] = [one.claim('u'), other.claim('u')]
    assert.deepEqual(
      [a, b, a, b].map((cell) => cell.addWithin(requests, 3)),
      [true, true, true, false],
    )
    assert.equal(a.sum(requests), 3)
    b.add(requests, -1)
    assert.equal(a.addWithin(requests, 3), true)
    assert.deepEqual(reader.read('u')?.refusals, [1, 0, 0, 0])
    reader.clearRefusals('u')
    assert.equal(b.refusals(requests), 0)
  })

  test('gives turns to all in one order', () => {
    const { one, other } = twoThreads()
    const [a, b] = [one.claim('u'), other.claim('u')]
    const first = a.takeTurns(1)
    assert.equal(b.takeTurns(3), (first + 1) & 0x7fff_ffff)
    assert.equal(a.takeTurns(1), (first + 4) & 0x7fff_ffff)
  })

  test('holds a value with its time', () => {
    const { one, other, reader } = twoThreads()
    one.claim('u').setValue(12.5, 1e12)
    const cell = other.claim('u')
    assert.deepEqual([cell.value, cell.time], [12.5, 1e12])
    assert.equal(reader.read('u')?.value, 12.5)
  })

  test('of one thread alone does the same', () => {
    const cell = LoadCell.alone()
    assert.equal(cell.addWithin(connections, 1), true)
    assert.equal(cell.addWithin(connections, 1), false)
    assert.equal(cell.takeTurns(1), 0)
    assert.equal(cell.takeTurns(1), 1)
  })
})

suite('a claim', () => {
  test('keeps the cell until the last is released; then it begins anew', () => {
    const { one, other, reader } = twoThreads()
    const a = one.claim('u')
    const b = other.claim('u')
    a.setValue(5, 6)
    one.release(a)
    assert.equal(b.value, 5)
    other.release(b)
    assert.equal(reader.read('u'), undefined)
    assert.equal(one.claim('u').value, 0)
  })

  test('takes its sums along when it is released, and leaves those of others', () => {
    const { one, other } = twoThreads()
    const [a, b] = [one.claim('u'), other.claim('u')]
    a.add(requests, 4)
    b.add(requests, 2)
    one.release(a)
    assert.equal(b.sum(requests), 2)
  })

  test('counts: a name claimed twice by a thread is released twice', () => {
    const { one, reader } = twoThreads()
    const [a, b] = [one.claim('u'), one.claim('u')]
    a.add(requests, 1)
    one.release(a)
    assert.deepEqual(reader.read('u')?.sums, [1, 0, 0, 0])
    one.release(b)
    assert.equal(reader.read('u'), undefined)
  })

  test('of a dead thread is taken back with all it had, its locks too', () => {
    const { memory, one, other, reader } = twoThreads(16)
    const [a, b] = [one.claim('u'), other.claim('u')]
    one.claim('mine').add(connections, 1)
    a.add(requests, 4)
    b.add(requests, 2)
    new Int32Array(memory)[16] = 1
    reclaimLoads(memory, 1)
    assert.equal(b.sum(requests), 2)
    assert.equal(reader.read('mine'), undefined)
    const replacement = new LoadTable(memory, 1).claim('u')
    assert.equal(replacement.add(requests, 1), 2)
    other.release(b)
    assert.equal(replacement.sum(requests), 1)
  })

  test('that finds no room counts for its thread alone', () => {
    const { one, other, reader } = twoThreads(16)
    const cells = Array.from({ length: 20 }, (_, n) => one.claim(`u${n}`))
    assert.equal(reader.refusedClaims, 4)
    cells.at(-1)!.add(requests, 1)
    assert.equal(other.claim('u19').sum(requests), 0)
    for (const cell of cells) one.release(cell)
    assert.equal(other.claim('u18').index >= 0, true)
  })
})

test('threads that claim, count and release at the same time lose nothing', async () => {
  const threads = 3
  const memory = createLoadTable(threads, 64)
  const source = `
    import { workerData, parentPort } from 'node:worker_threads'
    const { LoadTable } = await import(workerData.module)
    const table = new LoadTable(workerData.memory, workerData.threadId)
    const kept = table.claim('kept')
    for (let round = 0; round < 2000; round++) {
      const cells = Array.from({ length: 8 }, (_, n) => table.claim('u' + ((round + n) % 12)))
      for (const cell of cells) cell.add(0, 1)
      kept.add(0, 1)
      kept.takeTurns(1)
      for (const cell of cells) { cell.add(0, -1); table.release(cell) }
    }
    parentPort.postMessage('done')
  `
  const probe = new LoadTable(memory, 1).claim('kept')
  const before = probe.takeTurns(0)
  await Promise.all(
    Array.from({ length: threads }, (_, index) => {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
        workerData: {
          memory,
          threadId: index + 1,
          module: new URL('./load-table.ts', import.meta.url).href,
        },
      })
      return new Promise((resolve, reject) => {
        worker.once('message', () => resolve(worker.terminate()))
        worker.once('error', reject)
      })
    }),
  )
  assert.equal(probe.sum(requests), threads * 2000)
  assert.equal((probe.takeTurns(0) - before) & 0x7fff_ffff, threads * 2000)
  const reader = new LoadReader(memory)
  for (let n = 0; n < 12; n++) assert.equal(reader.read(`u${n}`), undefined)
  for (let id = 1; id <= threads; id++) reclaimLoads(memory, id)
  assert.equal(reader.read('kept'), undefined)
})
