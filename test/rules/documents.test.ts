/** What the documents claim about the gateway, held against the gateway. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import { runProgram } from '../../src/cli/program.ts'
import { catalogue } from '../../src/policies/index.ts'
import { read } from './repository.ts'

suite('the table in the README', () => {
  const rows = [...read('README.md').matchAll(/^\| ([A-Z][^|]*) \| ([^|]*) \| ([^|]*) \|$/gm)].map(
    ([, area, supported, notYet]) => ({ area: area!, supported: codes(supported!), notYet: codes(notYet!) }),
  )
  const row = (area: string) => rows.find((candidate) => candidate.area === area)!
  const policyRows = ['Identity', 'Limits', 'Other policies'].map(row)
  const policies = [...catalogue.keys()]

  test('lists every policy of the catalogue, and no other', () => {
    assert.deepEqual(policyRows.flatMap(({ supported }) => supported).sort(), policies.toSorted())
  })

  test('lists every command, and no other', () => {
    assert.deepEqual(row('Commands').supported, Object.keys(commands))
  })

  test('promises nothing for later that is already there', () => {
    assert.deepEqual(
      policyRows.flatMap(({ notYet }) => notYet).filter((name) => policies.includes(name)),
      [],
    )
    assert.deepEqual(
      row('Commands').notYet.filter((name) => name in commands),
      [],
    )
  })
})

suite('every configuration in the documents passes the check', () => {
  for (const page of [
    'README.md',
    'docs/guides/ai.md',
    'docs/guides/bodies.md',
    'docs/guides/cache.md',
    'docs/guides/configure.md',
    'docs/guides/discovery.md',
    'docs/guides/install.md',
    'docs/guides/limits.md',
    'docs/guides/match-requests.md',
    'docs/guides/operate.md',
    'docs/guides/policies.md',
    'docs/guides/secrets.md',
    'docs/guides/sign-in.md',
    'docs/guides/split-traffic.md',
    'docs/guides/streams.md',
    'docs/guides/websocket.md',
  ]) {
    for (const [index, text] of configurations(page).entries()) {
      test(`${page}, number ${index + 1}`, async () => {
        const { code, output } = await validate(text)
        assert.equal(code, 0, output)
      })
    }
  }

  test('and there are some', () => {
    assert.ok(configurations('README.md').length > 0)
    assert.ok(configurations('docs/guides/configure.md').length > 0)
  })
})

function codes(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)
}

function configurations(page: string): string[] {
  return [...read(page).matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1]!)
}

async function validate(text: string): Promise<{ code: number; output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-documents-'))
  const file = join(folder, 'sluice.yaml')
  await writeFile(file, text)
  let output = ''
  const sink = { write: (part: string) => (output += part) }
  const env = Object.fromEntries(
    [...text.matchAll(/\$(?:env:\/\/|\{)([A-Z_]+)/g)].map(([, name]) => [name!, 'a-value']),
  )
  const code = await runProgram(['validate', '-c', file], {
    stdout: sink,
    stderr: sink,
    env,
    cwd: folder,
    isTTY: false,
  })
  await rm(folder, { recursive: true, force: true })
  return { code, output }
}
