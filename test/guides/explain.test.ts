/** The commands in docs/guides/explain.md print what the guide shows. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { walkthrough } from '../../examples/walkthrough.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const steps = walkthrough(new URL('../../docs/guides/explain.md', import.meta.url))

/** Some end with another exit code than 0, which is a part of what they say. */
function run(command: string): Promise<string> {
  return new Promise((resolve) => {
    execFile('bash', ['-c', command], { cwd: root }, (_error, stdout, stderr) => resolve(stdout + stderr))
  })
}

suite('the guide to explaining', () => {
  test('has commands', () => assert.equal(steps.length, 3))
  for (const { command, answer } of steps) {
    test(command, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'sluice-guide-'))
      t.after(() => rm(folder, { recursive: true }))
      const here = command
        .replaceAll('/tmp/', `${folder}/`)
        .replaceAll('npm run -s sluice --', `${process.execPath} src/main.ts`)
      assert.equal((await run(here)).replaceAll(`${folder}/`, '/tmp/'), answer)
    })
  }
})
