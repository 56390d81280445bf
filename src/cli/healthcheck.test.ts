import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { command } from './healthcheck.ts'

async function answering(t: TestContext, status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/readyz`
}

async function check(argv: string[], env: Record<string, string> = {}) {
  let stdout = ''
  let stderr = ''
  const code = await command.run(argv, {
    stdout: {
      write: (text) => {
        stdout += text
      },
    },
    stderr: {
      write: (text) => {
        stderr += text
      },
    },
    env,
    cwd: '/',
    isTTY: false,
  })
  return { code, stdout, stderr }
}

test('a gateway that is ready: exit 0', async (t) => {
  const url = await answering(t, 200, 'ok\n')
  assert.deepEqual(await check(['--url', url]), { code: 0, stdout: 'ok\n', stderr: '' })
})

test('a gateway that is not: exit 1, and why', async (t) => {
  const url = await answering(t, 503, 'not ready: draining\n')
  assert.deepEqual(await check(['--url', url]), {
    code: 1,
    stdout: '',
    stderr: `${url}: 503 not ready: draining\n`,
  })
})

test('nobody there: exit 1', async () => {
  const { code, stderr } = await check([], { SLUICE_HEALTH_URL: 'http://127.0.0.1:1/readyz' })
  assert.equal(code, 1)
  assert.match(stderr, /ECONNREFUSED/)
})

test('a URL that cannot be asked is a mistake in usage', async () => {
  for (const url of ['readyz', 'https://127.0.0.1/']) {
    await assert.rejects(check(['--url', url]), { name: 'UsageError' })
  }
})
