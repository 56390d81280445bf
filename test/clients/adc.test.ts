/**
 * ADC against the Admin API. Its requests are replayed for both backends; `ADC_MAIN`, the path of its bundled command
 * line, has the real one run too.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { adminKey, startAdminGateway, startNamed } from '../admin/gateway.ts'
import { AdcOfDocument, AdcOfResources, apisixVersion, type Wanted } from './adc.ts'

const service = 'cded093321ddaa4c0eaf56ef36f84dd53a9527be'
const labels = { team: 'shop', 'managed-by': 'adc' }

const upstream = (port: number) => ({
  name: 'orders',
  scheme: 'http',
  type: 'roundrobin',
  pass_host: 'pass',
  retries: 1,
  timeout: { connect: 60, send: 60, read: 60 },
  nodes: [{ host: '127.0.0.1', port, weight: 100, priority: 0 }],
})

const route = {
  name: 'list',
  uris: ['/orders', '/orders/*'],
  methods: ['GET', 'POST'],
  priority: 3,
  vars: [['arg_a', '==', '1']],
  enable_websocket: true,
  timeout: { connect: 5, send: 5, read: 5 },
  service_id: service,
  plugins: { 'key-auth': {} },
  status: 1,
  labels,
}

/** As backend `apisix` sends them: a service's upstream is a resource beside it, under the same id. */
const resources = (port: number): Wanted =>
  new Map<string, Record<string, unknown>>([
    [`/upstreams/${service}`, { ...upstream(port), labels }],
    [`/services/${service}`, { name: 'Orders', hosts: ['127.0.0.1'], upstream_id: service, labels }],
    ['/upstreams/canary', { ...upstream(port), labels: { ...labels, __ADC_SERVICE_ID: service } }],
    ['/routes/list', route],
    ['/stream_routes/mysql', { server_port: 9100, service_id: service, labels: { __ADC_NAME: 'mysql' } }],
    ['/consumers/jack', { username: 'jack', desc: 'a person', plugins: {}, labels }],
    ['/consumers/jack/credentials/first', { name: 'first', plugins: { 'key-auth': { key: 'k' } }, labels }],
    ['/global_rules/cors', { plugins: { cors: { allow_origins: 'https://a.test' } } }],
    ['/plugin_metadata/cors', { allow_origins: { a: 'https://a.test' } }],
  ])

/** As backend `apisix-standalone` sends them. */
const document = (port: number) => ({
  services: [{ id: service, name: 'Orders', hosts: ['127.0.0.1'], upstream_id: service, labels }],
  upstreams: [{ id: service, ...upstream(port), labels }],
  routes: [{ id: 'list', ...route }],
  consumers: [
    { username: 'jack', desc: 'a person', plugins: {}, labels },
    { id: 'jack/credentials/first', name: 'first', plugins: { 'key-auth': { key: 'k' } }, labels },
  ],
  global_rules: [{ id: 'cors', plugins: { cors: { allow_origins: 'https://a.test' } } }],
  plugin_metadata: [{ id: 'cors', allow_origins: { a: 'https://a.test' } }],
  stream_routes: [{ id: 'mysql', server_port: 9100, service_id: service, labels }],
})

const ask = async (traffic: string, path: string, apikey: string): Promise<string> =>
  (await fetch(traffic + path, { headers: { apikey } })).text()

test('ADC takes a version from Server, and the newest where it names none', async (t) => {
  const { admin } = await startAdminGateway(t)
  assert.equal(await apisixVersion(admin, 'GET', '/routes'), '999.999.999')
  assert.equal(await apisixVersion(admin, 'HEAD', ''), '999.999.999')
  const named = await startAdminGateway(t, '  server: APISIX/3.18.0\n')
  assert.equal(await apisixVersion(named.admin, 'GET', '/routes'), '3.18.0')
  assert.equal(await apisixVersion(named.admin, 'HEAD', ''), '3.18.0')
})

test('backend apisix: what was synced is what is dumped, and a second sync has nothing to do', async (t) => {
  const { admin, traffic } = await startAdminGateway(t)
  const wanted = resources(await startNamed(t, 'orders'))
  const adc = new AdcOfResources(admin)
  assert.equal((await adc.sync(wanted)).length, wanted.size)
  assert.deepEqual(await adc.diff(wanted), [])
  assert.deepEqual(await adc.sync(wanted), [])
  const dumped = await adc.dump()
  assert.deepEqual(dumped, wanted)
  assert.deepEqual(await adc.sync(dumped), [])
  assert.equal(await ask(traffic, '/orders?a=1', 'k'), 'orders')
  assert.match(await ask(traffic, '/orders?a=2', 'k'), /404 Route Not Found/)

  const other = new Map(wanted).set('/routes/list', { ...route, priority: 4 })
  other.delete('/consumers/jack/credentials/first')
  other.delete('/global_rules/cors')
  assert.deepEqual(
    (await adc.sync(other)).map(({ method, path }) => `${method} ${path}`),
    ['DELETE /consumers/jack/credentials/first', 'DELETE /global_rules/cors', 'PUT /routes/list'],
  )
  assert.deepEqual(await adc.diff(other), [])
  await adc.sync(new Map())
  assert.equal((await adc.dump()).size, 0)
})

test('backend apisix-standalone: one document, versions of what changed, and no change for the same', async (t) => {
  const { admin } = await startAdminGateway(t)
  const wanted = document(await startNamed(t, 'orders'))
  let now = 1_795_000_000_000
  const adc = new AdcOfDocument(admin, () => ++now)
  const first = await adc.sync(wanted)
  assert.deepEqual([first.status, first.changed.length], [202, 7])
  assert.deepEqual(await adc.diff(wanted), [])
  const held = await adc.dump()
  assert.equal(held.routes_conf_version, now)
  assert.deepEqual(held.routes, [{ ...wanted.routes[0], modifiedIndex: now }])
  // ADC takes every member of plugin metadata but the id for a setting, and would never be done.
  assert.deepEqual(held.plugin_metadata, wanted.plugin_metadata)

  const version = now
  assert.deepEqual((await adc.sync(wanted)).changed, [])
  const again = await adc.sync(wanted)
  assert.deepEqual([again.status, again.changed], [204, []])
  assert.equal((await adc.dump()).routes_conf_version, version)

  const other = { ...wanted, consumers: [wanted.consumers[0]!] }
  assert.deepEqual(await adc.sync(other), { status: 202, changed: ['consumers'] })
  const after = await adc.dump()
  assert.deepEqual([after.routes_conf_version, after.consumers_conf_version], [version, now])
  assert.deepEqual(await adc.diff(other), [])
})

test('validate names what is wrong by section and index, and changes nothing', async (t) => {
  const { admin } = await startAdminGateway(t)
  const good = document(80)
  assert.equal((await admin('POST', '/configs/validate', good)).status, 200)
  const bad = { ...good, routes: [good.routes[0], { ...good.routes[0], id: 'b', uris: 'x' }] }
  const { status, body } = await admin('POST', '/configs/validate', bad)
  assert.deepEqual(
    [status, body.error_msg, body.errors.length, body.errors[0].resource_type, body.errors[0].index],
    [400, 'Configuration validation failed', 1, 'routes', 1],
  )
  assert.equal((await admin('GET', '/routes')).body.total, 0)
})

const adcMain = process.env.ADC_MAIN

for (const backend of adcMain === undefined ? [] : ['apisix', 'apisix-standalone', 'api7ee']) {
  test(`the real ADC, backend ${backend}`, async (t) => {
    const { api, admin } = await startAdminGateway(t)
    const folder = await mkdtemp(join(tmpdir(), 'sluice-adc-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const file = join(folder, 'adc.yaml')
    await writeFile(file, stringify(adcFile))
    const adc = async (...args: string[]) => {
      const env = {
        ...process.env,
        ADC_BACKEND: backend,
        ADC_TOKEN: adminKey,
        ADC_SERVER: new URL(api).origin,
      }
      const { stdout } = await promisify(execFile)(process.execPath, [adcMain!, ...args], {
        cwd: folder,
        env,
      })
      return stdout
    }
    const differences = async (...args: string[]) => {
      await adc('diff', '-f', ...args)
      return (await readFile(join(folder, 'diff.yaml'), 'utf8')).trim()
    }
    // It cannot reach the second backend at all: it asks a path without an address.
    if (backend !== 'apisix-standalone') assert.match(await adc('ping'), /Connected to the/)
    await adc('validate', '-f', file)
    assert.notEqual(await differences(file), '[]')
    await adc('sync', '-f', file)
    assert.equal((await admin('GET', '/routes')).body.total, 1)
    assert.equal(await differences(file), '[]')
    assert.doesNotMatch(await adc('sync', '-f', file), /Create|Update|Delete/)
    const dumped = join(folder, 'dumped.yaml')
    await adc('dump', '-o', dumped)
    assert.equal(await differences(dumped), '[]')
  })
}

/** In ADC's own form. */
const adcFile = {
  services: [
    {
      name: 'Orders',
      hosts: ['127.0.0.1'],
      upstream: { type: 'roundrobin', nodes: [{ host: '127.0.0.1', port: 1980, weight: 1 }] },
      upstreams: [
        {
          name: 'canary',
          // Without any, ADC finds empty labels that it would take away.
          labels: { kind: 'canary' },
          type: 'roundrobin',
          nodes: [{ host: '127.0.0.1', port: 1981, weight: 1 }],
        },
      ],
      plugins: { 'limit-count': { count: 100, time_window: 60, rejected_code: 429 } },
      routes: [{ name: 'List', uris: ['/orders'], methods: ['GET'], plugins: { 'key-auth': {} } }],
    },
  ],
  consumers: [
    { username: 'jack', credentials: [{ name: 'first', type: 'key-auth', config: { key: 'jack-key' } }] },
  ],
  global_rules: { cors: { allow_origins: 'https://a.test' } },
  plugin_metadata: { cors: { allow_origins: { a: 'https://a.test' } } },
}
