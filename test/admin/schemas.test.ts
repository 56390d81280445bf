/** What the Admin API tells of itself: policies, schemas, and its OpenAPI document. */
import { test } from 'node:test'
import { startAdminGateway } from './gateway.ts'

test('schemas of resources and policies, and a check against them', async (t) => {
  const { admin } = await startAdminGateway(t)
  const route = await admin('GET', '/schema/route')
  t.assert.deepEqual([route.status, route.body.properties.plugins], [200, { type: 'object' }])
  t.assert.equal((await admin('GET', '/schema/nothing')).status, 400)
  const limit = await admin('GET', '/schema/plugins/limit-count')
  t.assert.match(limit.text, /"required":\["count","time_window"\]/)
  const consumer = await admin('GET', '/plugins/key-auth?schema_type=consumer')
  t.assert.deepEqual(consumer.body.encrypt_fields, ['key'])
  const names = (await admin('GET', '/plugins/list')).body
  t.assert.equal(names.indexOf('key-auth') < names.indexOf('limit-count'), true)
  const all = (await admin('GET', '/plugins?all=true')).body
  t.assert.deepEqual(Object.keys(all).sort(), names.toSorted())

  const fits = await admin('POST', '/schema/validate/routes', { uri: '/a', plugins: {} })
  t.assert.deepEqual([fits.status, fits.text], [200, ''])
  const refused = await admin('POST', '/schema/validate/routes', { uri: 7 })
  t.assert.deepEqual(
    [refused.status, refused.body],
    [400, { error_msg: 'property "uri" validation failed: wrong type: expected string, got number' }],
  )
})

test('an OpenAPI document', async (t) => {
  const { admin } = await startAdminGateway(t)
  const { status, body } = await admin('GET', '/openapi.json')
  t.assert.deepEqual([status, body.openapi, body.servers], [200, '3.1.0', [{ url: '/apisix/admin' }]])
  t.assert.equal((await admin('GET', '/openapi.json', undefined, { 'x-api-key': 'wrong' })).status, 401)
})
