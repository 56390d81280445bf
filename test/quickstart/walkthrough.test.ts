/** The commands in the READMEs of the examples, run with a real shell and a real curl; their answers are as shown. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { type Step, walkthrough } from '../../examples/walkthrough.ts'
import { type RunningExample, startExample } from './example.ts'

const exec = promisify(execFile)
const folders = [
  'examples/quickstart',
  'examples/key-auth',
  'examples/load-balancing',
  'examples/limits',
  'examples/streams',
]

for (const folder of folders) {
  suite(folder, () => {
    let example: RunningExample
    before(async () => {
      example = await startExample(folder.replace('examples/', ''))
    })
    after(() => example?.stop())

    const steps = walkthrough(new URL(`../../${folder}/README.md`, import.meta.url))
    for (const step of steps) test(step.text, () => compare(step, example))

    test('prints its commands with the ports of this run', () => {
      assert.ok(steps.length > 0)
      for (const step of steps)
        assert.ok(example.output().includes(here(step.command, example)), step.command)
    })
  })
}

test('the README shows the walk-through of examples/quickstart', () => {
  const inReadme = walkthrough(new URL('../../README.md', import.meta.url))
  const inExample = walkthrough(new URL('../../examples/quickstart/README.md', import.meta.url))
  assert.equal(inReadme.length, 5)
  assert.deepEqual(
    inReadme.map(({ command, answer }) => ({ command, answer })),
    inExample.map(({ command, answer }) => ({ command, answer })),
  )
})

async function compare(step: Step, example: RunningExample): Promise<void> {
  const { stdout } = await exec('bash', ['-c', here(step.command, example)])
  assert.equal(steady(stdout), steady(step.answer))
}

function here(command: string, { port, metricsPort }: RunningExample): string {
  return command.replaceAll(':9080', `:${port}`).replaceAll(':9091', `:${metricsPort}`)
}

/** What differs from run to run: the time, what is left of a window, and which replica answered. */
function steady(output: string): string {
  return output
    .replaceAll('\r\n', '\n')
    .replace(/^Date: .*$/gm, 'Date: (now)')
    .replace(/^((?:X-RateLimit-Reset|Retry-After): )[\d.]+$/gim, '$1(seconds)')
    .replace(/"served_by":"[ab]"}$/gm, '"served_by":"(a or b)"}')
    .trim()
}
