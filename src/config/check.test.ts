import { suite, test } from 'node:test'
import { check } from './check.ts'
import { type Loaded, readText } from './load.ts'
import type { PolicySchema } from './policy-check.ts'
import { formatFinding } from './problem.ts'
import { Type } from './type.ts'

const policies: PolicySchema[] = [
  {
    name: 'key',
    identify: true,
    configSchema: Type.Object({ header: Type.Optional(Type.String({ default: 'apikey' })) }),
    credentialSchema: Type.Object({ key: Type.String() }),
  },
  {
    name: 'limit',
    identify: false,
    configSchema: Type.Object({
      count: Type.Integer(),
      window: Type.Optional(Type.Object({ seconds: Type.Integer({ default: 60 }) }, { default: {} })),
    }),
    metadataSchema: Type.Object({ prefix: Type.Optional(Type.String({ default: 'X-' })) }),
    validate: ({ count }) => (count === 13 ? 'thirteen is not allowed' : undefined),
  },
]
const catalogue = new Map(policies.map((policy) => [policy.name, policy]))

function run(...texts: string[]) {
  const loaded: Loaded = { documents: [], findings: [] }
  for (const [index, text] of texts.entries()) readText(`${index + 1}.yaml`, text, {}, loaded)
  return check(loaded, catalogue, { gatewayVersion: '1.0.0', planVersion: 7 })
}

function plan(...texts: string[]) {
  const result = run(...texts)
  if (result.plan === undefined) throw new Error(result.findings.map(formatFinding).join(''))
  return result.plan
}

const codes = (...texts: string[]) => run(...texts).findings.map(({ code, path }) => `${code} ${path}`)

suite('a plan', () => {
  test('holds resources with every default', (t) => {
    const { routes, upstreams, version } = plan(`
upstreams: [{ id: 1, nodes: { "127.0.0.1:1980": 2, "[::1]:81": 1, "users.internal": 0 } }]
routes: [{ id: r, uri: /a, upstream_id: 1 }]`)
    t.assert.equal(version, 7)
    t.assert.deepEqual(routes.get('r'), {
      id: 'r',
      uris: ['/a'],
      hosts: [],
      methods: [],
      priority: 0,
      upstream_id: '1',
      enable_websocket: false,
    })
    t.assert.deepEqual(upstreams.get('1'), {
      key: 'upstream:1',
      id: '1',
      type: 'roundrobin',
      hash: { on: 'vars', key: '', balance_factor: 0 },
      slow_start: 0,
      nodes: [
        { host: '127.0.0.1', port: 1980, weight: 2, priority: 0 },
        { host: '::1', port: 81, weight: 1, priority: 0 },
        { host: 'users.internal', port: 80, weight: 0, priority: 0 },
      ],
      scheme: 'http',
      pass_host: 'pass',
      retry_timeout: 0,
      timeout: { connect: 60, send: 60, read: 60 },
      keepalive_pool: { size: 320, idle_timeout: 60, requests: 1000 },
    })
  })

  test('gives routes what their service has and they have not', (t) => {
    const { routes, services } = plan(`
services:
  - id: s
    hosts: [API.Example.com]
    path_prefix: /api/
    enable_websocket: true
    upstream: { nodes: [{ host: a, weight: 1 }], keepalive_pool: { size: 5 } }
routes:
  - { id: own, service_id: s, uris: [/, /x/*], host: other.example, enable_websocket: false }
  - { id: taken, service_id: s, uri: /y }`)
    const own = routes.get('own')
    t.assert.deepEqual(
      [own?.uris, own?.hosts, own?.enable_websocket, own?.strip_prefix],
      [['/api/', '/api/x/*'], ['other.example'], false, '/api'],
    )
    const taken = routes.get('taken')
    t.assert.deepEqual(
      [taken?.uris, taken?.hosts, taken?.enable_websocket, taken?.strip_prefix],
      [['/api/y'], ['api.example.com'], true, '/api'],
    )
    const upstream = services.get('s')?.upstream
    t.assert.deepEqual(
      [upstream?.key, upstream?.nodes[0]?.port, upstream?.keepalive_pool],
      ['service:s', 80, { size: 5, idle_timeout: 60, requests: 1000 }],
    )
  })

  test('keeps the prefix in the path when it is not to be stripped', (t) => {
    const { routes } = plan(`
services: [{ id: s, path_prefix: /api, strip_path_prefix: false, upstream: { nodes: { a: 1 } } }]
routes: [{ id: r, service_id: s, uri: /y }]`)
    t.assert.deepEqual([routes.get('r')?.uris, routes.get('r')?.strip_prefix], [['/api/y'], undefined])
  })

  test('leaves out what is switched off', (t) => {
    const { routes, services } = plan(`
services:
  - { id: off, status: 0, upstream: { nodes: { a: 1 } } }
  - { id: on, upstream: { nodes: { a: 1 } } }
routes:
  - { id: a, service_id: off, uri: /a }
  - { id: b, service_id: on, uri: /b, status: 0 }
  - { id: c, service_id: on, uri: /c }`)
    t.assert.deepEqual([...routes.keys()], ['c'])
    t.assert.deepEqual([...services.keys()], ['on'])
  })

  test('fills the defaults of policies in, and keeps their envelope', (t) => {
    const { routes, plugin_metadata: metadata } = plan(`
routes:
  - id: r
    uri: /a
    upstream: { nodes: { a: 1 } }
    plugins: { limit: { _meta: { priority: 5 }, count: 1 }, key: {} }
plugin_metadata: [{ id: limit }]`)
    t.assert.deepEqual(routes.get('r')?.plugins, {
      limit: { count: 1, window: { seconds: 60 }, _meta: { priority: 5 } },
      key: { header: 'apikey' },
    })
    t.assert.deepEqual(metadata.get('limit'), { id: 'limit', plugins: { limit: { prefix: 'X-' } } })
  })

  test('does not mix up what YAML aliases share', (t) => {
    const { routes } = plan(`
routes:
  - { id: a, uri: /a, upstream: &shared { nodes: { a: 1 } } }
  - { id: b, uri: /b, upstream: *shared }`)
    t.assert.deepEqual(
      [routes.get('a')?.upstream?.key, routes.get('b')?.upstream?.key],
      ['route:a', 'route:b'],
    )
  })

  test('merges files, and names what has no id by its place in all of them', (t) => {
    const { routes, consumers } = plan(
      'routes: [{ uri: /a, upstream: { nodes: { a: 1 } } }]\nconsumers: [{ username: jack }]',
      'routes: [{ uri: /b, upstream: { nodes: { a: 1 } } }]\nconsumers: [{ id: jack/credentials/c, plugins: { key: { key: k } } }]',
    )
    t.assert.deepEqual(
      [...routes].map(([id, { uris }]) => [id, ...uris]),
      [
        ['arr_1', '/a'],
        ['arr_2', '/b'],
      ],
    )
    t.assert.deepEqual(consumers.get('jack')?.credentials, [{ id: 'c', plugins: { key: { key: 'k' } } }])
  })

  test('merges gateway settings of several files, over those of APISIX', (t) => {
    const { settings } = plan(
      'gateway: { workers: 2 }',
      'gateway: { limits: { body: 1MiB } }',
      'apisix: { node_listen: [9000, { ip: 127.0.0.1, port: 9001 }], router: { http: radixtree_uri } }\nnginx_config: { worker_processes: 4, http: { client_header_timeout: 60s, client_body_timeout: 5 } }',
    )
    t.assert.deepEqual(
      [settings.workers, settings.limits.body, settings.router],
      [2, 1_048_576, 'radixtree_uri'],
    )
    t.assert.deepEqual([settings.timeouts.header, settings.timeouts.body_idle], [60_000, 5000])
    t.assert.deepEqual(
      settings.listeners.map(({ name, host, port }) => `${name} ${host}:${port}`),
      ['http 0.0.0.0:9000', 'http-2 127.0.0.1:9001'],
    )
  })

  test('speaks HTTP/2 on every listener unless APISIX says otherwise', (t) => {
    const http2 = (...documents: string[]) =>
      plan(...documents).settings.listeners.map(({ http2 }) => http2 === true)
    t.assert.deepEqual(http2('apisix: { node_listen: [9000, { port: 9001 }] }'), [true, true])
    t.assert.deepEqual(http2('apisix: { enable_http2: false }'), [false])
    t.assert.deepEqual(
      http2(
        'apisix: { enable_http2: false, node_listen: [9000], ssl: { enable: true, listen: [{ port: 9443 }] } }',
      ),
      [false, false],
    )
    t.assert.deepEqual(http2('apisix: { node_listen: [{ port: 9000, enable_http2: false }, 9001] }'), [
      false,
      true,
    ])
  })

  test('survives a structured clone', (t) => {
    const whole = plan('routes: [{ uri: /a, upstream: { nodes: { a: 1 } }, plugins: { key: {} } }]')
    t.assert.deepEqual(structuredClone(whole), whole)
  })
})

suite('findings', () => {
  test('come all at once, and leave no plan', (t) => {
    const { plan: none, findings } = run(`
routes:
  - { id: a, uri: /a, upstream_id: x, plugins: { nope: {}, limit: { count: many } } }
  - { id: a, uri: /a, methods: [NOPE], upstream: { nodes: { a: 1 } } }
  - { id: b, uri: no-slash, upstream: { nodes: { a: 1 } } }`)
    t.assert.equal(none, undefined)
    t.assert.deepEqual(
      findings.map(({ code, path }) => `${code} ${path}`),
      [
        'dangling-reference routes[0].upstream_id',
        'unknown-policy routes[0].plugins.nope',
        'wrong-type routes[0].plugins.limit.count',
        'duplicate-id routes[1].id',
        'invalid-value routes[1].methods[0]',
        'unreachable-route routes[2]',
      ],
    )
  })

  test('do not arise from a policy that is switched off', (t) => {
    t.assert.deepEqual(
      codes(
        'routes: [{ uri: /a, upstream: { nodes: { a: 1 } }, plugins: { limit: { count: x, _meta: { disable: true } } } }]',
      ),
      [],
    )
  })

  test('hold what a policy itself has to say', (t) => {
    const { findings } = run('global_rules: [{ id: 1, plugins: { limit: { count: 13 } } }]')
    t.assert.deepEqual(
      findings.map(({ code, path, message }) => `${code} ${path} ${message}`),
      ['invalid-value global_rules[0].plugins.limit thirteen is not allowed'],
    )
  })

  test('tell a credential that is none, and one of too many', (t) => {
    t.assert.deepEqual(
      codes(`
consumers:
  - username: jack
    credentials:
      - { id: a, plugins: { limit: { count: 1 } } }
      - { id: b, plugins: {} }`),
      [
        'invalid-value consumers[0].credentials[0].plugins.limit',
        'invalid-value consumers[0].credentials[1].plugins',
      ],
    )
  })

  test('take a disabled service for one that exists', (t) => {
    t.assert.deepEqual(
      codes(`
services: [{ id: s, status: 0, upstream: { nodes: { a: 1 } } }]
routes: [{ uri: /a, service_id: s }]
consumers: [{ username: jack }]`),
      [],
    )
  })

  test('tell metadata of a policy that takes none', (t) => {
    t.assert.deepEqual(codes('plugin_metadata: [{ id: key, x: 1 }, { id: nope }, { id: limit, x: 1 }]'), [
      'ignored-field plugin_metadata[0]',
      'unknown-policy plugin_metadata[1].id',
      'unknown-field plugin_metadata[2].x',
    ])
  })
})

suite('definitions of gRPC messages', () => {
  test('are in the plan as they were read', (t) => {
    const { plan } = run(
      `protos: [{ id: 1, content: 'syntax = "proto3"; package p; message A { string b = 1; }' }]`,
    )
    t.assert.deepEqual(plan?.protos.get('1')?.messages, [
      { name: 'p.A', isProto3: true, fields: [{ name: 'b', id: 1, type: 'string' }] },
    ])
  })

  test('that cannot be read are a finding at their place', (t) => {
    const { plan, findings } = run(`protos:
  - id: 1
    content: |
      syntax = "proto3";
      message A { string b }
`)
    t.assert.equal(plan, undefined)
    t.assert.deepEqual(
      findings.map(({ code, path, line }) => `${code} ${path}:${line}`),
      ['invalid-proto protos[0].content:3'],
    )
    t.assert.match(findings[0]!.message, /line 2/)
    t.assert.deepEqual(codes('protos: { a: 1 }'), ['wrong-type protos'])
  })
})

test('an IPv6 address without brackets is taken as a whole, with a warning', (t) => {
  const { plan, findings } = run('upstreams: [{ id: 1, nodes: { "::1:1980": 1 } }]')
  t.assert.deepEqual(
    plan?.upstreams.get('1')?.nodes.map(({ host, port }) => [host, port]),
    [['::1:1980', 80]],
  )
  t.assert.deepEqual(
    findings.map(({ severity, message }) => `${severity} ${message}`),
    ['warning all of it is read as an IPv6 address; with a port it is [address]:port'],
  )
})

test('a node of a list may have its port behind its host, as APISIX takes it', (t) => {
  const nodes = [
    { host: '127.0.0.1:1980', weight: 1 },
    { host: 'a.test:81', port: 82, weight: 1 },
    { host: '[::1]:83', weight: 1 },
    { host: '::1', weight: 1 },
  ]
  const { upstreams } = plan(JSON.stringify({ upstreams: [{ id: 1, nodes }] }))
  t.assert.deepEqual(
    upstreams.get('1')!.nodes.map(({ host, port }) => [host, port]),
    [
      ['127.0.0.1', 1980],
      ['a.test:81', 82],
      ['::1', 83],
      ['::1', 80],
    ],
  )
})

suite('WebSockets over an upstream of HTTP/2', () => {
  test('are a warning, wherever the upstream stands', (t) => {
    t.assert.deepEqual(
      codes(`
upstreams:
  - { id: calls, scheme: grpc, nodes: { "127.0.0.1:1": 1 } }
  - { id: pages, nodes: { "127.0.0.1:2": 1 } }
services:
  - { id: s, upstream_id: calls }
routes:
  - { id: a, uri: /a, enable_websocket: true, upstream_id: calls }
  - { id: b, uri: /b, enable_websocket: true, service_id: s }
  - { id: c, uri: /c, enable_websocket: true, upstream: { scheme: grpcs, tls: { verify: true }, nodes: { "127.0.0.1:3": 1 } } }
  - { id: d, uri: /d, enable_websocket: true, upstream_id: pages, service_id: s }
  - { id: e, uri: /e, upstream_id: calls }
`),
      [0, 1, 2].map((n) => `wrong-protocol routes[${n}].enable_websocket`),
    )
  })
})
