import { suite, test } from 'node:test'
import { check } from './check.ts'
import { parseServiceName, registriesOf } from './discovery.ts'
import { type Loaded, readText } from './load.ts'
import { formatFinding } from './problem.ts'

function plan(text: string) {
  const loaded: Loaded = { documents: [], findings: [] }
  readText('a.yaml', text, {}, loaded)
  const result = check(loaded, new Map(), { gatewayVersion: '1.0.0' })
  if (result.plan === undefined) throw new Error(result.findings.map(formatFinding).join(''))
  return { ...result.plan, findings: result.findings }
}

suite('registries', () => {
  test('have the defaults of APISIX', (t) => {
    const { settings } = plan(`
gateway:
  discovery:
    dns: { servers: ["127.0.0.1:8600"] }
    consul: { servers: ["http://127.0.0.1:8500"] }
    kubernetes: {}
    nacos: { host: ["http://192.168.33.1:8848"] }
`)
    t.assert.equal(settings.discovery.start_timeout, 1000)
    t.assert.deepEqual(registriesOf(settings.discovery), [
      {
        id: 'default',
        type: 'dns',
        config: { servers: ['127.0.0.1:8600'], order: ['last', 'SRV', 'A', 'AAAA', 'CNAME'] },
      },
      {
        id: 'default',
        type: 'consul',
        config: {
          servers: ['http://127.0.0.1:8500'],
          keepalive: true,
          fetch_interval: 3,
          weight: 1,
          timeout: { connect: 2000, read: 2000, wait: 60 },
          sort_type: 'origin',
        },
      },
      {
        id: 'default',
        type: 'kubernetes',
        config: {
          service: { schema: 'https' },
          client: {},
          namespace_selector: {},
          label_selector: '',
          default_weight: 50,
          watch_endpoint_slices: false,
        },
      },
      {
        id: 'default',
        type: 'nacos',
        config: {
          host: ['http://192.168.33.1:8848'],
          prefix: '/nacos/v1/',
          fetch_interval: 30,
          weight: 100,
          timeout: { connect: 2000, send: 2000, read: 5000 },
        },
      },
    ])
  })

  test('may be several clusters of Kubernetes, with ports as text or number', (t) => {
    const { settings } = plan(`
gateway:
  discovery:
    kubernetes:
      - { id: first, service: { host: a, port: "6443" }, client: { token: x } }
      - { id: second, service: { schema: http, host: b, port: 6445 }, client: { token: y } }
`)
    t.assert.deepEqual(
      registriesOf(settings.discovery).map(({ id, config }) => [id, 'service' in config && config.service]),
      [
        ['first', { schema: 'https', host: 'a', port: 6443 }],
        ['second', { schema: 'http', host: 'b', port: 6445 }],
      ],
    )
  })

  test("stand under APISIX's own key too", (t) => {
    const { settings } = plan(`
discovery:
  nacos: { host: ["http://127.0.0.1:8848"], fetch_interval: 5 }
`)
    const [registry] = registriesOf(settings.discovery)
    t.assert.equal(registry?.type === 'nacos' && registry.config.fetch_interval, 5)
  })

  test('come as resources from API7', (t) => {
    const { service_registries: registries } = plan(`
service_registries:
  - { id: k, name: cluster, type: kubernetes, kubernetes_config: { service: { host: a, port: 1 } } }
  - { id: n, type: nacos, nacos_config: { host: ["http://127.0.0.1:8848"] }, health_check: { probe_interval: 5 } }
`)
    t.assert.deepEqual(
      [...registries.values()].map(({ id, name, registry }) => [id, name, registry.type, registry.id]),
      [
        ['k', 'cluster', 'kubernetes', 'k'],
        ['n', undefined, 'nacos', 'n'],
      ],
    )
  })
})

suite('an upstream whose nodes a registry knows', () => {
  const discovered = (upstream: string) =>
    plan(`
gateway: { discovery: { nacos: { host: ["http://127.0.0.1:8848"] } } }
upstreams: [{ id: u, discovery_type: nacos, service_name: users, ${upstream} }]
`).upstreams.get('u')?.discovery

  test('says what it asks for', (t) => {
    const { key: _, ...asked } = discovered(
      'discovery_args: { namespace_id: ns, group_name: g, metadata: { b: "2", a: "1" } }',
    )!
    t.assert.deepEqual(asked, {
      type: 'nacos',
      service_name: 'users',
      namespace_id: 'ns',
      group_name: 'g',
      metadata: { a: '1', b: '2' },
      grpc: false,
    })
  })

  test('shares a key with those that ask the same, and with no others', (t) => {
    const keys = [
      '',
      'discovery_args: {}',
      'discovery_args: { namespace_id: x }',
      'discovery_args: { group_name: x }',
      'discovery_args: { metadata: { a: "1", b: "2" } }',
      'discovery_args: { metadata: { b: "2", a: "1" } }',
    ].map((args) => discovered(args)?.key)
    t.assert.equal(keys[0], keys[1])
    t.assert.equal(keys[4], keys[5])
    t.assert.equal(new Set(keys).size, 4)
  })
})

suite('names of services', () => {
  const isRegistry = (id: string) => id === 'east'

  for (const [type, text, expected] of [
    ['dns', 'users.test', { registry: 'default', name: 'users.test' }],
    [
      'dns',
      '_http._tcp.users.test:8080',
      { registry: 'default', name: '_http._tcp.users.test', port: '8080' },
    ],
    ['dns', 'users.test:0', undefined],
    ['dns', 'users.test:65536', undefined],
    ['dns', 'users test', undefined],
    ['consul', 'a/b', { registry: 'default', name: 'a/b' }],
    [
      'kubernetes',
      'default/users:http',
      { registry: 'default', namespace: 'default', name: 'users', port: 'http' },
    ],
    [
      'kubernetes',
      'west/default/users:80',
      { registry: 'west', namespace: 'default', name: 'users', port: '80' },
    ],
    ['kubernetes', 'default/users', undefined],
    ['kubernetes', 'users:http', undefined],
    ['nacos', 'users', { registry: 'default', name: 'users' }],
    ['nacos', 'east/ns/group/users', { registry: 'east', namespace: 'ns', group: 'group', name: 'users' }],
    ['nacos', 'west/ns/group/users', { registry: 'default', name: 'west/ns/group/users' }],
  ] as const) {
    test(`${type}: ${text}`, (t) => {
      t.assert.deepEqual(parseServiceName(type, text, isRegistry), expected)
    })
  }
})
