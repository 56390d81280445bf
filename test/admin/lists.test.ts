/** Lists of the Admin API: what they choose, and in which order. */
import { test } from 'node:test'
import { startAdminGateway } from './gateway.ts'

test('lists', async (t) => {
  const api = await startAdminGateway(
    t,
    'routes: [{ id: in-file, uri: /file, upstream: { nodes: { "127.0.0.1:1": 1 } } }]\n',
  )
  await api.admin('PUT', '/services/s', {})
  for (let index = 0; index < 24; index++) {
    await api.admin('PUT', `/routes/r${String(99 - index)}`, {
      name: `route ${index}`,
      plugins: {},
      ...(index % 2 === 0 ? { uri: `/even/${index}` } : { uris: [`/odd/${index}`, '/also'] }),
      ...(index % 3 === 0 && { labels: { third: 'yes' }, service_id: 's' }),
    })
  }
  const ids = async (query: string) => {
    const { body } = await api.admin('GET', `/routes${query}`)
    return [body.total, ...body.list.map(({ value }: { value: { id: string } }) => value.id)]
  }

  await t.test('hold everything, in the order of the ids, after what stands in files', async (t) => {
    const [total, first, second, third] = await ids('')
    t.assert.deepEqual([total, first, second, third], [25, 'in-file', 'r76', 'r77'])
  })

  await t.test('have pages in the order of creation', async (t) => {
    t.assert.deepEqual((await ids('?page=1&page_size=10')).slice(0, 4), [25, 'in-file', 'r99', 'r98'])
    t.assert.deepEqual(await ids('?page=3&page_size=10'), [25, 'r80', 'r79', 'r78', 'r77', 'r76'])
    t.assert.deepEqual((await ids('?page=-1&page_size=10')).slice(0, 2), [25, 'in-file'])
    for (const size of [9, 501]) {
      const refused = await api.admin('GET', `/routes?page=1&page_size=${size}`)
      t.assert.deepEqual([refused.status, refused.text], [400, 'page_size must be between 10 and 500'])
    }
  })

  await t.test('choose by name, path, label and reference', async (t) => {
    t.assert.deepEqual(await ids('?name=%20[12]3$'), [2, 'r76', 'r86'])
    t.assert.deepEqual((await ids('?uri=^/odd'))[0], 12)
    t.assert.deepEqual((await ids('?label=third'))[0], 8)
    t.assert.deepEqual((await ids('?label=third&uri=odd'))[0], 4)
    t.assert.deepEqual((await ids('?filter=service_id%3Ds'))[0], 8)
    t.assert.deepEqual((await ids('?filter=service_id%3Dother'))[0], 0)
    t.assert.deepEqual((await ids('?filter=name%3Dother'))[0], 25)
    t.assert.deepEqual(await ids('?label=third&page=2&page_size=10'), [8])
  })

  await t.test('of nothing are empty', async (t) => {
    t.assert.equal((await api.admin('GET', '/upstreams')).text, '{"list":[],"total":0}\n')
  })
})
