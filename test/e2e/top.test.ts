/** `sluice top` beside a gateway that takes requests. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { freePort, startGateway } from '../harness/gateway.ts'

const main = new URL('../../bin/sluice.js', import.meta.url).pathname
const run = promisify(execFile)

test('one look shows the routes that took requests meanwhile', async (t) => {
  const metrics = await freePort()
  const gateway = await startGateway(
    (port) => `
gateway:
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  workers: 1
  metrics: { port: ${metrics} }
  control: { enabled: false }
global_rules: [{ id: seen, plugins: { prometheus: {} } }]
routes:
  - { id: hello, uri: /hello, plugins: { mocking: { response_example: hello } } }
`,
  )
  t.after(() => gateway.stop())
  let asking = true
  const asked = (async () => {
    while (asking) await (await fetch(`http://127.0.0.1:${gateway.port}/hello`)).text()
  })()
  const { stdout } = await run(process.execPath, [
    main,
    'top',
    '--interval',
    '1500ms',
    '--gateway',
    `http://127.0.0.1:${metrics}`,
  ]).finally(() => {
    asking = false
  })
  await asked
  assert.match(stdout, /^gateway +ready/)
  assert.match(stdout, /^hello +[\d.]+\/s +0 +0 +\d+ +\d+/m)
})

test('a gateway that is not there is said to be so', async () => {
  const port = await freePort()
  await assert.rejects(
    run(process.execPath, [main, 'top', '--gateway', `http://127.0.0.1:${port}`]),
    (error: Error & { code: number; stderr: string }) =>
      error.code === 1 && error.stderr.includes(`http://127.0.0.1:${port}: connect ECONNREFUSED`),
  )
})
