/** Follows docs/guides/write-a-policy.md as a reader would: its commands, its code, its configuration. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { runProgram } from '../../src/cli/program.ts'
import { check } from '../../src/config/check.ts'
import { load } from '../../src/config/load.ts'
import { type AnyPolicy, catalogue, policySchemas } from '../../src/policies/index.ts'
import { version } from '../../src/version.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const guide = await readFile(join(root, 'docs/guides/write-a-policy.md'), 'utf8')

interface Block {
  language: string
  /** What the block is written to; empty when it is not a whole file. */
  file: string
  text: string
}
const blocks: Block[] = [...guide.matchAll(/^```(\w+)(?: (\S+))?\n(.*?)^```$/gms)].map(
  ([, language, file, text]) => ({
    language: language!,
    file: file ?? '',
    text: text!,
  }),
)
const files = blocks.filter(({ file }) => file !== '')
const commands = blocks
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.trim().split('\n'))

/** A checkout without policies: the kit, and what stands behind it. */
let checkout: string
before(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'sluice-guide-'))
  await mkdir(join(checkout, 'src/policies'), { recursive: true })
  for (const path of [
    'node_modules',
    'package.json',
    'tsconfig.json',
    'src/config',
    'src/proxy',
    'src/policies/kit',
  ]) {
    await symlink(join(root, path), join(checkout, path))
  }
})
after(() => rm(checkout, { recursive: true }))

suite('the guide to a policy of your own', () => {
  test('its first commands write a policy whose test passes', async () => {
    const [create, run] = commands
    assert.match(await sluice(create!), /^Wrote src\/policies\/request-size-limit\/policy\.ts/)
    assert.match(await sluice(run!), /fail 0/)
  })

  test('its code passes its own tests', async () => {
    assert.deepEqual(
      files.map(({ file }) => file),
      ['src/policies/request-size-limit/policy.ts', 'src/policies/request-size-limit/policy.test.ts'],
    )
    for (const { file, text } of files) await writeFile(join(checkout, file), text)
    const output = await sluice('npm run -s sluice -- policy test request-size-limit')
    const tests = files[1]!.text.match(/^test\(/gm)!.length
    assert.match(output, new RegExp(`pass ${tests}\\b`))
  })

  test('its code has no type errors', async () => {
    const project = { extends: './tsconfig.json', include: ['src/policies/request-size-limit'] }
    await writeFile(join(checkout, 'tsconfig.guide.json'), JSON.stringify(project))
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    const run = promisify(execFile)(process.execPath, [compiler, '-p', join(checkout, 'tsconfig.guide.json')])
    const output = await run.then(
      ({ stdout }) => stdout,
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    )
    assert.equal(output, '')
  })

  test('its configuration passes the check with the policy in the catalogue', async () => {
    const policy = await importPolicy()
    const file = join(checkout, 'sluice.yaml')
    await writeFile(file, blocks.find(({ language }) => language === 'yaml')!.text)
    const schemas = policySchemas(new Map([...catalogue, [policy.name, policy]]))
    const { plan, findings } = check(await load([file], {}, checkout), schemas, { gatewayVersion: version })
    assert.deepEqual(findings, [])
    assert.deepEqual(plan?.routes.get('uploads')?.plugins, { 'request-size-limit': { maxBytes: 65_536 } })
  })

  test('the line for the catalogue is in the style of the catalogue', async () => {
    const index = await readFile(join(root, 'src/policies/index.ts'), 'utf8')
    const line = blocks.find(({ language, file }) => language === 'ts' && file === '')!.text
    assert.equal(line.trim(), "'request-size-limit',")
    assert.ok(index.includes("  'limit-count',\n"))
  })

  test('its table has every member of the host', async () => {
    const host = await readFile(join(root, 'src/policies/kit/host.ts'), 'utf8')
    const body = /export interface PolicyHost.*?\{\n(.*?)^\}/ms.exec(host)![1]!
    const members = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[(:]/gm)].map((match) => match[1]!)
    const table = /## What the host offers\n(.*?)\n## /s.exec(`${guide}\n## `)![1]!
    assert.ok(members.length > 5)
    assert.deepEqual(
      members.filter((member) => !new RegExp(`\`${member}\\b`).test(table)),
      [],
    )
  })
})

/** Runs a command line of the guide in the checkout. */
async function sluice(line: string): Promise<string> {
  const prefix = 'npm run -s sluice -- '
  assert.ok(line.startsWith(prefix), line)
  let output = ''
  const sink = { write: (text: string) => (output += text) }
  const io = { stdout: sink, stderr: sink, env: process.env, cwd: checkout, isTTY: false }
  assert.equal(await runProgram(line.slice(prefix.length).split(' '), io), 0, output)
  return output
}

async function importPolicy(): Promise<AnyPolicy> {
  const file = join(checkout, files[0]!.file)
  const module = (await import(pathToFileURL(file).href)) as { default: AnyPolicy }
  return module.default
}
