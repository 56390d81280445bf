import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonString } from '../kit/logging/json-string.ts'
import { timestamp } from '../kit/logging/timestamp.ts'
import { bindPolicy, type FakeRequest, type FakeResponse } from '../kit/testing.ts'
import policy from './policy.ts'

async function lineOf(
  request: FakeRequest,
  response: FakeResponse = {},
  fields: Record<string, string> = {},
) {
  const bound = bindPolicy(policy, { config: { fields } })
  const { exchange } = await bound.run(request, response)
  assert.equal(bound.lines.length, 1)
  assert.ok(!bound.lines[0]!.includes('\n'))
  return { line: JSON.parse(bound.lines[0]!) as Record<string, unknown>, exchange }
}

test('one line tells the whole exchange', async () => {
  const { line, exchange } = await lineOf(
    { method: 'POST', target: '/orders?key=secret', body: 'four', consumer: 'jack' },
    { status: 201, body: 'created', duration: 12.5, upstreamDuration: 10 },
  )
  assert.deepEqual(line, {
    '@timestamp': '2026-01-01T00:00:00.000Z',
    'http.request.id': exchange.id,
    'client.address': '203.0.113.7',
    'http.request.method': 'POST',
    'url.domain': 'api.example',
    'url.path': '/orders',
    'http.version': '1.1',
    'http.response.status_code': 201,
    'event.duration': 12_500_000,
    'http.request.body.bytes': 4,
    'http.response.body.bytes': 7,
    'sluice.outcome': 'complete',
    'sluice.route': 'r1',
    'sluice.service': 's1',
    'sluice.consumer': 'jack',
    'upstream.address': '192.0.2.1:8080',
    'upstream.status_code': 201,
    'upstream.attempts': 1,
    'upstream.duration': 10_000_000,
  })
})

test('an error of the gateway and an abort are told', async () => {
  const failed = await lineOf({}, { status: 502, errorCode: 'upstream_connect_failed' })
  assert.equal(failed.line['error.code'], 'upstream_connect_failed')
  assert.equal(failed.line['upstream.status_code'], 0)
  const aborted = await lineOf({}, { outcome: 'client_abort', notProxied: true })
  assert.equal(aborted.line['sluice.outcome'], 'client_abort')
  assert.equal('upstream.address' in aborted.line, false)
})

test('no byte of a request breaks out of its line', async () => {
  const hostile = '/a"\\,"x":1\u001b[2J\u0085\u2028\ud800é'
  const { line } = await lineOf({ target: hostile, host: '"}' })
  assert.equal(line['url.path'], hostile)
  assert.equal(line['url.domain'], '"}')
})

test('fields add what the configuration names, nothing more', async () => {
  const fields = { 'user_agent.original': '$http_user_agent', note: 'by $consumer_name!' }
  const headers = { 'user-agent': 'curl/8 "x"', authorization: 'Basic c2VjcmV0', cookie: 'sid=secret' }
  const { line } = await lineOf({ headers, consumer: 'jack' }, {}, fields)
  assert.equal(line['user_agent.original'], 'curl/8 "x"')
  assert.equal(line.note, 'by jack!')
  assert.doesNotMatch(JSON.stringify(line), /c2VjcmV0|secret/)
})

test('variables that hold credentials, or are gone by then, are findings', () => {
  const bind = (template: string) => bindPolicy(policy, { config: { fields: { x: template } } })
  for (const name of [
    'http_authorization',
    'HTTP_COOKIE',
    'cookie_sid',
    'arg_apikey',
    'http_client_secret',
  ]) {
    assert.throws(() => bind(`a $${name} b`), /fields\.x: .* can hold a credential and is never logged/)
  }
  for (const name of ['args', 'query_string', 'request_uri', 'request']) {
    assert.throws(() => bind(`\${${name}}`), /holds the values of the query/)
  }
  assert.throws(() => bind('$upstream_http_etag'), /fields of the answer are not kept for the log/)
  assert.doesNotThrow(() => bind('$arg_page $request_method $request_id $http_x_tenant'))
  assert.throws(
    () => bindPolicy(policy, { config: { fields: { 'url.path': 'x' } } }),
    /every line has 'url.path'/,
  )
})

test('the sink is standard output or a file', () => {
  assert.doesNotThrow(() =>
    bindPolicy(policy, { config: { sink: { type: 'file', path: 'logs/access.log' } } }),
  )
  assert.throws(() => bindPolicy(policy, { config: { sink: { type: 'file' } as never } }), /sink/)
})

test('jsonString escapes controls, quotes, line separators and lone surrogates', () => {
  for (const text of [
    'plain',
    'ä ✓',
    '"',
    '\\',
    '\n\r\t\0',
    '\u001b\u007f\u009b\u2028\u2029',
    '\ud800',
    '😀',
  ]) {
    assert.equal(JSON.parse(jsonString(text)), text)
    assert.doesNotMatch(jsonString(text), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
  }
})

test('timestamp agrees with Date in every millisecond of a change of second', () => {
  for (const ms of [0, 9, 10, 99, 100, 999, 1000, 1001, 86_399_999, 86_400_000, 999]) {
    const at = Date.UTC(2026, 11, 31) + ms
    assert.equal(timestamp(at), new Date(at).toISOString())
  }
})
