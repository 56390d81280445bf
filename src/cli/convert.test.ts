import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { parse } from 'yaml'
import { runProgram } from './program.ts'

async function convert(t: TestContext, text: string, argv = ['--to', 'apisix', '.'], env = {}) {
  const cwd = await mkdtemp(join(tmpdir(), 'sluice-convert-'))
  t.after(() => rm(cwd, { recursive: true }))
  await writeFile(join(cwd, 'shop.yaml'), text)
  const run = async (args: string[]) => {
    const output = { stdout: '', stderr: '' }
    const code = await runProgram(args, {
      stdout: { write: (chunk) => (output.stdout += chunk) },
      stderr: { write: (chunk) => (output.stderr += chunk) },
      env,
      cwd,
      isTTY: false,
    })
    return { code, ...output }
  }
  return { ...(await run(['convert', ...argv])), run, cwd }
}

const shop = `apiVersion: gateway.mulesoft.com/v1alpha1
kind: ApiInstance
metadata: { name: shop }
spec:
  address: http://0.0.0.0:8081/shop/
  services: { orders: { address: "http://10.0.0.5:9000", routes: [{ rules: [{ path: "/v1(/.*)" }] }] } }
  policies:
    - policyRef: { name: http-basic-authentication-flex }
      config: { username: ada, password: $SHOP_PASSWORD }
---
apiVersion: gateway.mulesoft.com/v1alpha1
kind: Configuration
metadata: { name: limits }
spec: { resourceLimits: { apiInstances: 5 } }
`

suite('sluice convert', () => {
  test('prints what resources come to, with where they were written and what has no equal', async (t) => {
    const { code, stdout } = await convert(t, shop, undefined, { SHOP_PASSWORD: 'of-the-shop' })
    assert.equal(code, 0)
    assert.match(stdout, /^# shop\.yaml:14:9: info ignored-field: spec\.resourceLimits/m)
    assert.match(stdout, /# shop\.yaml:5 spec\n/)
    const made = parse(stdout)
    assert.deepEqual(
      made.routes.map(({ uri }: { uri: string }) => uri),
      ['/shop/*', '/*'],
    )
    assert.equal(made.upstreams[0].nodes[0].host, '10.0.0.5')
    assert.deepEqual(made.gateway.listeners, [{ name: 'port-8081', host: '0.0.0.0', port: 8081 }])
  })

  test('prints no value of the environment', async (t) => {
    const { stdout } = await convert(t, shop, undefined, { SHOP_PASSWORD: 'of-the-shop' })
    assert.ok(!stdout.includes('of-the-shop'))
    assert.equal(
      parse(stdout).services[0].plugins['http-basic-authentication-flex'].password,
      `\${SHOP_PASSWORD}`,
    )
  })

  test('what it prints is a sound configuration', async (t) => {
    const { stdout, run, cwd } = await convert(t, shop, undefined, { SHOP_PASSWORD: 'of-the-shop' })
    await writeFile(join(cwd, 'sluice.yaml'), stdout)
    const { code, stdout: said } = await run(['validate', '-c', 'sluice.yaml'])
    assert.equal(code, 0, said)
  })

  test('errors go to standard error too, and are told by the exit code', async (t) => {
    const { code, stderr, stdout } = await convert(
      t,
      shop.replace('http-basic-authentication-flex', 'native-ext-proc-flex'),
    )
    assert.equal(code, 3)
    assert.match(stderr, /unsupported-resource/)
    assert.match(stdout, /^# .*unsupported-resource/m)
  })

  test('says what it needs', async (t) => {
    assert.equal((await convert(t, shop, ['.'])).code, 2)
    assert.equal((await convert(t, shop, ['--to', 'apisix'])).code, 2)
    const { code, stderr } = await convert(t, 'routes: []\n')
    assert.equal(code, 1)
    assert.match(stderr, /there is no resource of Flex Gateway/)
  })
})
