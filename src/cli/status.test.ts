import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { command } from './status.ts'

const gateway = {
  state: 'running',
  listening: 2,
  threads: 2,
  restarts: 0,
  connections: 7,
  plan: { version: 3, applied_at: '2026-01-01T00:00:00Z' },
  sync: null,
}
const sync = {
  registration: { name: 'edge' },
  group: { name: 'default' },
  connected: true,
  last_contact: 1_790_000_000,
  desired_status: 'STARTED',
  clock_skew: 0,
  configuration: { state: 'applied', version: 17, stale: false, expires: 1_790_086_400 },
  certificate: { not_after: 1_797_776_000 },
  without_effect: [],
}

/** What is printed for what a control port answers. */
async function printed(t: TestContext, status: object, ...argv: string[]): Promise<string> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/v1/status' ? 200 : 404).end(JSON.stringify(status))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  let stdout = ''
  const code = await command.run(argv, {
    stdout: {
      write: (text) => {
        stdout += text
      },
    },
    stderr: { write: assert.fail },
    env: { SLUICE_CONTROL_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    cwd: '/',
    isTTY: false,
  })
  assert.equal(code, 0)
  return stdout
}

test('a gateway without a control plane', async (t) => {
  assert.equal(
    await printed(t, gateway),
    `gateway         running, 2 of 2 data threads listen, 0 restarts
connections     7
plan            version 3, since 2026-01-01T00:00:00Z
control plane   none
`,
  )
})

test('one that is in sync', async (t) => {
  const text = await printed(t, { ...gateway, sync })
  assert.equal(
    text.slice(text.indexOf('control plane')),
    `control plane   reached
registered as   edge, in the group default
configuration   version 17, in force, good until 2026-09-22T14:13:20Z
certificate     expires 2026-12-20T14:13:20Z
`,
  )
})

test('one on which everything went wrong', async (t) => {
  const findings = [{ path: 'routes[0].uri', message: 'is missing' }]
  const refusal = { code: 'invalid-configuration', message: 'the configuration has errors', findings }
  const text = await printed(t, {
    ...gateway,
    sync: {
      ...sync,
      connected: false,
      failure: 'https://control.example: nothing listens there (ECONNREFUSED)',
      desired_status: 'STOPPED',
      clock_skew: -3600,
      configuration: { ...sync.configuration, state: 'refused', stale: true, refusal },
      without_effect: ['tracing'],
    },
  })
  assert.equal(
    text.slice(text.indexOf('control plane')),
    `control plane   not reached since 2026-09-21T14:13:20Z: https://control.example: nothing listens there (ECONNREFUSED)
registered as   edge, in the group default
configuration   version 17, in force; the last one was refused, STALE since 2026-09-22T14:13:20Z
certificate     expires 2026-12-20T14:13:20Z
refused         invalid-configuration: the configuration has errors
                routes[0].uri: is missing
traffic         STOPPED by the control plane
clock           3600 s behind the control plane
without effect  tracing
`,
  )
})

test('for programs', async (t) => {
  const status = { ...gateway, sync }
  assert.deepEqual(JSON.parse(await printed(t, status, '--format', 'json')), status)
})

test('another format is a mistake in usage', async (t) => {
  await assert.rejects(printed(t, gateway, '--format', 'xml'), { name: 'UsageError' })
})
