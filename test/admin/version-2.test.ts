/** Answers in the shape of APISIX 2. */
import { test } from 'node:test'
import { startAdminGateway } from './gateway.ts'

test('answers of the Admin API before version 3', async (t) => {
  const api = await startAdminGateway(t, '', 'api_version: v2')
  const route = { uri: '/a', upstream: { nodes: { '127.0.0.1:1': 1 } } }

  await t.test('say what was done', async (t) => {
    for (const [method, path, body, status, action] of [
      ['PUT', '/routes/1', route, 201, 'set'],
      ['PUT', '/routes/1', route, 200, 'set'],
      ['POST', '/routes', route, 201, 'create'],
      ['PATCH', '/routes/1', { desc: 'patched' }, 200, 'compareAndSwap'],
      ['GET', '/routes/1', undefined, 200, 'get'],
    ] as const) {
      const answer = await api.admin(method, path, body)
      t.assert.equal(answer.headers.get('x-api-version'), 'v2')
      t.assert.deepEqual([answer.status, answer.body.action], [status, action], answer.text)
      t.assert.deepEqual(Object.keys(answer.body), ['action', 'node'])
      t.assert.deepEqual(Object.keys(answer.body.node), ['key', 'value'])
      t.assert.equal(answer.body.node.value.uri, '/a')
    }
  })

  await t.test('show a list as a folder, whole', async (t) => {
    const { body } = await api.admin('GET', '/routes?page=1&page_size=10&name=none')
    t.assert.deepEqual([body.action, body.node.key, body.node.dir], ['get', '/apisix/routes', true])
    t.assert.deepEqual(
      body.node.nodes.map(({ value }: { value: { desc?: string } }) => value.desc ?? ''),
      ['', 'patched'],
    )
    const none = await api.admin('GET', '/upstreams')
    t.assert.deepEqual(none.body, {
      action: 'get',
      node: { key: '/apisix/upstreams', dir: true, nodes: [] },
    })
  })

  await t.test('say what was deleted, and what is not there', async (t) => {
    t.assert.deepEqual((await api.admin('DELETE', '/routes/1')).body, {
      action: 'delete',
      key: '/apisix/routes/1',
      deleted: '1',
      node: {},
    })
    const gone = await api.admin('DELETE', '/routes/1')
    t.assert.deepEqual([gone.status, gone.body], [404, { message: 'Key not found' }])
  })

  await t.test('refuse in the same words', async (t) => {
    const refused = await api.admin('PUT', '/routes/1', { uri: 1 })
    t.assert.equal(refused.status, 400)
    t.assert.match(refused.body.error_msg, /^invalid configuration: property "uri" validation failed/)
  })
})
