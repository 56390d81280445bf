/**
 * Secrets planted wherever a configuration and a request can hold one: none of them shows up in a log, a metric, a trace, an
 * answer or an explanation.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { freePort } from '../harness/gateway.ts'
import { startOtlpReceiver } from '../harness/otlp-receiver.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

/** Every secret has it, so that one search finds them all. */
const mark = 'PLANTED'
let planted = 0
const secret = () => `${mark}${planted++}-0123456789abcdef0123456789abcdef`

const folder = mkdtempSync(join(tmpdir(), 'sluice-planted-'))
const receiver = await startOtlpReceiver()
const told: string[] = []
const logServer = http.createServer(async (request, response) => {
  let body = ''
  for await (const piece of request.setEncoding('utf8')) body += piece
  told.push(body)
  response.end()
})
await new Promise<void>((resolve) => logServer.listen(0, '127.0.0.1', resolve))
const logPort = (logServer.address() as AddressInfo).port
after(() => {
  receiver.close()
  logServer.closeAllConnections()
  logServer.close()
  rmSync(folder, { recursive: true })
})
const [metricsPort, controlPort, deadPort] = [await freePort(), await freePort(), await freePort()]
const key = secret()
const password = secret()
const access = join(folder, 'access.log')

suite('planted secrets', () => {
  const gateway = policyGateway(
    () => `
gateway:
  metrics: { host: 127.0.0.1, port: ${metricsPort} }
  control: { host: 127.0.0.1, port: ${controlPort} }
  log: { level: trace }
  forwarding: { show_cause: true }
  tracing: { exporter: { endpoint: "http://127.0.0.1:${receiver.httpPort}", headers: { authorization: ${secret()} } }, batch: { size: 1 } }
consumers:
  - username: alice
    plugins:
      key-auth: { key: ${key} }
      basic-auth: { username: alice, password: ${password} }
      jwt-auth: { key: alice, secret: ${secret()} }
      hmac-auth: { key_id: alice, secret_key: ${secret()} }
routes:
  - { id: key, uri: /key, upstream_id: u, plugins: { key-auth: {} } }
  - { id: basic, uri: /basic, upstream_id: u, plugins: { basic-auth: {} } }
  - { id: jwt, uri: /jwt, upstream_id: u, plugins: { jwt-auth: {} } }
  - { id: hmac, uri: /hmac, upstream_id: u, plugins: { hmac-auth: {} } }
  - { id: csrf, uri: /csrf, upstream_id: u, plugins: { csrf: { key: ${secret()} } } }
  - { id: dead, uri: /dead, upstream: { nodes: { "127.0.0.1:${deadPort}": 1 } } }
  - id: loggers
    uri: /loggers
    upstream_id: u
    plugins:
      kafka-logger: { brokers: [{ host: 127.0.0.1, port: ${deadPort}, sasl_config: { user: u, password: ${secret()} } }], kafka_topic: t, batch_max_size: 1 }
      splunk-hec-logging: { endpoint: { uri: "http://127.0.0.1:${deadPort}/", token: ${secret()} }, batch_max_size: 1 }
      elasticsearch-logger: { endpoint_addrs: ["http://127.0.0.1:${deadPort}"], field: { index: i }, auth: { username: u, password: ${secret()} }, batch_max_size: 1 }
      loki-logger: { endpoint_addrs: ["http://127.0.0.1:${deadPort}"], headers: { X-Token: ${secret()} }, batch_max_size: 1 }
      clickhouse-logger: { endpoint_addr: "http://127.0.0.1:${deadPort}/", user: u, password: ${secret()}, database: d, logtable: t, batch_max_size: 1 }
      proxy-rewrite: { headers: { set: { x-plain: plain } } }
  - id: refused
    uri: /refused
    upstream_id: u
    plugins: { openid-connect: { client_id: c, client_secret: ${secret()}, discovery: "http://127.0.0.1:${deadPort}/d", bearer_only: true, use_jwks: true } }
global_rules:
  - id: all
    plugins:
      prometheus: {}
      http-logger: { uri: "http://127.0.0.1:${logPort}/", auth_header: ${secret()}, batch_max_size: 1 }
      zipkin: { endpoint: "http://127.0.0.1:${logPort}/", sample_ratio: 1 }
      file-logger: { path: ${access} }
`,
  )

  const paths = ['/key', '/basic', '/jwt', '/hmac', '/csrf', '/dead', '/loggers', '/refused', '/nowhere']

  test('none of them is in a log, a metric, a trace, an answer or an explanation', async () => {
    const answers: string[] = []
    const basic = Buffer.from(`alice:${password}`).toString('base64')
    for (const path of paths) {
      for (const headers of [
        { apikey: key, cookie: `session=${secret()}` },
        { authorization: `Basic ${basic}` },
        { authorization: `Bearer ${secret()}` },
        { 'x-api-key': secret(), 'proxy-authorization': secret() },
      ] as Record<string, string>[]) {
        const query = `token=${secret()}&access_token=${secret()}&password=${secret()}&api_key=${secret()}&page=2`
        const { status, text, headers: fields } = await gateway.send(`${path}?${query}`, { headers })
        // What the upstream was given is in its own answer.
        if (status !== 200) answers.push(text, JSON.stringify([...fields]))
      }
    }
    const explained: string[] = []
    const show = async (page: string, asked: RequestInit = {}) => {
      const shown = await fetch(`http://127.0.0.1:${controlPort}${page}`, asked)
      assert.equal(shown.status, 200, page)
      explained.push(await shown.text())
    }
    for (const path of paths) {
      const headers = { apikey: key, authorization: `Basic ${basic}` }
      await show('/v1/explain', { method: 'POST', body: JSON.stringify({ url: `http://a${path}`, headers }) })
    }
    for (const page of ['/v1/routes', '/v1/plan', '/v1/route_table', '/v1/services']) await show(page)
    const sent = paths.length * 4
    await receiver.until(
      () => receiver.batches.flatMap(({ spans }) => spans).filter(({ kind }) => kind === 2).length >= sent,
    )
    const lines = async () => (await readFile(access, 'utf8')).split('\n')
    while ((await lines()).length <= sent || told.length < sent)
      await new Promise((resolve) => setImmediate(resolve))
    const spans = receiver.batches.flatMap((batch) => batch.spans)
    const places: Record<string, string> = {
      log: gateway.output(),
      'access log': (await lines()).join('\n'),
      'log server': told.join('\n'),
      metrics: await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
      traces: JSON.stringify(spans, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
      answers: answers.join('\n'),
      explanations: explained.join('\n'),
    }
    for (const [place, text] of Object.entries(places)) {
      assert.ok(text.length > 100, `nothing came from ${place}`)
      for (const form of [mark, basic]) {
        const at = text.indexOf(form)
        assert.equal(at, -1, `${place}: ${text.slice(Math.max(0, at - 200), at + 60)}`)
      }
    }
  })
})
