import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { SpareThreads } from './spare-threads.ts'

const waiting = new URL('../../test/threads/stub-data-thread.ts', import.meta.url)
const broken = pathToFileURL('/nowhere/data-thread.ts')

test('spares are handed out once, then new threads', async () => {
  const threads = new SpareThreads(waiting, 1)
  const [spare, fresh] = [threads.take(), threads.take()]
  assert.notEqual(spare, fresh)
  await threads.close()
  // Those that were taken are none of its business any more.
  assert.equal(spare.threadId > 0, true)
  await Promise.all([spare.terminate(), fresh.terminate()])
})

test('a module that cannot be loaded is reported to whoever takes a thread, not before', async () => {
  const threads = new SpareThreads(broken, 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const [error] = await once(threads.take(), 'error').catch((error) => [error])
  assert.match(String(error), /nowhere/)
})
