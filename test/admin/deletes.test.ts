/** What is in use is not deleted, unless it is forced; what has a time goes when it is over. */

import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startAdminGateway } from './gateway.ts'

test('what is in use is not deleted', async (t) => {
  const { admin } = await startAdminGateway(t)
  const plugins = { plugins: { 'limit-count': { count: 1, time_window: 60 } } }
  const upstream = { nodes: { '127.0.0.1:1': 1 } }
  await admin('PUT', '/upstreams/1', upstream)
  await admin('PUT', '/upstreams/2', upstream)
  await admin('PUT', '/services/1', { upstream_id: 1 })
  await admin('PUT', '/plugin_configs/1', plugins)
  await admin('PUT', '/consumer_groups/1', plugins)
  await admin('PUT', '/consumers', { username: 'jack', group_id: 1 })
  await admin('PUT', '/routes/1', { uri: '/1', service_id: '1', upstream_id: 2, plugin_config_id: 1 })
  const refusals = {
    '/upstreams/1': 'can not delete this upstream, service [1] is still using it now',
    '/upstreams/2': 'can not delete this upstream, route [1] is still using it now',
    '/services/1': 'can not delete this service directly, route [1] is still using it now',
    '/plugin_configs/1': 'can not delete this plugin config, route [1] is still using it now',
    '/consumer_groups/1': 'can not delete this consumer group, consumer [jack] is still using it now',
  }
  for (const [path, message] of Object.entries(refusals)) {
    const refused = await admin('DELETE', path)
    t.assert.deepEqual([refused.status, refused.body], [400, { error_msg: message }])
  }
  t.assert.equal((await admin('DELETE', '/upstreams/2?force=true')).status, 200)
  await admin('DELETE', '/routes/1')
  await admin('DELETE', '/consumers/jack')
  for (const path of ['/services/1', '/upstreams/1', '/plugin_configs/1', '/consumer_groups/1']) {
    t.assert.equal((await admin('DELETE', path)).status, 200, path)
  }
})

test('a resource goes when its time is over', async (t) => {
  const { admin, traffic } = await startAdminGateway(t)
  const bad = await admin('PUT', '/routes/1?ttl=soon', { uri: '/1', plugins: {} })
  t.assert.deepEqual([bad.status, bad.body.error_msg], [400, 'invalid argument ttl: should be a number'])
  await admin('PUT', '/routes/1?ttl=3', { uri: '/1', plugins: {} })
  await admin('PUT', '/routes/2?ttl=3', { uri: '/2', plugins: {} })
  await admin('PUT', '/routes/2', { uri: '/2', plugins: {} })
  // A route without an upstream answers 503.
  t.assert.equal((await fetch(`${traffic}/1`)).status, 503)
  while ((await admin('GET', '/routes/1')).status !== 404) await sleep(50)
  t.assert.equal((await fetch(`${traffic}/1`)).status, 404)
  t.assert.equal((await admin('GET', '/routes/2')).status, 200)
})
