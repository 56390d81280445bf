/** docs/guides/serverless.md, run. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from '../../src/config/check.ts'
import { load } from '../../src/config/load.ts'
import { catalogue, policySchemas } from '../../src/policies/index.ts'
import { checkWithPolicies } from '../../src/policy-modules.ts'
import { startGateway } from '../harness/gateway.ts'
import { startOrigin } from '../harness/origins.ts'

const guide = await readFile(new URL('../../docs/guides/serverless.md', import.meta.url), 'utf8')
const blocks = new Map(
  [...guide.matchAll(/```\w+ (\S+)\n(.*?)```/gs)].map(([, name, text]) => [name!, text!]),
)

async function written(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-guide-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const [name, text] of blocks) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

test('its configuration is sound', async (t) => {
  const folder = await written(t)
  const loaded = await load(['sluice.yaml', 'permitted.yaml'], {}, folder)
  const { plan, findings } = await checkWithPolicies(loaded, folder, { gatewayVersion: '0' })
  assert.deepEqual(
    findings.map(({ message }) => message),
    [],
  )
  const modules = plan!.settings.functions.modules.map(({ name }) => name)
  assert.deepEqual(modules, [join(folder, 'functions/tenant.ts'), 'tenant.ts'])
})

test('its function answers, changes what the upstream gets, and logs', async (t) => {
  const folder = await written(t)
  const origin = await startOrigin(t, 'origin')
  const routes = blocks
    .get('sluice.yaml')!
    .replaceAll('./functions', join(folder, 'functions'))
    .replace('127.0.0.1:9101', `127.0.0.1:${origin.port}`)
  const gateway = await startGateway(
    (port) => `
gateway:
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { enabled: false }
  metrics: { enabled: false }
${routes}`,
  )
  t.after(() => gateway.stop())
  const url = `http://127.0.0.1:${gateway.port}/tenants/1`
  const refused = await fetch(url)
  assert.equal(`${refused.status} ${await refused.text()}`, '403 {"message":"X-Tenant is missing"}\n')
  const passed = await fetch(url, { headers: { 'x-tenant': 'eu-1' } })
  assert.equal(`${passed.status} ${await passed.text()}`, '200 origin')
  const line = /"status":200,"path":"\/tenants\/1".*"tenant was served"/
  while (!line.test(gateway.output())) await sleep(20)

  // A changed function is taken without a restart, and a broken one leaves the one that there is.
  const file = join(folder, 'functions/tenant.ts')
  const code = await readFile(file, 'utf8')
  await writeFile(file, code.replace('X-Tenant is missing', 'no tenant'))
  while (!(await (await fetch(url)).text()).includes('no tenant')) await sleep(50)
  await writeFile(file, `${code}\nthrow new Error('on purpose')`)
  while (!gateway.output().includes('NEW CONFIGURATION REFUSED')) await sleep(50)
  assert.match(await (await fetch(url)).text(), /no tenant/)
  await writeFile(file, code)
  while (!(await (await fetch(url)).text()).includes('X-Tenant is missing')) await sleep(50)
})

test('the finding for Lua is the one that it shows', async () => {
  const [, shown = ''] = /```\nerror: (.*)\n```/.exec(guide) ?? []
  const value = {
    routes: [
      {
        id: 'r',
        uri: '/',
        plugins: { 'serverless-pre-function': { functions: ['return function() ngx.exit(201) end'] } },
        upstream: { nodes: { '127.0.0.1:1': 1 } },
      },
    ],
  }
  const document = { file: 'a', value, locate: (wanted: readonly unknown[]) => wanted.map(() => undefined) }
  const { findings } = check({ documents: [document], findings: [] }, policySchemas(catalogue), {
    gatewayVersion: '0',
  })
  assert.deepEqual(
    findings.map(({ message }) => message),
    [shown],
  )
  assert.match(findings[0]!.hint!, /satisfies RequestFunction.*return \{ status, body \}/)
})
