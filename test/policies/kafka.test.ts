/** Entries for Kafka, at a broker that checks what it is told. */
import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { KafkaSink } from '../../src/policies/kit/logging/index.ts'
import { freePort } from '../harness/gateway.ts'
import { startKafkaBroker } from '../harness/kafka-broker.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const open = await startKafkaBroker({ topic: 'requests', partitions: 3 })
const guarded = await startKafkaBroker({ topic: 'requests', user: 'gateway', password: 'of-the-gateway' })
after(() => {
  open.close()
  guarded.close()
})
const [metricsPort, deadPort] = [await freePort(), await freePort()]

const logger = (id: string, settings: string) => `
  - id: ${id}
    uri: /${id}
    upstream_id: u
    plugins: { kafka-logger: { kafka_topic: requests, batch_max_size: 1, ${settings} } }`

const broker = (port: number, more = '') => `brokers: [{ host: 127.0.0.1, port: ${port}${more} }]`

const sasl = (mechanism: string, password = 'of-the-gateway') =>
  broker(guarded.port, `, sasl_config: { mechanism: ${mechanism}, user: gateway, password: ${password} }`)

suite('kafka-logger', () => {
  const gateway = policyGateway(
    () => `
gateway:
  metrics: { host: 127.0.0.1, port: ${metricsPort} }
routes:${[
      logger('plain', broker(open.port)),
      logger('keyed', `${broker(open.port)}, key: orders, required_acks: -1`),
      logger('old', `broker_list: { 127.0.0.1: ${open.port} }`),
      logger('origin', `${broker(open.port)}, meta_format: origin, include_req_body: true`),
      logger('pair', `${broker(open.port)}, batch_max_size: 2`).replace('batch_max_size: 1, ', ''),
      logger(
        'second',
        `brokers: [{ host: 127.0.0.1, port: ${deadPort} }, { host: 127.0.0.1, port: ${open.port} }]`,
      ),
      logger('sasl-plain', sasl('PLAIN')),
      logger('sasl-256', sasl('SCRAM-SHA-256')),
      logger('sasl-512', sasl('SCRAM-SHA-512')),
      logger('wrong-plain', sasl('PLAIN', 'wrong-password')),
      logger('wrong-256', sasl('SCRAM-SHA-256', 'wrong-password')),
      logger('retried', `${broker(open.port)}, max_retry_count: 5, retry_delay: 0`),
    ].join('')}
`,
  )

  async function logged(path: string, at = open, count = 1, sent = {}) {
    const before = at.messages.length
    for (let n = 0; n < count; n++) await gateway.send(path, sent)
    await at.until(() => at.messages.length > before)
    return at.messages.slice(before)
  }

  async function failures(): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    const found = /sluice_log_entries_total\{policy="kafka-logger",outcome="failed"\} (\d+)/.exec(text)
    return Number(found?.[1] ?? 0)
  }

  test('an entry is a message, and messages go to one partition after the other', async () => {
    const partitions = new Set<number>()
    for (let n = 0; n < 3; n++) {
      const [message] = await logged('/plain')
      const { key, acks, time, value, partition } = message!
      assert.deepEqual([key, acks], [null, 1])
      assert.ok(Math.abs(Date.now() - time) < 60_000)
      assert.equal(JSON.parse(value).request.uri, '/plain')
      partitions.add(partition)
    }
    assert.deepEqual([...partitions].sort(), [0, 1, 2])
  })

  test('messages with a key go to the partition of the key', async () => {
    const all = [...(await logged('/keyed')), ...(await logged('/keyed'))]
    assert.ok(all.every(({ key, acks }) => key === 'orders' && acks === -1))
    assert.equal(new Set(all.map(({ partition }) => partition)).size, 1)
  })

  test('several entries are one message with a list', async () => {
    const [message] = await logged('/pair', open, 2)
    assert.deepEqual(
      JSON.parse(message!.value).map(({ request }: { request: { uri: string } }) => request.uri),
      ['/pair', '/pair'],
    )
  })

  test('brokers may be a map, and one that is not there is passed over', async () => {
    for (const path of ['/old', '/second']) assert.equal((await logged(path)).length, 1)
  })

  test('a request can be told as it came, without its credentials', async () => {
    const headers = { authorization: 'Bearer planted', 'x-one': '1' }
    const [message] = await logged('/origin?token=planted&a=b', open, 1, {
      method: 'POST',
      headers,
      body: 'hello',
    })
    const { value } = message!
    assert.match(value, /^POST \/origin\?token=\*\*\*&a=b HTTP\/1\.1\r\n/)
    assert.match(value, /\r\nx-one: 1\r\n/)
    assert.match(value, /\r\n\r\nhello$/)
    assert.doesNotMatch(value, /planted/)
  })

  for (const path of ['/sasl-plain', '/sasl-256', '/sasl-512']) {
    test(`the broker is shown credentials: ${path}`, async () => {
      assert.equal((await logged(path, guarded)).length, 1)
    })
  }

  for (const path of ['/wrong-plain', '/wrong-256']) {
    test(`wrong credentials are counted and told without the password: ${path}`, async () => {
      const [before, kept] = [await failures(), guarded.messages.length]
      await gateway.send(path)
      while ((await failures()) === before) await new Promise((resolve) => setImmediate(resolve))
      assert.equal(guarded.messages.length, kept)
      while (!gateway.output().includes('does not accept the credentials'))
        await new Promise((resolve) => setImmediate(resolve))
      assert.doesNotMatch(gateway.output(), /wrong-password/)
    })
  }

  test('what a broker refuses is sent again', async () => {
    await logged('/retried')
    open.error = 6
    const sent = logged('/retried')
    await open.until(() => open.refusals > 0)
    open.error = 0
    assert.equal((await sent).length, 1)
  })
})

test('messages of one batch go where their keys lead, and those without one to one partition', async () => {
  const sink = new KafkaSink({
    brokers: [{ host: '127.0.0.1', port: open.port }],
    topic: 'requests',
    key: null,
    acks: 1,
    refresh: 1000,
    timeout: 5000,
    now: Date.now,
  })
  const keys = ['a', null, 'b', 'c', null, 'd']
  await sink.sendAll(keys.map((key, at) => ({ key, value: `of one batch ${at}` })))
  const taken = open.messages.filter(({ value }) => value.startsWith('of one batch'))
  assert.equal(taken.length, keys.length)
  for (const { key, partition } of taken.filter((message) => message.key !== null)) {
    assert.equal(partition, crc32(key!) % 3)
  }
  assert.equal(new Set(taken.filter(({ key }) => key === null).map(({ partition }) => partition)).size, 1)
  sink.close()
})
