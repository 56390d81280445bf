/** What places in a GraphQL schema cost: resources that belong to services. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type AdminGateway, startAdminGateway } from './gateway.ts'

const schema = { types: [{ name: 'Query', fields: [{ name: 'a', type: { name: 'A' } }] }] }

async function startGraphql(t: TestContext): Promise<number> {
  const server = createServer((_, response) => response.end(JSON.stringify({ data: { __schema: schema } })))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function costAt({ traffic }: AdminGateway): Promise<string | null> {
  const answered = await fetch(`${traffic}/g`, {
    method: 'POST',
    headers: { 'content-type': 'application/graphql' },
    body: '{ a }',
  })
  await answered.text()
  return answered.headers.get('x-graphql-query-cost')
}

const costs = '/services/s/graphql_cost_decorations'
const limit = { count: 1000, time_window: 3600, cost_strategy: 'complexity' }

async function putService({ admin }: AdminGateway, port: number) {
  const plugins = { 'graphql-limit-count': limit }
  return admin('PUT', '/services/s', { upstream: { nodes: { [`127.0.0.1:${port}`]: 1 } }, plugins })
}

test('decorations are written, changed and read below their service', async (t) => {
  const gateway = await startAdminGateway(t)
  const { admin } = gateway
  const missing = await admin('PUT', `${costs}/d`, { field_path: 'Query.a' })
  t.assert.deepEqual([missing.status, missing.body], [404, { error_msg: 'service not found' }])
  await putService(gateway, 1)
  t.assert.equal((await admin('GET', costs)).status, 404)
  const put = await admin('PUT', `${costs}/d`, { field_path: 'Query.a', add_value: 3 })
  t.assert.deepEqual(
    [put.status, put.body.key, put.body.value.service_id],
    [201, '/apisix/services/s/graphql_cost_decorations/d', 's'],
  )
  const refused: [string, string, object, RegExp][] = [
    [
      'PUT',
      '/e',
      { field_path: 'Query.a' },
      /field_path Query\.a is already decorated on this service by \[d\]/,
    ],
    [
      'PUT',
      '/e',
      { field_path: 'Query.b', service_id: 'other' },
      /wrong service_id, it is taken from the path/,
    ],
    ['PUT', '/e', { field_path: 'Query..b' }, /field_path/],
    ['PUT', '/e', { field_path: 'B', mul_value: -1 }, /mul_value/],
    ['PUT', '/e', {}, /field_path.* is required/],
    ['PATCH', '/d', { service_id: 's' }, /service_id can not be patched/],
    ['PATCH', '/d', { add_value: -1 }, /add_value/],
  ]
  for (const [method, path, body, message] of refused) {
    const answer = await admin(method, costs + path, body)
    t.assert.equal(answer.status, 400)
    t.assert.match(answer.body.error_msg, message)
  }
  t.assert.equal((await admin('POST', costs, { field_path: 'Query.b' })).status, 201)
  t.assert.equal((await admin('PATCH', `${costs}/d`, { add_value: 5 })).body.value.add_value, 5)
  t.assert.equal((await admin('GET', costs)).body.total, 2)
  t.assert.equal((await admin('GET', '/services')).body.total, 1)
  t.assert.equal((await admin('GET', '/configs')).body.services.length, 3)
  const document = (await admin('GET', '/configs')).body
  t.assert.equal((await admin('PUT', '/configs', document, { 'X-Digest': 'again' })).status, 202)
  t.assert.equal((await admin('GET', `${costs}/d`)).body.value.add_value, 5)

  await admin('DELETE', '/services/s')
  await putService(gateway, 1)
  t.assert.equal((await admin('GET', costs)).status, 404)
})

test('a change is in force at once, and after a start', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-costs-'))
  t.after(() => rm(folder, { recursive: true }))
  const dataFolder = `  data_dir: "${folder}"\n`
  const port = await startGraphql(t)
  const first = await startAdminGateway(t, dataFolder)
  const costs = '/services/s/graphql_cost_decorations/d'
  const expect = async (cost: string) => {
    while ((await costAt(first)) !== cost) await setTimeout(5)
  }
  await putService(first, port)
  await first.admin('PUT', '/routes/r', { uri: '/g', service_id: 's' })
  await expect('3')
  await first.admin('PUT', costs, { field_path: 'Query.a', add_value: 10 })
  await expect('12')
  await first.admin('PATCH', costs, { add_value: 20 })
  await expect('22')
  // Writing the service anew leaves them as they are.
  await putService(first, port)
  await first.admin('PUT', '/routes/r2', { uri: '/g2', service_id: 's' })
  t.assert.equal(await costAt(first), '22')
  first.kill()

  const second = await startAdminGateway(t, dataFolder)
  t.assert.equal(await costAt(second), '22')
  await second.admin('DELETE', costs)
  while ((await costAt(second)) !== '3') await setTimeout(5)
})
