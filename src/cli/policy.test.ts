import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { catalogue } from '../policies/index.ts'
import { runProgram } from './program.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-policy-'))
})
after(() => rm(folder, { recursive: true }))

async function sluice(...argv: string[]) {
  let stdout = ''
  let stderr = ''
  const code = await runProgram(['policy', ...argv], {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    env: process.env,
    cwd: folder,
    isTTY: false,
  })
  return { code, stdout, stderr }
}

suite('policy list', () => {
  test('has a line for every policy, in the order in which they run', async () => {
    const { code, stdout } = await sluice('list')
    assert.equal(code, 0)
    const names = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0])
    assert.deepEqual(names.toSorted(), [...catalogue.keys()].sort())
    assert.ok(names.indexOf('cors') < names.indexOf('key-auth'))
    assert.ok(names.indexOf('prometheus') < names.indexOf('limit-count'))
  })

  test('prints schemas as JSON', async () => {
    const { stdout } = await sluice('list', '--format', 'json')
    const policies = JSON.parse(stdout) as { name: string; config: object; credential?: object }[]
    const keyAuth = policies.find(({ name }) => name === 'key-auth')!
    assert.deepEqual(Object.keys(keyAuth), ['name', 'summary', 'stage', 'priority', 'config', 'credential'])
  })

  test('shows those of a configuration among them, and what is wrong with them', async (t) => {
    t.after(() => {
      catalogue.others = new Map()
    })
    const kit = 'sluice-gateway/policy-kit'
    await mkdir(join(folder, 'listed/late'), { recursive: true })
    await writeFile(join(folder, 'sluice.yaml'), 'gateway: { policies: [./listed] }')
    const source = `import { definePolicy, Type } from '${kit}'
export default definePolicy({ name: 'late', summary: 'Own.', stage: 'limit', priority: -9e9, config: Type.Object({}), create: () => ({}) })`
    await writeFile(join(folder, 'listed/late/policy.ts'), source)
    const { code, stdout } = await sluice('list', '-c', 'sluice.yaml')
    assert.equal(code, 0)
    assert.match(stdout, /\nlate +limit +-9000000000 +Own\.\n$/)
    await writeFile(join(folder, 'listed/late/policy.ts'), 'export default 1')
    const bad = await sluice('list', '-c', 'sluice.yaml')
    assert.equal(bad.code, 3)
    assert.match(bad.stderr, /policy\.ts.*the default export is no policy/s)
  })

  test('knows no other format', async () => {
    const { code, stderr } = await sluice('list', '--format', 'xml')
    assert.equal(code, 2)
    assert.match(stderr, /text, json or markdown/)
  })
})

suite('policy new', () => {
  test('writes a policy whose test passes', async () => {
    const made = await sluice('new', 'tenant-check', '--directory', 'own')
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /src\/policies\/index\.ts:\n {2}'tenant-check',\n/)
    assert.deepEqual((await readdir(join(folder, 'own/tenant-check'))).sort(), [
      'policy.test.ts',
      'policy.ts',
    ])

    const tested = await sluice('test', 'tenant-check', '--directory', 'own')
    assert.equal(tested.code, 0, tested.stdout + tested.stderr)
    assert.match(tested.stdout, /pass 2/)
  })

  test('goes to src/policies in a checkout, where the kit is a neighbour', async () => {
    const outside = await sluice('new', 'one-more')
    assert.equal(outside.code, 2)
    assert.match(outside.stderr, /run this in a checkout/)
    await mkdir(join(folder, 'src/policies'), { recursive: true })
    assert.equal((await sluice('new', 'one-more')).code, 0)
    const source = await readFile(join(folder, 'src/policies/one-more/policy.ts'), 'utf8')
    assert.match(source, /^import { .* } from '.*kit\/index\.ts'\n/)
  })

  test('overwrites nothing', async () => {
    await mkdir(join(folder, 'own/kept'), { recursive: true })
    await writeFile(join(folder, 'own/kept/policy.ts'), 'mine')
    const { code, stderr } = await sluice('new', 'kept', '--directory', 'own')
    assert.equal(code, 1)
    assert.match(stderr, /exists already/)
    assert.equal(await readFile(join(folder, 'own/kept/policy.ts'), 'utf8'), 'mine')
  })

  test('refuses names that are taken or cannot be one', async () => {
    for (const argv of [[], ['key-auth'], ['../escape'], ['Upper'], ['a--b'], ['one', 'two']]) {
      const { code } = await sluice('new', ...argv, '--directory', 'own')
      assert.equal(code, 2, argv.join(' '))
    }
  })
})

suite('policy test', () => {
  test('fails when a test fails', async () => {
    await mkdir(join(folder, 'own/broken'), { recursive: true })
    const failing = "import { test } from 'node:test'\ntest('no', () => { throw new Error('no') })\n"
    await writeFile(join(folder, 'own/broken/policy.test.ts'), failing)
    const { code, stdout } = await sluice('test', 'broken', '--directory', 'own')
    assert.equal(code, 1)
    assert.match(stdout, /fail 1/)
  })

  test('fails when there is nothing to run', async () => {
    const { code, stderr } = await sluice('test', 'nothing', '--directory', 'own')
    assert.equal(code, 1)
    assert.match(stderr, /There are no tests in/)
  })
})
