import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp, open, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { FileDestination, type LineDestination, LineSink } from './line-sink.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-lines-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

/** Takes batches when the test says so. */
class SlowDestination implements LineDestination {
  readonly batches: string[] = []
  #release = Promise.withResolvers<void>()

  async write(lines: Buffer): Promise<void> {
    this.batches.push(lines.toString())
    await this.#release.promise
  }

  release(): void {
    this.#release.resolve()
    this.#release = Promise.withResolvers<void>()
  }

  async reopen(): Promise<void> {}
  async close(): Promise<void> {}
}

test('lines leave in one batch, in order', async () => {
  const destination = new SlowDestination()
  const sink = new LineSink(destination)
  sink.write('one')
  sink.write('two')
  assert.deepEqual(destination.batches, [], 'nothing is written in the call')
  const flushed = sink.flush()
  await Promise.resolve()
  destination.release()
  await flushed
  assert.deepEqual(destination.batches, ['one\ntwo\n'])
})

test('a full batch leaves without waiting for the clock', async () => {
  const { promise: written, resolve } = Promise.withResolvers<string>()
  const destination = {
    write: async (lines: Buffer) => resolve(lines.toString()),
    reopen: async () => {},
    close: async () => {},
  }
  const sink = new LineSink(destination, { batchSize: 8, flushMs: 2 ** 30 })
  sink.write('12345678')
  assert.equal(await written, '12345678\n')
  await sink.close()
})

test('a lone line leaves when its time is up', async () => {
  const { promise: written, resolve } = Promise.withResolvers<string>()
  const destination = {
    write: async (lines: Buffer) => resolve(lines.toString()),
    reopen: async () => {},
    close: async () => {},
  }
  new LineSink(destination, { flushMs: 1 }).write('alone')
  assert.equal(await written, 'alone\n')
})

test('a destination that does not keep up bounds the queue, and the loss is counted', async () => {
  const destination = new SlowDestination()
  const sink = new LineSink(destination, { batchSize: 1, queueSize: 100 })
  sink.write('first')
  await Promise.resolve()
  await Promise.resolve()
  assert.deepEqual(destination.batches, ['first\n'])
  for (let line = 0; line < 30; line++) sink.write(`line ${line % 10}..`)
  assert.equal(sink.dropped, 19)
  const flushed = sink.flush()
  destination.release()
  await new Promise((resolve) => setImmediate(resolve))
  destination.release()
  await flushed
  assert.equal(destination.batches[1]!.length, 11 * 9)
})

test('a failing destination is reported once for a row of failures, and its lines are counted as lost', async () => {
  const errors: string[] = []
  let broken = true
  const destination = {
    write: async () => {
      if (broken) throw new Error('no space left')
    },
    reopen: async () => {},
    close: async () => {},
  }
  const sink = new LineSink(destination, { onError: (error) => errors.push(error.message) })
  for (const line of ['one', 'two', 'three']) {
    sink.write(line)
    await sink.flush()
  }
  assert.deepEqual([errors, sink.dropped], [['no space left'], 3])
  broken = false
  sink.write('four')
  await sink.flush()
  broken = true
  sink.write('five')
  await sink.flush()
  assert.deepEqual([errors.length, sink.dropped], [2, 4])
})

test('after a rotation, lines go to the new file and none is lost', async (t) => {
  const path = join(await folder(t), 'access.log')
  const sink = new LineSink(new FileDestination(path))
  sink.write('before')
  await sink.flush()
  await rename(path, `${path}.1`)
  sink.write('still the old file')
  await sink.reopen()
  sink.write('after')
  await sink.close()
  assert.equal(await readFile(`${path}.1`, 'utf8'), 'before\nstill the old file\n')
  assert.equal(await readFile(path, 'utf8'), 'after\n')
})

test('a file that cannot be opened now is tried again with the next batch', async (t) => {
  const base = await folder(t)
  const errors: Error[] = []
  const path = join(base, 'later', 'access.log')
  const sink = new LineSink(new FileDestination(path), { onError: (error) => errors.push(error) })
  sink.write('lost')
  await sink.flush()
  assert.match(errors[0]!.message, /ENOENT/)
  execFileSync('mkdir', [join(base, 'later')])
  sink.write('kept')
  await sink.close()
  assert.equal(await readFile(path, 'utf8'), 'kept\n')
})

function writerThread(path: string, name: string, lines: number): Promise<void> {
  const worker = new Worker(new URL('../../test/threads/line-writer.ts', import.meta.url), {
    workerData: { path, name, lines },
  })
  return new Promise((resolve, reject) => worker.on('exit', () => resolve()).on('error', reject))
}

function assertWhole(text: string, names: string[], lines: number): void {
  const seen = text.split('\n')
  assert.equal(seen.pop(), '')
  for (const name of names) {
    const own = seen.filter((line) => line.startsWith(`${name} `))
    assert.equal(own.length, lines)
    for (const [index, line] of own.entries())
      assert.equal(line, `${name} ${index} ${'.'.repeat(index % 300)}|`)
  }
}

test('threads that write one file keep each line whole and their own order', async (t) => {
  const path = join(await folder(t), 'shared.log')
  const names = ['a', 'b', 'c']
  await Promise.all(names.map((name) => writerThread(path, name, 3000)))
  assertWhole(await readFile(path, 'utf8'), names, 3000)
})

test('threads that write one pipe keep each line whole, also when its reader is slow', async (t) => {
  const path = join(await folder(t), 'pipe')
  execFileSync('mkfifo', [path])
  const copy = `${path}.copy`
  const output = await open(copy, 'w')
  const reader = spawn('cat', [path], { stdio: ['ignore', output.fd, 'inherit'] })
  const closed = new Promise((resolve) => reader.on('close', resolve))
  // Opened for reading and writing, a pipe stays open until all writers came, and opening does not wait.
  const holder = await open(path, 'r+')
  const names = ['a', 'b']
  await Promise.all(names.map((name) => writerThread(path, name, 3000)))
  await holder.close()
  await closed
  await output.close()
  assertWhole(await readFile(copy, 'utf8'), names, 3000)
})
