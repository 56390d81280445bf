/** A running gateway explains a request with what it knows at that moment, and what it says is what then happens. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import type { Explanation } from '../../src/proxy/explain/explanation.ts'
import { freePort, startGateway } from '../harness/gateway.ts'

const exec = promisify(execFile)
const main = new URL('../../src/main.ts', import.meta.url).pathname

async function started(t: TestContext) {
  const seen: string[] = []
  const origin = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    response.end('hello')
  })
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
  t.after(() => origin.close())
  const control = await freePort()
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { port: ${control} }
  metrics: { enabled: false }
routes:
  - id: a
    uri: /a/*
    plugins:
      key-auth: {}
      limit-count: { count: 2, time_window: 3600, rejected_code: 429, key: consumer_name }
    upstream: { nodes: { "127.0.0.1:${(origin.address() as AddressInfo).port}": 1 } }
consumers: [{ username: jack, plugins: { key-auth: { key: sesame } } }]
`,
  )
  t.after(() => gateway.stop())
  const url = `http://127.0.0.1:${gateway.port}/a/1`
  const explain = async (description: object) => {
    const body = JSON.stringify(description)
    const response = await fetch(`http://127.0.0.1:${control}/v1/explain`, { method: 'POST', body })
    return { status: response.status, body: JSON.parse(await response.text()) }
  }
  return { explain, url, seen, control }
}

test('its word on a limit is that of the moment, and asking costs nothing', async (t) => {
  const { explain, url, seen } = await started(t)
  const headers = { apikey: 'sesame' }
  for (const remaining of [1, 0, -1]) {
    for (let asked = 0; asked < 3; asked++) {
      const {
        outcome,
        answer_fields: fields,
        consumer,
      } = (await explain({ url, headers })).body as Explanation
      assert.deepEqual(consumer, { username: 'jack', credential: '' })
      if (remaining >= 0) {
        assert.equal(outcome.kind, 'forwarded')
        assert.ok(fields.includes(`X-RateLimit-Remaining: ${remaining}`), String(fields))
      } else assert.deepEqual(outcome, { kind: 'answered', status: 429, by: 'limit-count' })
    }
    assert.equal((await fetch(url, { headers })).status, remaining >= 0 ? 200 : 429)
  }
  assert.deepEqual(seen, ['GET /a/1', 'GET /a/1'])
})

test('says where everything was written, as long as the file is the one that is running', async (t) => {
  const { explain, url } = await started(t)
  const { route, policies, version } = (await explain({ url })).body as Explanation
  assert.match(route?.source?.file ?? '', /sluice\.yaml$/)
  assert.equal(route?.source?.line, 8)
  const limit = policies.find(({ name }) => name === 'limit-count')
  assert.equal(limit?.properties?.find(({ path }) => path === 'count')?.source?.line, 12)
  assert.equal(version, 1)
})

test('the command prints it; a description that makes no sense is refused', async (t) => {
  const { explain, url, control } = await started(t)
  const gateway = `http://127.0.0.1:${control}`
  const { stdout } = await exec(process.execPath, [main, 'explain', '--gateway', gateway, url])
  assert.match(stdout, /^answered by key-auth with 401 /m)
  assert.match(stdout, /^route {5}a as \/a\/\* {2}\(.*sluice\.yaml:8\)$/m)
  for (const [description, problem] of [
    [{}, /url must be/],
    [{ url: 'ftp://x' }, /url must be/],
    [{ url: '/', uri: '/' }, /there is no field uri/],
    [{ url: '/', headers: [['a', 'b\nc: d']] }, /headers must be pairs/],
    [{ url: '/', from: 'me' }, /IP address/],
  ] as const) {
    const { status, body } = await explain(description)
    assert.equal(status, 400)
    assert.match(body.error_msg, problem)
  }
})
