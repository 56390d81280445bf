/** Policies of the operator: found in folders and packages, loaded in every thread, reloaded with the plan. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { load } from '../../src/config/load.ts'
import { catalogue } from '../../src/policies/index.ts'
import { checkWithPolicies } from '../../src/policy-modules.ts'
import { startGateway } from '../harness/gateway.ts'
import { startOrigin } from '../harness/origins.ts'

const guide = await readFile(new URL('../../docs/guides/write-a-policy.md', import.meta.url), 'utf8')
const [, example = ''] = /```js\n(.*?)```/s.exec(guide) ?? []

async function folderOf(t: TestContext, files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-policies-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

const configuration = (policies: string, plugins: string) => `
gateway: { policies: [${policies}], data_dir: ':memory:' }
routes:
  - id: one
    uris: [/]
    plugins: { ${plugins} }
    upstream: { nodes: { "127.0.0.1:9": 1 } }
`

async function checked(t: TestContext, files: Record<string, string>) {
  t.after(() => {
    catalogue.others = new Map()
  })
  const folder = await folderOf(t, files)
  return checkWithPolicies(await load(['sluice.yaml'], {}, folder), folder, { gatewayVersion: '0' })
}

const answering = (name: string, body: string) => `
import { definePolicy, Type } from 'sluice-gateway/policy-kit'
${body}
export default definePolicy({
  name: '${name}',
  summary: 'Answers.',
  stage: 'transform',
  priority: 0,
  config: Type.Object({}, { additionalProperties: false }),
  create() {
    const answer: { status: number; body: string } = { status: 200, body: text }
    return { request: () => answer }
  },
})
`

suite('gateway.policies', () => {
  test('a folder beside the configuration, whose settings are checked by their schema', async (t) => {
    const files = { 'mine/require-tenant/policy.js': example }
    const good = await checked(t, {
      ...files,
      'sluice.yaml': configuration('./mine', 'require-tenant: {}'),
    })
    assert.deepEqual(good.findings, [])
    assert.deepEqual(good.plan?.routes.get('one')?.plugins, { 'require-tenant': { header: 'X-Tenant' } })
    assert.deepEqual(
      good.plan?.settings.policies.map(({ name }) => name),
      ['require-tenant'],
    )
    const bad = await checked(t, {
      ...files,
      'sluice.yaml': configuration('./mine', 'require-tenant: { haeder: a }'),
    })
    assert.equal(bad.findings[0]?.code, 'unknown-field')
    assert.equal(bad.findings[0]?.line, 6)
  })

  test('an installed package', async (t) => {
    const { findings, plan } = await checked(t, {
      'node_modules/@us/policies/package.json': '{ "name": "@us/policies", "type": "module" }',
      'node_modules/@us/policies/require-tenant/policy.js': example,
      'sluice.yaml': configuration('"@us/policies"', 'require-tenant: {}'),
    })
    assert.deepEqual(findings, [])
    assert.equal(plan?.settings.policies.length, 1)
  })

  const refused: Record<string, [source: string, message: RegExp]> = {
    'a module with a mistake': ['export default {', /does not load: SyntaxError/],
    'a module that throws': ["throw new Error('no luck')", /does not load: Error: no luck/],
    'an export that is no policy': ['export default { name: "mine" }', /the default export is no policy/],
    'the name of a built-in policy': [
      answering('cors', "const text = ''"),
      /the name cors belongs to a built-in policy/,
    ],
    'a schema with an unknown keyword': [
      answering('mine', "const text = ''").replace(
        'Type.Object({}',
        'Type.Object({ a: Type.String({ minLenght: 1 } as object) }',
      ),
      /the schema of mine cannot be used: /,
    ],
  }
  for (const [what, [source, message]] of Object.entries(refused)) {
    test(`${what} is one finding, with the file and what to do`, async (t) => {
      const before = catalogue.others
      const { plan, findings } = await checked(t, {
        'mine/mine/policy.ts': source,
        'sluice.yaml': configuration('./mine', 'mine: {}'),
      })
      assert.equal(plan, undefined)
      assert.equal(findings.length, 1)
      const { code, file, message: told, hint } = findings[0]!
      assert.equal(code, 'invalid-policy')
      assert.equal(file, join('mine', 'mine', 'policy.ts'))
      assert.match(told, message)
      assert.ok(hint)
      assert.equal(catalogue.others, before)
    })
  }

  test('two of one name, and a folder without any', async (t) => {
    const { findings } = await checked(t, {
      'mine/a/policy.js': example,
      'mine/b/policy.js': example,
      'sluice.yaml': configuration('./mine, ./none, nowhere', 'cors: {}'),
    })
    assert.deepEqual(
      findings.map(({ code, message }) => [code, message]).sort(),
      [
        ['file-not-found', './none leads to no policy'],
        ['file-not-found', 'nowhere leads to no policy'],
        ['invalid-policy', `the name require-tenant belongs to ${join('mine', 'a', 'policy.js')}`],
      ].sort(),
    )
  })
})

suite('versions of code that stay in memory', () => {
  const most = 2
  const check = async (folder: string) =>
    checkWithPolicies(await load(['sluice.yaml'], {}, folder), folder, { gatewayVersion: '0' }, most)
  /** @param write puts a version of the code into the folder */
  const firstRefused = async (
    t: TestContext,
    config: string,
    write: (folder: string, version: number) => Promise<void>,
  ) => {
    t.after(() => {
      catalogue.others = new Map()
    })
    const folder = await folderOf(t, { 'sluice.yaml': config, 'mine/mine/policy.ts': '', 'own.ts': '' })
    for (let version = 0; ; version++) {
      await write(folder, version)
      const { plan, findings } = await check(folder)
      if (plan === undefined) return { version, findings, folder }
    }
  }

  test('of policies: a further one is a finding, and one that was there before is none', async (t) => {
    const write = (folder: string, version: number) =>
      writeFile(join(folder, 'mine/mine/policy.ts'), answering('mine', `const text = 'v${version}'`))
    const { version, findings, folder } = await firstRefused(t, configuration('./mine', 'mine: {}'), write)
    // Those of other tests count too, in this thread.
    assert.ok(version <= most)
    assert.deepEqual(
      findings.map(({ code, file, path }) => [code, file, path]),
      [['too-many-versions', 'sluice.yaml', 'gateway.policies']],
    )
    assert.match(findings[0]!.message, /^2 older versions of code are loaded already/)
    if (version > 0) {
      await write(folder, 0)
      assert.ok((await check(folder)).plan)
    }
  })

  const functions = (workers: number) => `
gateway: { workers: ${workers}, data_dir: ':memory:' }
routes:
  - id: one
    uris: [/]
    plugins: { serverless-pre-function: { functions: [./own.ts] } }
    upstream: { nodes: { "127.0.0.1:9": 1 } }
`
  const writeFunction = (folder: string, version: number) =>
    writeFile(join(folder, 'own.ts'), `export default () => ({ status: 200, body: 'v${version}' })`)

  test('of functions, where one data thread is alone', async (t) => {
    const { version, findings, folder } = await firstRefused(t, functions(1), writeFunction)
    assert.equal(version, most)
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['too-many-versions'],
    )
    await writeFunction(folder, version - 1)
    assert.ok((await check(folder)).plan, 'what is there already goes on')
    await writeFile(join(folder, 'sluice.yaml'), functions(2))
    await writeFunction(folder, version + 1)
    assert.ok((await check(folder)).plan, 'several are restarted one by one')
  })
})

test('a gateway runs them in every thread, and takes changed code with a reload or keeps what it has', async (t) => {
  const folder = await folderOf(t, {
    'hello/policy.ts': answering('hello', "import { text } from './text.ts'"),
    'hello/text.ts': "export const text: string = 'first'",
    'require-tenant/policy.js': example,
  })
  const origin = await startOrigin(t, 'origin')
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  policies: [${folder}]
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { enabled: false }
  metrics: { enabled: false }
routes:
  - { id: hello, uris: [/hello], plugins: { hello: {} }, upstream: { nodes: { "127.0.0.1:${origin.port}": 1 } } }
  - { id: tenant, uris: [/tenant], plugins: { require-tenant: {} }, upstream: { nodes: { "127.0.0.1:${origin.port}": 1 } } }
`,
  )
  t.after(() => gateway.stop())
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
      headers: { connection: 'close', ...headers },
    })
    return `${answer.status} ${await answer.text()}`
  }
  const askMany = async () => new Set(await Promise.all(Array.from({ length: 20 }, () => ask('/hello'))))
  const reload = async (line: string) => {
    const known = gateway.output().length
    process.kill(gateway.pid, 'SIGHUP')
    while (!gateway.output().slice(known).includes(line)) await sleep(20)
  }
  assert.deepEqual(await askMany(), new Set(['200 first']))
  assert.equal(await ask('/tenant'), '403 {"message":"X-Tenant is missing"}\n')
  assert.equal(await ask('/tenant', { 'x-tenant': 'a' }), '200 origin')

  await writeFile(join(folder, 'hello', 'text.ts'), "export const text: string = 'second'")
  await reload('new configuration is in use')
  assert.deepEqual(await askMany(), new Set(['200 second']))

  await writeFile(join(folder, 'hello', 'text.ts'), 'export const text: string = (')
  await reload('NEW CONFIGURATION REFUSED')
  assert.match(gateway.output(), /does not load/)
  assert.deepEqual(await askMany(), new Set(['200 second']))
})
