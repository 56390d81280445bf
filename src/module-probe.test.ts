import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { probeModules } from './module-probe.ts'
import { versionedUrl } from './own-modules.ts'

test('each module has its result, whatever the others do to the thread', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-probe-'))
  t.after(() => rm(folder, { recursive: true }))
  const sources = {
    loops: 'while (true);',
    waits: 'await new Promise((resolve) => setTimeout(resolve, 1_000_000))',
    ends: 'process.exit(0)',
    throws: "throw new Error('no luck\\nsecond line')",
    misses: "import './nowhere.ts'",
    works:
      "import { own } from './part.ts'; export const a = own; export const b = 1; export default () => {}",
  }
  const urls: string[] = []
  await writeFile(join(folder, 'part.ts'), 'export function own(): void {}')
  for (const [name, source] of Object.entries(sources)) {
    await writeFile(join(folder, `${name}.ts`), source)
    urls.push(versionedUrl(join(folder, `${name}.ts`), '1'))
  }
  const results = [...(await probeModules(urls, 3000)).values()]
  assert.deepEqual(
    results.map((result) => ('problem' in result ? result.problem.split(' imported')[0] : result.functions)),
    [
      'it takes more than 3 s',
      'it takes more than 3 s',
      'it ends the thread that loads it',
      'Error: no luck',
      `Error [ERR_MODULE_NOT_FOUND]: Cannot find module '${join(folder, 'nowhere.ts')}'`,
      ['a', 'default'],
    ],
  )
  assert.deepEqual([...results.at(-1)!.files].sort(), [join(folder, 'part.ts'), join(folder, 'works.ts')])
  assert.ok(
    results.at(-2)!.files.includes(join(folder, 'nowhere.ts')),
    'a file that is not there is watched too',
  )
})
