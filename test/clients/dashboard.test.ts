/** The requests of the APISIX Dashboard, as its pages send them, and what those pages read of the answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AdminGateway, startAdminGateway } from '../admin/gateway.ts'

type Value = Record<string, unknown>

const upstream = { type: 'roundrobin', nodes: [{ host: '127.0.0.1', port: 80, weight: 1 }] }

/** What each page writes: the kind, an id, the first body and a later one. Users come after what they use. */
const pages: readonly (readonly [kind: string, id: string, first: Value, later: Value])[] = [
  ['upstreams', 'u', { name: 'u', ...upstream }, { name: 'u', desc: 'later', ...upstream }],
  ['services', 's', { name: 's', upstream_id: 'u' }, { name: 's', hosts: ['a.test'], upstream_id: 'u' }],
  ['plugin_configs', 'p', { plugins: { cors: {} } }, { desc: 'later', plugins: { cors: {} } }],
  ['routes', 'r', { name: 'r', uri: '/r', service_id: 's' }, { name: 'r', uris: ['/r'], service_id: 's' }],
  ['stream_routes', 't', { server_port: 9100, service_id: 's' }, { server_port: 9101, service_id: 's' }],
  ['consumer_groups', 'g', { plugins: {} }, { desc: 'later', plugins: { cors: {} } }],
  ['global_rules', 'rule', { plugins: { cors: {} } }, { plugins: { prometheus: {} } }],
  ['protos', 'proto', { content: 'syntax = "proto3";' }, { desc: 'later', content: 'syntax = "proto3";' }],
]

test('a page of each kind lists, opens, writes and deletes', async (t) => {
  const { admin } = await startAdminGateway(t)
  for (const [kind, id, first, later] of pages) {
    const list = `/${kind}?page=1&page_size=10`
    const empty = await admin('GET', list)
    assert.deepEqual([empty.status, empty.body], [200, { list: [], total: 0 }], kind)
    const made = await admin('PUT', `/${kind}/${id}`, first)
    assert.deepEqual(
      [made.status, made.body.key, made.body.value.id],
      [201, `/apisix/${kind}/${id}`, id],
      kind,
    )
    const written = await admin('PUT', `/${kind}/${id}`, later)
    assert.equal(written.status, 200, kind)
    const opened = await admin('GET', `/${kind}/${id}`)
    const { id: heldId, create_time: created, update_time: updated, ...held } = opened.body.value
    assert.deepEqual([opened.status, heldId, held], [200, id, later], kind)
    assert.deepEqual([Number.isInteger(created), Number.isInteger(updated)], [true, true], kind)
    const { total, list: found } = (await admin('GET', list)).body
    assert.deepEqual([total, found[0].key, found[0].value.id], [1, `/apisix/${kind}/${id}`, id], kind)
    // A page opened again sends back what it was given.
    const saved = await admin('PUT', `/${kind}/${id}`, later)
    assert.deepEqual([saved.status, saved.body.value.create_time], [200, created], kind)
  }
  for (const [kind, id] of pages.toReversed()) {
    const gone = await admin('DELETE', `/${kind}/${id}`)
    assert.deepEqual([gone.status, gone.body.deleted], [200, '1'], kind)
    assert.equal((await admin('GET', `/${kind}/${id}`)).status, 404, kind)
  }
})

test('pages that post are given an id', async (t) => {
  const { admin } = await startAdminGateway(t)
  for (const [kind, body] of [
    ['upstreams', upstream],
    ['services', { name: 's', upstream }],
    ['routes', { name: 'r', uri: '/r', upstream }],
    ['stream_routes', { server_port: 9100, upstream }],
    ['protos', { content: 'syntax = "proto3";' }],
  ] as const) {
    const made = await admin('POST', `/${kind}`, body)
    assert.equal(made.status, 201, kind)
    assert.equal((await admin('GET', `/${kind}/${made.body.value.id}`)).status, 200, kind)
  }
})

test('consumers and their credentials', async (t) => {
  const { admin } = await startAdminGateway(t)
  const put = await admin('PUT', '/consumers', { username: 'jack', desc: 'a person', plugins: {} })
  assert.deepEqual([put.status, put.body.key], [201, '/apisix/consumers/jack'])
  // The page takes it for an empty list.
  assert.equal((await admin('GET', '/consumers/jack/credentials?username=jack')).status, 404)
  const credential = { name: 'first', plugins: { 'key-auth': { key: 'key-of-jack' } } }
  assert.equal((await admin('PUT', '/consumers/jack/credentials/c', credential)).status, 201)
  const { body } = await admin('GET', '/consumers/jack/credentials?username=jack')
  assert.deepEqual([body.total, body.list[0].value.plugins], [1, credential.plugins])
  assert.equal((await admin('GET', '/consumers/jack/credentials/c')).body.value.name, 'first')
  assert.equal((await admin('GET', '/consumers?page=1&page_size=10')).body.total, 1)
  assert.equal((await admin('DELETE', '/consumers/jack/credentials/c')).status, 200)
  assert.equal((await admin('DELETE', '/consumers/jack')).status, 200)
})

test('secrets are listed with their manager in the id', async (t) => {
  const { admin } = await startAdminGateway(t)
  const vault = { uri: 'http://127.0.0.1:8200', prefix: '/v1/kv', token: 'of-the-vault' }
  assert.equal((await admin('PUT', '/secrets/vault/one', vault)).status, 201)
  const { body } = await admin('GET', '/secrets?page=1&page_size=10')
  assert.deepEqual([body.total, body.list[0].value.id], [1, 'vault/one'])
  assert.equal((await admin('GET', '/secrets/vault/one')).body.value.id, 'vault/one')
  assert.equal((await admin('DELETE', '/secrets/vault/one')).status, 200)
})

test('the drawer of plugins finds names, schemas and metadata', async (t) => {
  const { admin } = await startAdminGateway(t)
  assert.equal((await admin('GET', '/plugins/list')).body.includes('key-auth'), true)
  assert.deepEqual((await admin('GET', '/plugins/list?subsystem=http')).body.length > 0, true)
  const all = (await admin('GET', '/plugins?subsystem=http&all=true')).body
  assert.equal(typeof all['limit-count'].schema, 'object')
  assert.equal(typeof all['key-auth'].consumer_schema, 'object')
  assert.equal(typeof all.cors.metadata_schema, 'object')
  assert.equal((await admin('GET', '/plugins?subsystem=stream&all=true')).status, 200)
  assert.equal((await admin('GET', '/schema/plugins/limit-count')).body.type, 'object')
  assert.equal((await admin('GET', '/plugins/limit-count')).body.type, 'object')

  assert.equal((await admin('GET', '/plugin_metadata/cors')).status, 404)
  const metadata = { allow_origins: { a: 'https://a.test' } }
  assert.equal((await admin('PUT', '/plugin_metadata/cors', metadata)).status, 201)
  const { value } = (await admin('GET', '/plugin_metadata/cors')).body
  assert.deepEqual(value, { id: 'cors', ...metadata })
  assert.equal((await admin('DELETE', '/plugin_metadata/cors')).status, 200)
})

test('lists are searched, and cut into pages', async (t) => {
  const api = await startAdminGateway(t)
  await fill(api)
  const total = async (query: string) => (await api.admin('GET', query)).body.total
  assert.equal(await total('/routes?page=1&page_size=10'), 12)
  assert.equal((await api.admin('GET', '/routes?page=2&page_size=10')).body.list.length, 2)
  assert.equal(await total('/routes?page=1&page_size=10&name=1'), 3)
  assert.equal(await total('/routes?page=1&page_size=10&uri=even'), 6)
  assert.equal(await total('/routes?page=1&page_size=10&label=third'), 4)
  assert.equal(await total('/routes?page=1&page_size=10&filter=service_id%3Ds'), 6)
  assert.equal(await total('/stream_routes?page=1&page_size=10&filter=service_id%3Ds'), 0)
  assert.equal(await total('/services?page=1&page_size=10&name=s'), 1)
  // How it removes everything: as many pages as there are, each time the first.
  const { list } = (await api.admin('GET', '/routes?page=1&page_size=500')).body
  const gone = list.map(({ value }: { value: { id: string } }) => api.admin('DELETE', `/routes/${value.id}`))
  await Promise.all(gone)
  assert.equal(await total('/routes?page=1&page_size=10'), 0)
})

async function fill({ admin }: AdminGateway): Promise<void> {
  await admin('PUT', '/services/s', { name: 's', upstream })
  for (let index = 0; index < 12; index++) {
    const even = index % 2 === 0
    await admin('PUT', `/routes/${index}`, {
      name: `route ${index}`,
      uri: `/${even ? 'even' : 'odd'}/${index}`,
      ...(even ? { service_id: 's' } : { upstream }),
      ...(index % 3 === 0 && { labels: { third: 'yes' } }),
    })
  }
}

test('what a page may not do is said in words that it shows', async (t) => {
  const { admin } = await startAdminGateway(t)
  const refused = await admin('PUT', '/routes/r', { uri: 7 })
  assert.deepEqual([refused.status, typeof refused.body.error_msg], [400, 'string'])
  const missing = await admin('GET', '/routes/none')
  assert.deepEqual([missing.status, missing.body], [404, { message: 'Key not found' }])
  const unknown = await admin('GET', '/routes?page=1&page_size=10', undefined, { 'x-api-key': 'wrong' })
  assert.deepEqual([unknown.status, unknown.body.error_msg], [401, 'failed to check token'])
  await admin('PUT', '/upstreams/u', upstream)
  const patched = await admin('PATCH', '/upstreams/u', { nodes: { '127.0.0.1:81': 2 } })
  assert.equal(patched.status, 200)
})
