// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the templates under test are written that way.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Exchange, HeaderView } from './exchange.ts'
import { compileTemplate, compileVariable, isKnownVariable, templateVariables } from './variables.ts'

/** The parts of an exchange that variables read. */
function exchange(changes: Record<string, unknown> = {}): Exchange {
  return {
    id: 'b6a1',
    request: {
      method: 'GET',
      target: '/a/./b?x=1',
      path: '/a/b',
      query: 'x=1&y=a%20b+c&x=2&flag&%7a=%zz&=no',
      host: 'foo.com',
      version: '1.1',
      headers: fields({
        'user-agent': 'curl',
        cookie: 'sid=a,b=c; theme=dark; sid=second',
        'content-type': 'a/b',
      }),
    },
    response: { status: 200, fromUpstream: true, headers: fields({ 'x-served-by': 'n1' }), bodyBytes: 42 },
    client: {
      address: '203.0.113.7',
      peerAddress: '10.0.0.1',
      peerPort: 50_000,
      localPort: 9080,
      scheme: 'http',
      listener: 'http',
    },
    binding: {
      routeId: 'r1',
      routeName: '',
      serviceId: 's1',
      serviceName: 'users',
      matchedUri: '/a/*',
      matchedHost: '',
    },
    consumer: { username: 'jack' },
    timings: { startedAt: 0, start: 1000, upstreamStart: 1010, upstreamHead: 1110, end: 1260 },
    upstream: { address: '10.1.1.1:80', host: '10.1.1.1', port: 80, attempts: 1, status: 503 },
    ...changes,
  } as unknown as Exchange
}

function fields(values: Record<string, string>): HeaderView {
  return {
    get: (name) => values[name],
    getAll: (name) => values[name],
    has: (name) => name in values,
    forEach: () => undefined,
  }
}

suite('a variable', () => {
  const values: Record<string, string | undefined> = {
    uri: '/a/b',
    request_uri: '/a/b?x=1&y=a%20b+c&x=2&flag&%7a=%zz&=no',
    real_request_uri: '/a/./b?x=1',
    args: 'x=1&y=a%20b+c&x=2&flag&%7a=%zz&=no',
    is_args: '?',
    arg_x: '1',
    arg_y: 'a b c',
    arg_flag: '',
    arg_z: '%zz',
    arg_X: undefined,
    arg_none: undefined,
    http_user_agent: 'curl',
    http_User_Agent: 'curl',
    http_absent: undefined,
    upstream_http_x_served_by: 'n1',
    cookie_sid: 'a,b=c',
    cookie_theme: 'dark',
    cookie_dark: undefined,
    request: 'GET /a/./b?x=1 HTTP/1.1',
    request_method: 'GET',
    request_id: 'b6a1',
    host: 'foo.com',
    content_type: 'a/b',
    remote_addr: '203.0.113.7',
    remote_port: '50000',
    realip_remote_addr: '10.0.0.1',
    server_port: '9080',
    scheme: 'http',
    https: undefined,
    route_id: 'r1',
    route_name: undefined,
    service_name: 'users',
    consumer_name: 'jack',
    balancer_ip: '10.1.1.1',
    balancer_port: '80',
    upstream_addr: '10.1.1.1:80',
    upstream_status: '503',
    upstream_header_time: '0.100',
    upstream_response_time: '0.250',
    status: '200',
    body_bytes_sent: '42',
    request_time: '0.260',
  }
  for (const [name, value] of Object.entries(values)) {
    test(`${name} is ${value}`, () => {
      assert.equal(compileVariable(name)(exchange()), value)
      assert.equal(isKnownVariable(name), true)
    })
  }

  test('is undefined as long as there is nothing to tell', () => {
    const early = exchange({
      response: { status: 0, fromUpstream: false, headers: fields({ 'x-a': '1' }), bodyBytes: 0 },
      binding: null,
      consumer: null,
      upstream: null,
      timings: { startedAt: 0, start: 1000, upstreamStart: 0, upstreamHead: 0, end: 0 },
    })
    const names = [
      'status',
      'route_id',
      'consumer_name',
      'balancer_port',
      'upstream_status',
      'upstream_response_time',
    ]
    for (const name of [...names, 'upstream_http_x_a'])
      assert.equal(compileVariable(name)(early), undefined, name)
    assert.match(compileVariable('request_time')(early)!, /^-?\d+\.\d{3}$/)
  })

  test('tells the time in three forms', () => {
    const at = (name: string) => compileVariable(name)(exchange())!
    assert.ok(Math.abs(Date.parse(at('time_iso8601')) - Date.now()) < 60_000)
    assert.match(at('time_iso8601'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/)
    assert.match(at('time_local'), /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$/)
    assert.match(at('msec'), /^\d+\.\d{3}$/)
  })

  test('of an unknown name is never there', () => {
    for (const name of ['nonsense', 'arg_', 'http_', '', 'constructor', '__proto__']) {
      assert.equal(isKnownVariable(name), false, name)
      assert.equal(compileVariable(name)(exchange()), undefined, name)
    }
  })
})

suite('a template', () => {
  const texts: [template: string, filled: string][] = [
    ['plain', 'plain'],
    ['$host', 'foo.com'],
    ['${host}', 'foo.com'],
    ['a${scheme}b$host/$arg_none.', 'ahttpbfoo.com/.'],
    ['$remote_addr $http_user_agent', '203.0.113.7 curl'],
    ['$nonsense', ''],
    ['cost: 5$ $$ ${} $', 'cost: 5$ $$ ${} $'],
    ['\\$host', '\\$host'],
  ]
  for (const [template, filled] of texts) {
    test(`${template} becomes ${filled || 'empty'}`, () => {
      assert.equal(compileTemplate(template)(exchange()), filled)
    })
  }

  test('tells what it refers to', () => {
    assert.deepEqual(templateVariables('$a-${b}c$$d \\$e'), ['a', 'b', 'd'])
  })
})
