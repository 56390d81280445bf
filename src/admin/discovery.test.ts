import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { instance, startConsul } from '../../test/harness/consul-server.ts'
import { startDnsServer } from '../../test/harness/dns-server.ts'
import { endpointsOf, startKubernetes } from '../../test/harness/kubernetes-server.ts'
import { nacosInstance, startNacos } from '../../test/harness/nacos-server.ts'
import { watchNodes } from '../../test/harness/node-watcher.ts'
import type { RegistrySettings } from '../config/discovery.ts'
import { SecretFields } from '../config/secret-fields.ts'
import { discoveryFamilies } from '../proxy/upstream/discovery/families.ts'
import { discoveryEndpoints } from './discovery.ts'
import { AdminServer } from './server.ts'

async function served(t: TestContext, settings: RegistrySettings | RegistrySettings[], services: string[]) {
  const watcher = watchNodes(t, settings)
  await watcher.watch(services)
  const endpoints = discoveryEndpoints(watcher.discovery, new SecretFields(new Map()))
  const server = new AdminServer(endpoints, { debug() {}, info() {}, warn() {}, error() {} })
  const port = await server.listen({ host: '127.0.0.1', port: 0, enabled: true })
  t.after(() => server.close())
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, text: await response.text() }
  }
  const askJson = async (path: string) => JSON.parse((await ask(path)).text)
  return { watcher, ask, askJson }
}

function consul(url: string, more: object = {}): RegistrySettings {
  const config = {
    servers: [url],
    token: 'a-secret-token',
    keepalive: true,
    fetch_interval: 3,
    weight: 1,
    timeout: { connect: 2000, read: 2000, wait: 60 },
    sort_type: 'origin' as const,
    ...more,
  }
  return { type: 'consul', id: 'default', config }
}

const kubernetes = (id: string, port: number): RegistrySettings => ({
  type: 'kubernetes',
  id,
  config: {
    service: { schema: 'http', host: '127.0.0.1', port },
    client: { token: 'a-secret-token' },
    namespace_selector: {},
    label_selector: '',
    default_weight: 50,
    watch_endpoint_slices: false,
  },
})

test('the dump of Consul has its settings, without secrets, and the nodes of its services', async (t) => {
  const server = await startConsul(t)
  server.set('service_a', [instance(30511), instance(30512)])
  const { ask, askJson } = await served(t, consul(server.url), ['service_a', 'service_b'])
  const { config, services } = await askJson('/v1/discovery/consul/dump')
  assert.deepEqual(services, {
    service_a: [
      { host: '127.0.0.1', port: 30511, weight: 1 },
      { host: '127.0.0.1', port: 30512, weight: 1 },
    ],
    service_b: [],
  })
  assert.deepEqual([config.servers, config.token, config.timeout.wait], [[server.url], '<redacted>', 60])
  assert.doesNotMatch((await ask('/v1/discovery/consul/dump')).text, /a-secret-token/)
})

test('the dump file of Consul is shown as it is; without one the answer is 503', async (t) => {
  const server = await startConsul(t)
  server.set('service_a', [instance(30511)])
  const folder = await mkdtemp(join(tmpdir(), 'discovery-'))
  t.after(() => rm(folder, { recursive: true }))
  const dump = { path: join(folder, 'consul.dump'), load_on_init: false, expire: 0 }
  const { ask } = await served(t, consul(server.url, { dump }), ['service_a'])
  let shown = await ask('/v1/discovery/consul/show_dump_file')
  while (shown.status !== 200) shown = await ask('/v1/discovery/consul/show_dump_file')
  assert.deepEqual(JSON.parse(shown.text).services, {
    service_a: [{ host: '127.0.0.1', port: 30511, weight: 1 }],
  })

  const without = await served(t, consul(server.url), ['service_a'])
  assert.deepEqual(await without.ask('/v1/discovery/consul/show_dump_file'), {
    status: 503,
    text: 'dump params is nil',
  })
})

test('the dump of Nacos names registry, namespace, group and service', async (t) => {
  const server = await startNacos(t)
  server.set('APISIX-NACOS', [nacosInstance(8001)])
  server.set('ns@@group@@users', [nacosInstance(8002)])
  const config = {
    host: [server.url],
    prefix: '/nacos/v1/',
    fetch_interval: 30,
    weight: 100,
    timeout: { connect: 2000, send: 2000, read: 5000 },
  }
  const registries: RegistrySettings[] = [
    { type: 'nacos', id: 'default', config },
    { type: 'nacos', id: 'east', config },
  ]
  const { askJson } = await served(t, registries, ['APISIX-NACOS', 'east/ns/group/users'])
  assert.deepEqual(await askJson('/v1/discovery/nacos/dump'), {
    services: {
      'default/public/DEFAULT_GROUP/APISIX-NACOS': { nodes: [{ host: '127.0.0.1', port: 8001, weight: 1 }] },
      'east/ns/group/users': { nodes: [{ host: '127.0.0.1', port: 8002, weight: 1 }] },
    },
  })
})

test('the dump of Kubernetes has the ports of each service as text', async (t) => {
  const server = await startKubernetes(t)
  server.put(
    endpointsOf(
      'users',
      ['10.0.0.1'],
      [
        { name: 'http', port: 80 },
        { name: 'grpc', port: 81 },
      ],
    ),
  )
  const { askJson } = await served(t, kubernetes('default', server.port), [
    'default/users:http',
    'default/users:grpc',
  ])
  const { config, endpoints } = await askJson('/v1/discovery/kubernetes/dump')
  assert.deepEqual(config.client, { token: '<redacted>' })
  const [{ endpoints: services }] = endpoints
  assert.deepEqual(Object.keys(endpoints[0]), ['endpoints'])
  assert.equal(services[0].name, 'default/users')
  assert.deepEqual(JSON.parse(services[0].value), {
    http: [{ host: '10.0.0.1', port: 80, weight: 50 }],
    grpc: [{ host: '10.0.0.1', port: 81, weight: 50 }],
  })
})

test('the dump of several clusters has their ids', async (t) => {
  const server = await startKubernetes(t)
  server.put(endpointsOf('users', ['10.0.0.1'], [{ name: 'http', port: 80 }]))
  const { askJson } = await served(t, [kubernetes('first', server.port)], ['first/default/users:http'])
  const { config, endpoints } = await askJson('/v1/discovery/kubernetes/dump')
  assert.equal(config[0].id, 'first')
  assert.deepEqual([endpoints[0].id, endpoints[0].endpoints[0].name], ['first', 'default/users'])
})

test('the overview says how registries are doing, and metrics count it', async (t) => {
  const dns = await startDnsServer(t, { 'users.test': { a: ['10.0.0.1', '10.0.0.2'], ttl: 300 } })
  const registries: RegistrySettings[] = [
    { type: 'dns', id: 'default', config: { servers: [dns.address], order: ['A'] } },
    consul('http://127.0.0.1:1'),
  ]
  const { watcher, askJson } = await served(t, registries, ['users.test'])
  const shown = await askJson('/v1/discovery')
  assert.deepEqual(
    shown.map(({ type, id, state, failures }: Record<string, unknown>) => [type, id, state, failures]),
    [
      ['dns', 'default', 'healthy', 0],
      ['consul', 'default', 'connecting', 0],
    ],
  )
  const [{ services, last_success: lastSuccess }] = shown
  assert.equal(services[0].service_name, 'users.test')
  assert.equal(services[0].nodes.length, 2)
  assert.equal(typeof services[0].age, 'number')
  assert.match(lastSuccess, /^\d{4}-\d\d-\d\dT/)

  const metrics = new Map(
    discoveryFamilies(watcher.discovery.status()).map((family) => [family.name, family.values]),
  )
  assert.deepEqual(metrics.get('sluice_discovery_up'), [
    { labels: { type: 'dns', id: 'default' }, value: 1 },
    { labels: { type: 'consul', id: 'default' }, value: 1 },
  ])
  assert.deepEqual(metrics.get('sluice_discovery_nodes'), [
    { labels: { type: 'dns', id: 'default', service: 'users.test' }, value: 2 },
  ])
})

test('a registry that is lost shows its problem and counts as down', async (t) => {
  const { watcher, askJson } = await served(t, consul('http://127.0.0.1:1'), ['users'])
  const [{ state, problems, last_success: lastSuccess, services }] = await askJson('/v1/discovery')
  assert.deepEqual([state, lastSuccess], ['lost_connection', null])
  assert.deepEqual(problems, { 'http://127.0.0.1:1': 'the connection failed (ECONNREFUSED)' })
  assert.deepEqual(services, [{ service_name: 'users', nodes: [], age: null }])
  const [up, failures] = discoveryFamilies(watcher.discovery.status())
  assert.equal(up!.values[0]!.value, 0)
  assert.ok(failures!.values[0]!.value > 0)
})

test('services that only their arguments tell apart are counted apart', async (t) => {
  const server = await startNacos(t)
  const config = {
    host: [server.url],
    prefix: '/nacos/v1/',
    fetch_interval: 30,
    weight: 100,
    timeout: { connect: 2000, send: 2000, read: 5000 },
  }
  const watcher = watchNodes(t, { type: 'nacos', id: 'default', config })
  await watcher.watch([
    'users',
    { service_name: 'users', namespace_id: 'ns' },
    { service_name: 'users', namespace_id: 'ns', group_name: 'g' },
    { service_name: 'users', metadata: { zone: 'a', tier: 'b' } },
    { service_name: 'users', grpc: true },
  ])
  const nodes = discoveryFamilies(watcher.discovery.status()).find(({ name }) => name.endsWith('_nodes'))
  assert.deepEqual(
    nodes!.values.map(({ labels }) => labels.service),
    ['users', 'ns/users', 'ns/g/users', 'users{zone=a,tier=b}', 'users grpc'],
  )
})

test('a registry that is not set up is not found', async (t) => {
  const { ask } = await served(t, consul('http://127.0.0.1:1'), [])
  assert.equal((await ask('/v1/discovery/nacos/dump')).status, 404)
  assert.equal((await ask('/v1/discovery/consul/other')).status, 404)
})
