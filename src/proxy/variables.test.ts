// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the templates under test are written that way.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isVariableName } from '../config/variable-names.ts'
import type { Exchange, HeaderView } from './exchange.ts'
import { compileTemplate, compileValue, compileVariable, templateVariables } from './variables.ts'

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
      headBytes: 100,
      bodyBytes: 35,
      headers: fields({
        'user-agent': 'curl',
        'x-forwarded-for': '192.0.2.1',
        authorization: `Bearer e30.${Buffer.from('{"sub":"jill","level":3}').toString('base64url')}.sig`,
        cookie: 'sid=a,b=c; theme=dark; sid=second',
        'content-type': 'a/b',
      }),
    },
    response: {
      status: 200,
      fromUpstream: true,
      headers: fields({ 'x-served-by': 'n1' }),
      sent: (name: string) => (name === 'x-served-by' ? 'n1, own' : undefined),
      bodyBytes: 42,
      headBytes: 100,
    },
    client: {
      address: '203.0.113.7',
      peerAddress: '10.0.0.1',
      port: 50_000,
      peerPort: 50_000,
      localAddress: '10.0.0.9',
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
      pathParameter: (name: string) => (name === 'id' ? 'a%20b%2Fc' : undefined),
    },
    consumer: { username: 'jack', spec: { group_id: 'gold' } },
    outcome: 'complete',
    timings: { startedAt: 0, start: 1000, upstreamStart: 1010, upstreamHead: 1110, end: 1260 },
    upstream: {
      address: '10.1.1.1:80',
      host: 'users.internal',
      ip: '10.1.1.1',
      port: 80,
      attempts: 2,
      status: 503,
      addresses: '10.1.1.2:80, 10.1.1.1:80',
      statuses: '502, 503',
    },
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
    arg_flag: 'true',
    arg_z: '%zz',
    arg_X: undefined,
    arg_none: undefined,
    http_user_agent: 'curl',
    http_User_Agent: 'curl',
    http_absent: undefined,
    upstream_http_x_served_by: 'n1',
    sent_http_x_served_by: 'n1, own',
    cookie_sid: 'second',
    cookie_theme: 'dark',
    cookie_dark: undefined,
    request: 'GET /a/./b?x=1 HTTP/1.1',
    request_method: 'GET',
    method: 'GET',
    request_line: 'GET /a/./b?x=1 HTTP/1.1',
    request_length: '135',
    server_protocol: 'HTTP/1.1',
    binary_remote_addr: '\xcb\x00\x71\x07',
    server_addr: '10.0.0.9',
    server_name: '_',
    proxy_add_x_forwarded_for: '192.0.2.1, 10.0.0.1',
    uri_param_id: 'a b%2Fc',
    uri_param_none: undefined,
    uri_param__path: '/a/*',
    jwt_sub: 'jill',
    jwt_level: '3',
    jwt_none: undefined,
    jwt_toString: undefined,
    consumer_group_id: 'gold',
    upstream_unresolved_host: 'users.internal',
    bytes_sent: '142',
    request_completion: 'OK',
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
    upstream_addr: '10.1.1.2:80, 10.1.1.1:80',
    upstream_status: '502, 503',
    upstream_header_time: '0.100',
    upstream_response_time: '0.250',
    status: '200',
    body_bytes_sent: '42',
    request_time: '0.260',
  }
  for (const [name, value] of Object.entries(values)) {
    test(`${name} is ${value}`, () => {
      assert.equal(compileVariable(name)(exchange()), value)
      assert.equal(isVariableName(name), true)
    })
  }

  test('is decoded where it shows the path', () => {
    const { request } = exchange()
    const x = exchange({ request: { ...request, path: '/a%20b/%C3%A9%2F', query: 'x=%20' } })
    assert.equal(compileVariable('uri')(x), '/a b/\xc3\xa9/')
    assert.equal(compileVariable('request_uri')(x), '/a b/\xc3\xa9/?x=%20')
  })

  test('is the user of Basic credentials', () => {
    const { request } = exchange()
    const user = (authorization: string) =>
      compileVariable('remote_user')(
        exchange({ request: { ...request, headers: { get: () => authorization } } }),
      )
    assert.equal(user('Basic amFjazpzZWNyZXQ='), 'jack')
    for (const none of ['Basic amFjaw==', 'Basic !', 'Bearer amFjazpzZWNyZXQ='])
      assert.equal(user(none), undefined)
  })

  test('is the address of the client in bytes', () => {
    const bytes = (address: string) =>
      compileVariable('binary_remote_addr')(exchange({ client: { ...exchange().client, address } }))
    assert.equal(bytes('::1'), `${'\0'.repeat(15)}\x01`)
    assert.equal(bytes('255.0.0.1'), '\xff\0\0\x01')
    assert.equal(bytes(''), undefined)
  })

  test('is a claim of the bearer token, where there is one', () => {
    const claim = (authorization: string | undefined) => {
      const { request } = exchange()
      const headers = { get: () => authorization }
      return compileValue('jwt_roles')(exchange({ request: { ...request, headers } }))
    }
    const token = (payload: string) => `e30.${Buffer.from(payload).toString('base64url')}.sig`
    assert.deepEqual(claim(`Bearer ${token('{"roles":["a","é"]}')}`), ['a', '\xc3\xa9'])
    assert.deepEqual(claim(token('{"roles":["b"]}')), ['b'], 'a token without the name of its scheme')
    for (const none of [
      undefined,
      'Basic YTpi',
      'Bearer x',
      'a.b',
      'a b.c.d',
      `Bearer ${token('[]')}`,
      `Bearer ${token('{')}`,
    ])
      assert.equal(claim(none), undefined, String(none))
  })

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
      assert.equal(isVariableName(name), false, name)
      assert.equal(compileVariable(name)(exchange()), undefined, name)
    }
  })
})

suite('a template', () => {
  const texts: [template: string, filled: string][] = [
    ['plain', 'plain'],
    ['$host', 'foo.com'],
    ['${host}', 'foo.com'],
    ['a${scheme}b$host/$arg_none-', 'ahttpbfoo.com/-'],
    ['${ arg_none ?? a b }|${host??x}|${arg_none}', 'a b|foo.com|'],
    ['$host.none|${ host }.', '|foo.com.'],
    ['é$host', 'Ã©foo.com'],
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
    assert.deepEqual(templateVariables('$a-${b}c$$d \\$e ${ f ?? g }$h.i'), ['a', 'b', 'd', 'f', 'h.i'])
  })

  test('changes what it fills in, and nothing else', () => {
    const change = (value: string) => value.toUpperCase()
    assert.equal(compileTemplate('a $host ${ arg_none ?? b }', change)(exchange()), 'a FOO.COM B')
  })
})
