/** A policy that no configuration uses costs nothing: its modules are not even loaded. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startExample } from './example.ts'

test('the quick start loads the policies that it uses, and no other', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-loads-'))
  const list = join(folder, 'modules')
  const recorder = new URL('./record-loads.ts', import.meta.url).href
  const example = await startExample('quickstart', {
    LOADED_MODULES: list,
    NODE_OPTIONS: `--import=${recorder}`,
  })
  await example.stop()
  const loaded = [
    ...(await readFile(list, 'utf8')).matchAll(/\/src\/policies\/(?!kit\/)([\w-]+)\/policy\.ts$/gm),
  ]
  await rm(folder, { recursive: true })
  const names = loaded.map(([, name]) => name!)
  // In the control thread, and in data threads before any request.
  assert.ok(names.length > new Set(names).size)
  assert.deepEqual([...new Set(names)].sort(), [
    'client-id-enforcement',
    'cors',
    'message-logging',
    'prometheus',
    'sla-rate-limiting',
  ])
})
