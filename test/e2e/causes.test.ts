/** Who caused an answer of the gateway's own, and why: in the answer, in the log and in a metric. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { freePort } from '../harness/gateway.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const [metricsPort, deadPort] = [await freePort(), await freePort()]

const folder = mkdtempSync(join(tmpdir(), 'sluice-causes-'))
after(() => rmSync(folder, { recursive: true }))
const log = join(folder, 'causes.log')

const settings = `
  metrics: { host: 127.0.0.1, port: ${metricsPort} }
  forwarding: { show_cause: true }
`
const resources = `
routes:
  - { id: fine, uri: /fine, upstream_id: u }
  - { id: refused, uri: /refused, upstream_id: u, plugins: { key-auth: {} } }
  - { id: dead, uri: /dead, upstream: { nodes: { "127.0.0.1:${deadPort}": 1 } } }
  - { id: redirected, uri: /redirected, plugins: { redirect: { uri: /fine } } }
global_rules:
  - { id: all, plugins: { file-logger: { path: ${log}, log_format: { cause: $cause_source, code: $cause_code, uri: $uri } } } }
`

suite('causes', () => {
  const gateway = policyGateway(() => `gateway:${settings}${resources}`)

  for (const [path, status, cause] of [
    ['/fine', 200, undefined],
    ['/nowhere', 404, 'client route_not_found'],
    ['/refused', 401, 'policy key-auth'],
    ['/redirected', 302, 'policy redirect'],
    ['/dead', 502, 'upstream upstream_connect_failed'],
  ] as const) {
    test(`${path} is ${status}, because of ${cause ?? 'nothing'}`, async () => {
      const answered = await gateway.send(path)
      assert.deepEqual(
        [answered.status, answered.headers.get('x-sluice-cause') ?? undefined],
        [status, cause],
      )
      if (cause === undefined) return
      const [source, code] = cause.split(' ')
      const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
      assert.ok(text.includes(`sluice_own_answers_total{source="${source}",code="${code}"} 1\n`))
      const line = `"cause":"${source}","code":"${code}","uri":"${path}"`
      while (!(await readFile(log, 'utf8').catch(() => '')).includes(line))
        await new Promise((resolve) => setImmediate(resolve))
    })
  }

  for (const [request, cause] of [
    ['GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n', 'client bad_target'],
    ['GET / HTTP/1.1\r\nHost: a\r\n bad\r\n\r\n', 'client bad_request'],
  ] as const) {
    test(`a request that is malformed has a cause too: ${cause}`, async () => {
      const socket = connect(gateway.port, '127.0.0.1')
      socket.end(request)
      const [answer] = await once(socket.setEncoding('latin1'), 'data')
      assert.match(answer, /^HTTP\/1\.1 400 /)
      assert.ok(answer.includes(`\r\nX-Sluice-Cause: ${cause}\r\n`))
    })
  }
})

suite('causes by default', () => {
  const gateway = policyGateway(() => resources)

  test('clients are told nothing', async () => {
    assert.equal((await gateway.send('/nowhere')).headers.get('x-sluice-cause'), null)
  })
})
