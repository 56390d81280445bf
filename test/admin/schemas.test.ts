/** What the Admin API tells about policies and schemas. */
import { test } from 'node:test'
import { startAdminGateway } from './gateway.ts'

test('policies and their schemas', async (t) => {
  const { admin } = await startAdminGateway(t)
  const { body: names } = await admin('GET', '/plugins/list')
  t.assert.equal(names.indexOf('key-auth') < names.indexOf('limit-count'), true)
  t.assert.deepEqual((await admin('GET', '/plugins/list?subsystem=stream')).body, [])
  const schema = await admin('GET', '/plugins/limit-count')
  t.assert.equal(schema.body.properties.time_window === undefined, false)
  t.assert.deepEqual(schema.body.properties._meta.properties.disable.type, 'boolean')
  t.assert.deepEqual((await admin('GET', '/schema/plugins/limit-count')).body, schema.body)
  const credential = await admin('GET', '/plugins/key-auth?schema_type=consumer')
  t.assert.deepEqual(credential.body.required, ['key'])
  const all = await admin('GET', '/plugins?all=true')
  t.assert.deepEqual([all.body['key-auth'].type, all.body['key-auth'].priority], ['auth', 2500])
  const unknown = await admin('GET', '/plugins/unknown')
  t.assert.deepEqual(
    [unknown.status, unknown.body],
    [404, { error_msg: 'plugin not found in subsystem http' }],
  )
  t.assert.equal((await admin('PUT', '/plugins/reload')).text, 'done')
  t.assert.equal((await admin('GET', '/plugins/reload')).status, 405)
})

test('schemas of resources, and values against them', async (t) => {
  const { admin } = await startAdminGateway(t)
  for (const noun of [
    'route',
    'service',
    'upstream',
    'consumer',
    'credential',
    'ssl',
    'proto',
    'stream_route',
    'global_rule',
    'plugin_config',
    'consumer_group',
  ]) {
    const schema = await admin('GET', `/schema/${noun}`)
    t.assert.equal(schema.body.properties.create_time.type, 'integer', noun)
  }
  t.assert.equal((await admin('GET', '/schema/nothing')).status, 400)
  t.assert.equal((await admin('PUT', '/schema/route', {})).status, 404)
  const route = { uri: '/a', upstream: { type: 'roundrobin', nodes: { '127.0.0.1:1': 1 } } }
  t.assert.equal((await admin('POST', '/schema/validate/routes', route)).status, 200)
  const wrong = await admin('POST', '/schema/validate/routes', { ...route, uri: 666 })
  t.assert.deepEqual(
    [wrong.status, wrong.body],
    [400, { error_msg: 'property "uri" validation failed: wrong type: expected string, got number' }],
  )
  t.assert.equal((await admin('POST', '/schema/validate/nothing', {})).status, 404)
})

test('fields that a policy does not know are let be, as in APISIX, and those of a resource are not', async (t) => {
  const { admin } = await startAdminGateway(t)
  const put = await admin('PUT', '/routes/1', { uri: '/1', plugins: { 'key-auth': { colour: 'red' } } })
  t.assert.equal(put.status, 201)
  t.assert.deepEqual(put.body.value.plugins, { 'key-auth': { colour: 'red' } })
  t.assert.equal((await admin('PUT', '/routes/2', { uri: '/1', plugins: {}, colour: 'red' })).status, 400)
})
