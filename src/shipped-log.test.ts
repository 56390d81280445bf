import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { PluginSetSpec } from './config/plan.ts'
import { checkSchema } from './config/schema.ts'
import { shippedLogSettings } from './policies/kit/logging/index.ts'
import { logServer, streamServer } from './policies/kit/logging/testing.ts'
import { ShippedLog } from './shipped-log.ts'
import { createLog } from './telemetry/log.ts'

function metadataOf(settings: Record<string, unknown>): PluginSetSpec {
  const filled = structuredClone(settings)
  assert.deepEqual(checkSchema(shippedLogSettings, filled), [])
  return { id: 'error-log-logger', plugins: { 'error-log-logger': filled } }
}

/** A log whose lines go nowhere else. */
function follow(t: TestContext, first?: PluginSetSpec) {
  const written: string[] = []
  const log = createLog('info', { write: (line) => written.push(line) })
  const state = { metadata: first }
  const shipped = new ShippedLog({
    log,
    metadata: () => state.metadata,
    withSecrets: (metadata) => JSON.parse(JSON.stringify(metadata).replaceAll('$env://PASSWORD', 'known')),
  })
  t.after(() => shipped.close())
  const outcomes = () =>
    Object.fromEntries(
      shipped.families().flatMap(({ values }) => values.map(({ labels, value }) => [labels.outcome, value])),
    )
  return { log, state, shipped, written, outcomes }
}

test('lines of the level and graver ones reach a server over TCP, and standard error too', async (t) => {
  const { port, messages } = await streamServer(t)
  const { log, shipped, written, outcomes } = follow(t, metadataOf({ tcp: { host: '127.0.0.1', port } }))
  log.info({}, 'too light')
  log.warn({ a: 1 }, 'a warning')
  log.error({ password: 'hunter2' }, 'an error')
  await shipped.close()
  const lines = (await messages.next()).split('\n')
  assert.deepEqual(
    lines.slice(0, 2).map((line) => JSON.parse(line).message),
    ['a warning', 'an error'],
  )
  assert.deepEqual([lines.length, lines[2], written.length], [3, '', 3])
  assert.doesNotMatch(lines.join(), /hunter2/)
  assert.deepEqual(outcomes(), { delivered: 2, failed: 0, discarded: 0 })
})

test('nothing is sent without metadata, nor after it was taken away; it may change while running', async (t) => {
  const { port, messages } = await streamServer(t)
  const { url, requests } = await logServer(t)
  const { log, state, shipped } = follow(t)
  log.error({}, 'for nobody')
  state.metadata = metadataOf({ tcp: { host: '127.0.0.1', port }, batch_max_size: 1 })
  log.error({}, 'for the first')
  assert.match(await messages.next(), /for the first/)
  state.metadata = metadataOf({
    skywalking: { endpoint_addr: `${url}/v3/logs`, service_instance_name: 'i' },
    level: 'INFO',
    batch_max_size: 1,
  })
  log.info({}, 'for the second')
  const { target, headers, body } = await requests.next()
  const [entry, ...others] = JSON.parse(body)
  assert.deepEqual([target, headers['content-type'], others], ['/v3/logs', 'application/json', []])
  assert.deepEqual([entry.service, entry.serviceInstance, entry.endpoint], ['APISIX', 'i', ''])
  assert.equal(JSON.parse(entry.body.text.text).message, 'for the second')
  state.metadata = undefined
  log.error({}, 'for nobody any more')
  await shipped.close()
  assert.deepEqual([messages.all.length, requests.all.length], [1, 1])
})

test('ClickHouse gets rows, with a password that a reference leads to', async (t) => {
  const { url, requests } = await logServer(t)
  const clickhouse = { endpoint_addr: url, password: '$env://PASSWORD', database: 'd', logtable: 't' }
  const { log, shipped } = follow(t, metadataOf({ clickhouse }))
  log.warn({}, 'one')
  log.warn({}, 'two')
  await shipped.close()
  const { headers, body } = await requests.next()
  assert.deepEqual(
    ['x-clickhouse-user', 'x-clickhouse-key', 'x-clickhouse-database'].map((name) => headers[name]),
    ['default', 'known', 'd'],
  )
  const [, first, second] = /^INSERT INTO t FORMAT JSONEachRow (\{.*\}) (\{.*\})$/.exec(body) ?? []
  assert.deepEqual(
    [first!, second!].map((row) => JSON.parse(JSON.parse(row).data).message),
    ['one', 'two'],
  )
})

test('a server that fails costs lines and one line of the log, not more', async (t) => {
  const { url } = await logServer(t, () => ({ status: 500 }))
  const clickhouse = { endpoint_addr: `${url}/?token=s3cret`, password: 'hunter2' }
  const { log, shipped, written, outcomes } = follow(t, metadataOf({ clickhouse, batch_max_size: 1 }))
  log.error({}, 'one')
  log.error({}, 'two')
  await shipped.close()
  const reports = written.filter((line) => line.includes('log entries cannot be delivered'))
  assert.equal(reports.length, 1)
  assert.doesNotMatch(written.join(''), /hunter2|s3cret/)
  assert.ok(outcomes().failed! >= 2)
})
