/** The Admin API as clients of API7 use it: what ADC's backend `api7ee` sends, and what the pages of API7 send. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AdminGateway, startAdminGateway, startNamed } from '../admin/gateway.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests look into it by hand.
const parsed = async (response: Response): Promise<any> => response.json()

/** Paths after the origin; each names the group that there is. */
function client({ api, admin }: AdminGateway) {
  const origin = new URL(api).origin
  return {
    async dashboard(path: string) {
      const headers = { 'x-api-key': 'key-of-the-admin-tests' }
      const response = await fetch(origin + path, { headers })
      return { status: response.status, body: response.ok ? await parsed(response) : undefined }
    },
    ask: (method: string, path: string, body?: unknown) =>
      admin(method, `${path}${path.includes('?') ? '&' : '?'}gateway_group_id=default`, body),
  }
}

test('version, schemas and the one gateway group', async (t) => {
  const { dashboard } = client(await startAdminGateway(t))
  assert.match((await dashboard('/api/version')).body.value, /^3\./)
  const schemas = (await dashboard('/api/schema/core')).body.value
  assert.equal(schemas.service.properties.strip_path_prefix.default, true)
  const groups = (await dashboard('/api/gateway_groups?search=default&name=default')).body
  assert.deepEqual([groups.total, groups.list[0].id], [1, 'default'])
  assert.deepEqual((await dashboard('/api/gateway_groups?name=other')).body, { list: [], total: 0 })
  assert.equal((await dashboard('/api/nothing')).status, 404)
})

test('the dashboard wants a key too', async (t) => {
  const { api } = await startAdminGateway(t)
  assert.equal((await fetch(`${new URL(api).origin}/api/version`)).status, 401)
})

test('values come without keys and indexes, and what is deleted leaves nothing to say', async (t) => {
  const gateway = await startAdminGateway(t)
  const { ask } = client(gateway)
  const upstream = { nodes: [{ host: '127.0.0.1', port: await startNamed(t, 'orders'), weight: 1 }] }
  const service = { service_id: 's', name: 'Orders', type: 'http', path_prefix: '/api', upstream }
  const made = await ask('PUT', '/services/s', service)
  assert.deepEqual([made.status, made.body.value.id, made.body.value.name], [201, 's', 'Orders'])
  assert.equal((await ask('PUT', '/services/s', { ...service, service_id: 'other' })).status, 400)
  const route = { route_id: 'r', name: 'list', paths: ['/orders'], service_id: 's' }
  assert.equal((await ask('PUT', '/routes/r', route)).status, 201)
  assert.equal(await (await fetch(`${gateway.traffic}/api/orders`)).text(), 'orders')

  assert.deepEqual((await ask('GET', '/routes/r')).body.value.paths, ['/orders'])
  const listed = (await ask('GET', '/routes?service_id=s')).body
  assert.deepEqual([listed.total, listed.list[0].id, listed.list[0].paths], [1, 'r', ['/orders']])
  assert.equal((await ask('GET', '/routes?service_id=other')).body.total, 0)
  const patch = [{ op: 'replace', path: '/name', value: 'renamed' }]
  assert.equal((await ask('PATCH', '/routes/r', patch)).body.value.name, 'renamed')

  await ask('PUT', '/consumers/jack', { username: 'jack' })
  assert.deepEqual((await ask('GET', '/consumers/jack/credentials')).body, { list: [], total: 0 })
  await ask('PUT', '/plugin_metadata/cors', { allow_origins: { a: 'https://a.test' } })
  assert.deepEqual((await ask('GET', '/plugin_metadata')).body, {
    value: { cors: { allow_origins: { a: 'https://a.test' } } },
  })
  const gone = await ask('DELETE', '/services/s')
  assert.deepEqual([gone.status, gone.text], [200, ''])
  assert.equal((await ask('GET', '/routes/r')).status, 404)
  const missing = await ask('GET', '/services/s')
  assert.equal(missing.status, 404)
  assert.equal((await gateway.admin('GET', '/routes?gateway_group_id=other')).status, 404)
})

test('a service owns further upstreams', async (t) => {
  const gateway = await startAdminGateway(t)
  const { ask } = client(gateway)
  const upstream = { nodes: [{ host: '127.0.0.1', port: 80, weight: 1 }] }
  const canary = { name: 'canary', ...upstream }
  assert.equal((await ask('PUT', '/services/s/upstreams/c', canary)).status, 404)
  await ask('PUT', '/services/s', { name: 's', upstream })
  await ask('PUT', '/services/other', { name: 'other', upstream })
  assert.equal((await ask('PUT', '/services/s/upstreams/c', canary)).status, 201)
  assert.equal((await ask('PUT', '/services/s/upstreams/c', canary)).status, 200)
  assert.equal((await ask('PUT', '/services/other/upstreams/c', canary)).status, 409)
  const { list, total } = (await ask('GET', '/services/s/upstreams')).body
  assert.deepEqual([total, list[0].id, list[0].name], [1, 'c', 'canary'])
  assert.deepEqual((await ask('GET', '/services/other/upstreams')).body, { list: [], total: 0 })
  assert.equal((await gateway.admin('GET', '/upstreams')).body.total, 0)
  // It is an upstream that routes may name.
  const route = { uri: '/c', upstream_id: 'c' }
  assert.equal((await gateway.admin('PUT', '/routes/c', route)).status, 201)
  assert.equal((await ask('DELETE', '/services/s/upstreams/c')).status, 400)
  await gateway.admin('DELETE', '/routes/c')
  await ask('DELETE', '/services/s')
  assert.equal((await ask('GET', '/services/s/upstreams')).body.total, 0)
  assert.equal((await gateway.admin('PUT', '/routes/c', route)).status, 400)
})

test('further upstreams are there after a restart', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-api7-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const upstream = { nodes: [{ host: '127.0.0.1', port: 80, weight: 1 }] }
  const first = await startAdminGateway(t, `  data_dir: ${folder}\n`)
  await client(first).ask('PUT', '/services/s', { name: 's', upstream })
  await client(first).ask('PUT', '/services/s/upstreams/c', { name: 'canary', ...upstream })
  await first.stop()
  const again = await startAdminGateway(t, `  data_dir: ${folder}\n`)
  assert.equal((await client(again).ask('GET', '/services/s/upstreams')).body.list[0].id, 'c')
  assert.equal((await again.admin('PUT', '/routes/c', { uri: '/c', upstream_id: 'c' })).status, 201)
})

test('lists are searched, chosen by labels, put in order and cut into pages', async (t) => {
  const { ask } = client(await startAdminGateway(t))
  for (const [id, team] of [
    ['b', 'x'],
    ['a', 'y'],
    ['c', 'x'],
  ] as const) {
    await ask('PUT', `/services/${id}`, { name: `service ${id}`, labels: { team }, upstream: { nodes: {} } })
  }
  const names = async (query: string) =>
    (await ask('GET', `/services?${query}`)).body.list.map(({ id }: { id: string }) => id).join('')
  assert.equal(await names('order_by=name&direction=desc'), 'cba')
  assert.equal(await names('search=vice%20b'), 'b')
  assert.equal(await names('labels%5Bteam%5D=x&order_by=name'), 'bc')
  assert.equal(await names('order_by=name&page=2&page_size=2'), 'c')
})

test('secret providers are secrets under the name that API7 has for them', async (t) => {
  const { ask } = client(await startAdminGateway(t))
  const vault = { uri: 'http://127.0.0.1:8200', prefix: 'kv', token: 'of-the-vault' }
  assert.equal((await ask('PUT', '/secret_providers/vault/one', vault)).status, 201)
  assert.equal((await ask('GET', '/secret_providers/vault/one')).body.value.prefix, 'kv')
  assert.equal((await ask('GET', '/secret_providers')).body.total, 1)
  assert.equal((await ask('DELETE', '/secret_providers/vault/one')).status, 200)
})
