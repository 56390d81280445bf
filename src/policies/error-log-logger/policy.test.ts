import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSchema } from '../../config/schema.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('it has no part in traffic', () => {
  assert.deepEqual(bindPolicy(policy).handlers, {})
})

const findings = (metadata: object) => checkSchema(policy.metadata!, structuredClone(metadata))
const tcp = { host: '127.0.0.1', port: 1999 }

test('the metadata names one server, and has the defaults of APISIX', () => {
  for (const good of [{ tcp }, { skywalking: {} }, { clickhouse: {} }, tcp]) {
    assert.deepEqual(findings(good), [], JSON.stringify(good))
  }
  const metadata = { tcp: { ...tcp } }
  checkSchema(policy.metadata!, metadata)
  assert.deepEqual(metadata, {
    tcp: { ...tcp, tls: false },
    level: 'WARN',
    timeout: 3,
    keepalive: 30,
    name: 'error-log-logger',
    max_retry_count: 0,
    retry_delay: 1,
    buffer_duration: 60,
    inactive_timeout: 3,
    batch_max_size: 1000,
  })
})

for (const [what, metadata, path] of [
  ['no server', {}, ''],
  ['two servers', { tcp, skywalking: {} }, ''],
  ['Kafka', { kafka: { brokers: [{ host: 'a', port: 1 }], kafka_topic: 't' } }, 'kafka'],
  ['a server without a host', { tcp: { port: 1 } }, 'tcp'],
  ['a port that is no number', { tcp: { host: 'a', port: '1' } }, 'tcp.port'],
  ['TLS that is no boolean', { tcp: { ...tcp, tls: 'yes' } }, 'tcp.tls'],
  ['a name that is no text', { tcp: { ...tcp, tls_server_name: 1 } }, 'tcp.tls_server_name'],
  ['an address without a scheme', { skywalking: { endpoint_addr: 'a' } }, 'skywalking.endpoint_addr'],
  [
    'an address of ClickHouse without one',
    { clickhouse: { endpoint_addr: 'a' } },
    'clickhouse.endpoint_addr',
  ],
  ['a password that is no text', { clickhouse: { password: 1 } }, 'clickhouse.password'],
  ['an unknown level', { tcp, level: 'warn' }, 'level'],
  ['no time', { tcp, timeout: 0 }, 'timeout'],
  ['no time for idle connections', { tcp, keepalive: 0 }, 'keepalive'],
  ['no rest', { tcp, inactive_timeout: 0 }, 'inactive_timeout'],
  ['no time for a batch', { tcp, buffer_duration: 0 }, 'buffer_duration'],
  ['fewer lines than none', { tcp, batch_max_size: -1 }, 'batch_max_size'],
] as const) {
  test(`${what} is a finding`, () => {
    assert.ok(findings(metadata).some((finding) => finding.path.join('.') === path))
  })
}
