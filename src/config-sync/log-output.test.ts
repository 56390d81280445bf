import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLogOutput, logOutputsOf, withoutEffectOf } from './log-output.ts'

const read = (type: string, parameters: Record<string, unknown>) => {
  const { outputs, findings } = logOutputsOf({ outputs: { out: { type, parameters } } })
  return outputs[0] ?? findings[0]?.message
}

test('outputs are read with the names and defaults of Fluent Bit, whatever their case', () => {
  assert.deepEqual(read('file', { Path: '/var/log/sluice/', File: 'a.log' }), {
    name: 'out',
    type: 'file',
    path: '/var/log/sluice/a.log',
  })
  assert.deepEqual(read('http', { Host: 'logs', PORT: 8080, Uri: '/in', header: ['X-Key a b', 'Y z'] }), {
    name: 'out',
    type: 'http',
    url: 'http://logs:8080/in',
    headers: { 'content-type': 'application/json', 'x-key': 'a b', y: 'z' },
    format: 'json',
    verify: true,
  })
  assert.deepEqual(read('es', { tls: 'on', 'tls.verify': 'Off', HTTP_User: 'u', http_passwd: 'p' }), {
    name: 'out',
    type: 'elasticsearch',
    url: 'https://127.0.0.1:9200/fluent-bit/_bulk',
    headers: { 'content-type': 'application/x-ndjson', authorization: 'Basic dTpw' },
    format: 'json',
    verify: false,
  })
  // The log is written there in any case.
  assert.deepEqual(logOutputsOf({ outputs: { stdout: { type: 'stdout' } } }), { outputs: [], findings: [] })
  assert.deepEqual(['stdout', 'kafka', 'splunk', 'constructor'].map(isLogOutput), [true, true, false, false])
})

test('topics of Kafka are read with the names and defaults of Fluent Bit and librdkafka', () => {
  const usual = {
    name: 'out',
    type: 'kafka',
    brokers: [{ host: 'a', port: 9092 }],
    topics: ['fluent-bit'],
    timestampKey: '@timestamp',
    timestampFormat: 'double',
    acks: -1,
    refresh: 300_000,
  }
  assert.deepEqual(read('kafka', { Brokers: 'a' }), usual)
  assert.deepEqual(read('kafka', { 'rdkafka.bootstrap.servers': 'a:9092' }), usual)
  assert.deepEqual(
    read('kafka', {
      brokers: 'a:1, [::1]:2',
      topics: 'x,y',
      topic_key: 'level',
      message_key: 'k',
      message_key_field: 'f',
      timestamp_key: 't',
      timestamp_format: 'iso8601',
      'rdkafka.request.required.acks': 1,
      'rdkafka.topic.metadata.refresh.interval.ms': '1000',
      'rdkafka.security.protocol': 'SASL_SSL',
      'rdkafka.enable.ssl.certificate.verification': 'false',
      'rdkafka.sasl.mechanisms': 'SCRAM-SHA-256',
      'rdkafka.sasl.username': 'u',
      'rdkafka.sasl.password': 'p,q',
    }),
    {
      name: 'out',
      type: 'kafka',
      brokers: [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 },
      ],
      topics: ['x', 'y'],
      topicKey: 'level',
      messageKey: 'k',
      messageKeyField: 'f',
      timestampKey: 't',
      timestampFormat: 'iso8601',
      acks: 1,
      refresh: 1000,
      tls: { verify: false },
      sasl: { mechanism: 'SCRAM-SHA-256', user: 'u', password: 'p,q' },
    },
  )
})

test('what nothing follows is named: types that are not spoken, and parameters of Kafka', () => {
  const outputs = {
    a: { type: 'splunk' },
    b: { type: 'kafka', parameters: { brokers: 'a', 'rdkafka.Linger.ms': 5, dynamic_topic: 'on' } },
    c: { type: 'stdout' },
  }
  assert.deepEqual(withoutEffectOf({ outputs }), [
    'logging.outputs.a',
    'logging.outputs.b.parameters.rdkafka.linger.ms',
    'logging.outputs.b.parameters.dynamic_topic',
  ])
  assert.deepEqual(withoutEffectOf(), [])
})

test('only those that the log names get it, and it names none that is not there', () => {
  const outputs = {
    a: { type: 'file', parameters: { file: '/a' } },
    b: { type: 'file', parameters: { file: '/b' } },
  }
  const names = (wanted: string[]) => logOutputsOf({ outputs, runtimeLogs: { outputs: wanted } })
  assert.deepEqual(
    names(['b']).outputs.map(({ name }) => name),
    ['b'],
  )
  assert.deepEqual(names([]).outputs, [])
  assert.equal(names(['c']).findings[0]!.path, 'runtime_configuration.logging.runtimeLogs.outputs')
})

for (const [what, type, parameters, message] of [
  ['a file without a place', 'file', {}, /absolute/],
  ['a relative file', 'file', { path: 'logs' }, /absolute/],
  ['a file that leads upwards', 'file', { path: '/var/log', file: '../../etc/passwd' }, /upwards/],
  ['a host with a path', 'http', { host: 'a/b' }, /no address/],
  ['a host with a user', 'http', { host: 'u@a' }, /no address/],
  ['a port that is none', 'http', { port: '80x' }, /no address/],
  ['a path that is none', 'http', { uri: 'in' }, /no address/],
  ['a header with a line feed', 'http', { header: 'X a\u0000b' }, /header/],
  ['a topic without brokers', 'kafka', {}, /missing/],
  ['a broker with a path', 'kafka', { brokers: 'a:9092,b/c' }, /hosts/],
  ['a broker with a port that is none', 'kafka', { brokers: 'a:0' }, /hosts/],
  ['a topic that is none', 'kafka', { brokers: 'a', topics: 'a,..' }, /no name of a topic/],
  ['messages in another format', 'kafka', { brokers: 'a', format: 'msgpack' }, /json/],
  ['times in another format', 'kafka', { brokers: 'a', timestamp_format: 'unix' }, /iso8601_ns/],
  ['messages that nobody acknowledges', 'kafka', { brokers: 'a', 'rdkafka.acks': 0 }, /1 or -1/],
  ['a protocol that is none', 'kafka', { brokers: 'a', 'rdkafka.security.protocol': 'tls' }, /sasl_ssl/],
  [
    'credentials in the clear by mistake',
    'kafka',
    { brokers: 'a', 'rdkafka.sasl.username': 'u' },
    /sasl_ssl/,
  ],
  ['an unknown mechanism', 'kafka', { brokers: 'a', 'rdkafka.security.protocol': 'sasl_ssl' }, /SCRAM/],
  [
    'a mechanism without a user',
    'kafka',
    { brokers: 'a', 'rdkafka.security.protocol': 'sasl_ssl', 'rdkafka.sasl.mechanism': 'PLAIN' },
    /username/,
  ],
  ['a format that is not spoken', 'http', { format: 'msgpack' }, /json_lines/],
] as const) {
  test(`${what} is a finding`, () => {
    const { outputs, findings } = logOutputsOf({ outputs: { out: { type, parameters } } })
    assert.deepEqual(outputs, [])
    assert.equal(findings[0]!.path, 'runtime_configuration.logging.outputs.out.parameters')
    assert.match(findings[0]!.message, message)
  })
}
