import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLogOutput, logOutputsOf } from './log-output.ts'

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
  assert.deepEqual(['stdout', 'http', 'kafka', 'constructor'].map(isLogOutput), [true, true, false, false])
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
  ['a format that is not spoken', 'http', { format: 'msgpack' }, /json_lines/],
] as const) {
  test(`${what} is a finding`, () => {
    const { outputs, findings } = logOutputsOf({ outputs: { out: { type, parameters } } })
    assert.deepEqual(outputs, [])
    assert.equal(findings[0]!.path, 'runtime_configuration.logging.outputs.out.parameters')
    assert.match(findings[0]!.message, message)
  })
}
