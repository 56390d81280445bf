import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { runProgram } from './program.ts'

async function validate(t: TestContext, text: string, ...argv: string[]) {
  const cwd = await mkdtemp(join(tmpdir(), 'sluice-validate-'))
  t.after(() => rm(cwd, { recursive: true }))
  await writeFile(join(cwd, 'sluice.yaml'), text)
  const output = { stdout: '', stderr: '' }
  const code = await runProgram(['validate', ...argv], {
    stdout: { write: (chunk) => (output.stdout += chunk) },
    stderr: { write: (chunk) => (output.stderr += chunk) },
    env: {},
    cwd,
    isTTY: false,
  })
  return { code, ...output }
}

const sound = `
gateway: { workers: 2, control: { enabled: false } }
routes: [{ id: a, uri: /a, upstream: { nodes: { "127.0.0.1:1": 1 } } }]
consumers: [{ username: jack }, { username: jill }]
`
const broken = 'routes:\n  - uri: /a\n    upstream_di: 1\n'

suite('sluice validate', () => {
  test('says what a sound configuration would run', async (t) => {
    const { code, stdout } = await validate(t, sound)
    t.assert.equal(code, 0)
    t.assert.equal(
      stdout,
      [
        'would listen with 2 data threads:',
        '  http: http on 0.0.0.0:9080',
        '  metrics: 127.0.0.1:9091',
        'and serve 2 consumers, 1 route',
        'valid',
        '',
      ].join('\n'),
    )
  })

  test('prints every finding of another one, and ends with 3', async (t) => {
    const { code, stdout } = await validate(t, broken, '-c', 'sluice.yaml')
    t.assert.equal(code, 3)
    t.assert.match(
      stdout,
      /^sluice\.yaml:3:5: error unknown-field: routes\[0\]\.upstream_di: .*\n {4}Did you mean upstream_id\?\n/m,
    )
    t.assert.match(stdout, /\nnot valid: 1 error\n$/)
  })

  test('prints JSON when asked to', async (t) => {
    const good = JSON.parse((await validate(t, sound, '--format', 'json')).stdout)
    t.assert.equal(good.valid, true)
    t.assert.equal(good.summary.resources.routes, 1)
    t.assert.deepEqual(good.summary.listeners, [
      { name: 'http', host: '0.0.0.0', port: 9080, protocol: 'http', http2: true },
    ])
    const bad = await validate(t, broken, '--format', 'json')
    t.assert.equal(bad.code, 3)
    const report = JSON.parse(bad.stdout)
    t.assert.equal(report.summary, undefined)
    t.assert.deepEqual(report.findings[0], {
      code: 'unknown-field',
      severity: 'error',
      file: './sluice.yaml',
      line: 3,
      column: 5,
      path: 'routes[0].upstream_di',
      message: 'there is no field upstream_di here',
      hint: 'Did you mean upstream_id?',
    })
  })

  test('takes a wrong option for a mistake of usage', async (t) => {
    t.assert.equal((await validate(t, sound, '--format', 'xml')).code, 2)
    t.assert.equal((await validate(t, sound, '--nope')).code, 2)
  })

  test('finds what is not there invalid', async (t) => {
    const { code, stdout } = await validate(t, sound, '-c', 'none.yaml')
    t.assert.equal(code, 3)
    t.assert.match(stdout, /^none\.yaml: error file-not-found: /)
  })
})
