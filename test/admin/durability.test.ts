/** What the Admin API answered is there after the process was killed. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startAdminGateway, startNamed } from './gateway.ts'

test('a change survives the process, whatever ends it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-durable-'))
  t.after(() => rm(folder, { recursive: true }))
  const dataFolder = `  data_dir: "${folder}"\n`
  const upstream = { nodes: { [`127.0.0.1:${await startNamed(t, 'one')}`]: 1 } }

  const first = await startAdminGateway(t, dataFolder)
  await first.admin('PUT', '/upstreams/u', upstream)
  await first.admin('PUT', '/consumers', { username: 'jack' })
  await first.admin('PUT', '/consumers/jack/credentials/c', { plugins: { 'key-auth': { key: 'k' } } })
  const plugins = { 'key-auth': { unknown: 'field' } }
  const put = await first.admin('PUT', '/routes/r', { uri: '/r', upstream_id: 'u', plugins })
  t.assert.equal(put.status, 201)
  await first.admin('PUT', '/routes/gone', { uri: '/gone', upstream_id: 'u' })
  await first.admin('DELETE', '/routes/gone')
  await first.admin('PUT', '/protos/p', { content: 'syntax = "proto3";' })
  first.kill()

  const second = await startAdminGateway(t, dataFolder)
  t.assert.equal((await fetch(`${second.traffic}/r`)).status, 401)
  t.assert.equal(await (await fetch(`${second.traffic}/r`, { headers: { apikey: 'k' } })).text(), 'one')
  t.assert.equal((await fetch(`${second.traffic}/gone`)).status, 404)
  t.assert.deepEqual((await second.admin('GET', '/routes/r')).body.value, put.body.value)
  t.assert.equal((await second.admin('GET', '/protos')).body.total, 1)
  t.assert.equal((await second.admin('DELETE', '/routes/r?force=true')).status, 200)
})

test('what was deleted by force does not keep a gateway from starting', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-durable-'))
  t.after(() => rm(folder, { recursive: true }))
  const dataFolder = `  data_dir: "${folder}"\n`
  const first = await startAdminGateway(t, dataFolder)
  await first.admin('PUT', '/services/s', {})
  await first.admin('PUT', '/routes/r', { uri: '/r', service_id: 's' })
  t.assert.equal((await first.admin('DELETE', '/services/s?force=true')).status, 200)
  first.kill()
  const second = await startAdminGateway(t, dataFolder)
  t.assert.equal((await second.admin('GET', '/routes')).body.total, 1)
  t.assert.match(second.output(), /warning dangling-reference/)
})
