/** Secret managers, and references to what they hold, through the Admin API. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startFakeManager } from '../harness/fake-manager.ts'
import { startAdminGateway, startNamed } from './gateway.ts'

test('a reference is taken as it is, and leads to its value in all threads before the answer', async (t) => {
  const vault = await startFakeManager(t, ({ path }) =>
    path === '/v1/kv/jack' ? { status: 200, body: { data: { key: 'the-key' } } } : { status: 404, body: {} },
  )
  const port = await startNamed(t, 'upstream')
  const { admin, traffic, output } = await startAdminGateway(t)
  const send = async (apikey: string) => (await fetch(`${traffic}/a`, { headers: { apikey } })).status
  const written = { uri: vault.address, prefix: 'kv', token: 'root' }

  // As in APISIX the order does not matter: what is not there yet is no error.
  const consumer = { username: 'jack', plugins: { 'key-auth': { key: '$secret://vault/1/jack/key' } } }
  assert.equal((await admin('PUT', '/consumers', consumer)).status, 201)
  await admin('PUT', '/routes/1', {
    uri: '/a',
    plugins: { 'key-auth': {} },
    upstream: { nodes: { [`127.0.0.1:${port}`]: 1 } },
  })
  assert.equal(await send('the-key'), 401)
  assert.equal(await send('$secret://vault/1/jack/key'), 401)
  assert.match(output(), /there is no secret manager vault\/1/)

  const made = await admin('PUT', '/secrets/vault/1', written)
  assert.deepEqual(
    [made.status, made.body.key, made.body.value.id],
    [201, '/apisix/secrets/vault/1', 'vault/1'],
  )
  assert.equal(await send('the-key'), 200)
  const kept = await admin('GET', '/consumers/jack')
  assert.equal(kept.body.value.plugins['key-auth'].key, '$secret://vault/1/jack/key')

  assert.equal((await admin('DELETE', '/secrets/vault/1')).status, 200)
  assert.equal(await send('the-key'), 401)
})

test('what is no secret manager is refused', async (t) => {
  const { admin } = await startAdminGateway(t)
  const unknown = await admin('PUT', '/secrets/safe/1', { uri: 'http://127.0.0.1:1' })
  assert.deepEqual([unknown.status, unknown.body], [400, { error_msg: 'invalid secret manager: safe' }])
  const incomplete = await admin('PUT', '/secrets/vault/1', { uri: 'http://127.0.0.1:1', token: 'x' })
  assert.equal(incomplete.status, 400)
  assert.match(incomplete.body.error_msg, /^invalid configuration: .*prefix/)
})

test('a filter that is none is refused in the words of APISIX', async (t) => {
  const { admin } = await startAdminGateway(t)
  const { status, body } = await admin('PUT', '/plugin_configs/1', {
    plugins: { 'key-auth': { _meta: { filter: ['arg_name', '==', 'json'] } } },
  })
  assert.deepEqual(
    [status, body],
    [400, { error_msg: "failed to validate the 'vars' expression: rule should be wrapped inside brackets" }],
  )
})
