/** The Admin API as its clients see it: resources come and go, and traffic follows before the answer. */
import { test } from 'node:test'
import { startAdminGateway, startNamed } from './gateway.ts'

test('a resource is put, read, patched and deleted', async (t) => {
  const { admin } = await startAdminGateway(t)
  const put = await admin('PUT', '/routes/1', { uri: '/a', plugins: {}, labels: { team: 'x', tier: 'y' } })
  t.assert.equal(put.status, 201)
  t.assert.equal(put.headers.get('x-api-version'), 'v3')
  const { create_time: created, update_time: updated, ...value } = put.body.value
  t.assert.deepEqual(value, { uri: '/a', plugins: {}, labels: { team: 'x', tier: 'y' }, id: '1' })
  t.assert.equal(created, updated)
  t.assert.equal(put.body.key, '/apisix/routes/1')

  t.assert.equal(
    (await admin('PUT', '/routes/1', { uri: '/a', plugins: {}, labels: { team: 'x', tier: 'y' } })).status,
    200,
  )
  const patched = await admin('PATCH', '/routes/1', { labels: { tier: null, zone: 'z' } })
  t.assert.deepEqual([patched.status, patched.body.value.labels], [200, { team: 'x', zone: 'z' }])
  const below = await admin('PATCH', '/routes/1/labels/zone', '"w"')
  t.assert.deepEqual([below.status, below.body.value.labels], [200, { team: 'x', zone: 'w' }])

  const got = await admin('GET', '/routes/1')
  t.assert.equal(got.body.value.create_time, created)
  t.assert.equal(got.body.createdIndex < got.body.modifiedIndex, true)
  const list = await admin('GET', '/routes')
  t.assert.deepEqual([list.body.total, list.body.list[0].key], [1, '/apisix/routes/1'])

  t.assert.deepEqual((await admin('DELETE', '/routes/1')).body, { key: '/apisix/routes/1', deleted: '1' })
  for (const method of ['GET', 'DELETE', 'PATCH']) {
    const missing = await admin(method, '/routes/1', method === 'PATCH' ? {} : undefined)
    t.assert.deepEqual([missing.status, missing.body], [404, { message: 'Key not found' }], method)
  }
})

test('POST chooses the id', async (t) => {
  const { admin } = await startAdminGateway(t)
  const posted = await admin('POST', '/routes', { uri: '/a', plugins: {} })
  t.assert.equal(posted.status, 201)
  t.assert.match(posted.body.value.id, /^\d{20}$/)
  t.assert.equal((await admin('GET', `/routes/${posted.body.value.id}`)).status, 200)
  const named = await admin('POST', '/routes', { id: 'a', uri: '/a' })
  t.assert.deepEqual([named.status, named.body], [400, { error_msg: 'wrong route id, do not need it' }])
})

test('an answer means that traffic follows', async (t) => {
  const { admin, traffic } = await startAdminGateway(t)
  const [one, two] = [await startNamed(t, 'one'), await startNamed(t, 'two')]
  const upstream = (port: number) => ({ nodes: { [`127.0.0.1:${port}`]: 1 } })
  const ask = async () => (await fetch(`${traffic}/x`)).text()
  t.assert.match(await ask(), /404 Route Not Found/)
  await admin('PUT', '/upstreams/u', upstream(one))
  await admin('PUT', '/services/s', { upstream_id: 'u' })
  await admin('PUT', '/routes/r', { uri: '/x', service_id: 's' })
  t.assert.equal(await ask(), 'one')
  await admin('PUT', '/upstreams/u', upstream(two))
  t.assert.equal(await ask(), 'two')
  await admin('PATCH', '/services/s', { hosts: ['elsewhere.test'] })
  t.assert.match(await ask(), /404 Route Not Found/)
  await admin('PATCH', '/services/s', { hosts: null })
  t.assert.equal(await ask(), 'two')
  await admin('DELETE', '/routes/r')
  t.assert.match(await ask(), /404 Route Not Found/)
})

test('changes that come together each get their own answer', async (t) => {
  const { admin } = await startAdminGateway(t)
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      admin(
        'PUT',
        `/routes/${index}`,
        index % 10 === 0 ? { methods: ['GET'] } : { uri: `/${index}`, plugins: {} },
      ),
    ),
  )
  t.assert.deepEqual(
    answers.map(({ status }) => status),
    Array.from({ length: 100 }, (_, index) => (index % 10 === 0 ? 400 : 201)),
  )
  t.assert.equal((await admin('GET', '/routes')).body.total, 90)
})

test('credentials belong to a consumer and go with it', async (t) => {
  const { admin } = await startAdminGateway(t)
  const plugins = (key: string) => ({ plugins: { 'key-auth': { key } } })
  t.assert.equal((await admin('PUT', '/consumers/jack/credentials/a', plugins('k'))).status, 404)
  t.assert.equal((await admin('PUT', '/consumers', { username: 'jack' })).status, 201)
  t.assert.equal((await admin('GET', '/consumers/jack/credentials')).status, 404)
  const put = await admin('PUT', '/consumers/jack/credentials/a', plugins('k'))
  t.assert.deepEqual([put.status, put.body.key], [201, '/apisix/consumers/jack/credentials/a'])
  t.assert.equal((await admin('GET', '/consumers/jack/credentials')).body.total, 1)
  await admin('PUT', '/consumers', { username: 'jill' })
  const twice = await admin('PUT', '/consumers/jill/credentials/b', plugins('k'))
  t.assert.deepEqual(twice.body, {
    error_msg: 'duplicate key of plugin key-auth found with credential: a of consumer: jack',
  })
  await admin('DELETE', '/consumers/jack')
  t.assert.equal((await admin('PUT', '/consumers/jill/credentials/b', plugins('k'))).status, 201)
})

test('without a key, with another one, or with that of a viewer', async (t) => {
  const { admin } = await startAdminGateway(t)
  const none = await admin('GET', '/routes', undefined, { 'x-api-key': '' })
  t.assert.equal(none.status, 401)
  const wrong = await admin('GET', '/routes', undefined, { 'x-api-key': 'guessed' })
  t.assert.deepEqual(
    [wrong.status, wrong.body],
    [401, { error_msg: 'failed to check token', description: 'wrong apikey' }],
  )
})

test('what stands in a file is changed there', async (t) => {
  const { admin } = await startAdminGateway(
    t,
    'services: [{ id: s, upstream: { nodes: { "127.0.0.1:1": 1 } } }]\nroutes: [{ id: f, uri: /f, service_id: s }]\n',
  )
  for (const [method, body] of [
    ['PUT', { uri: '/g', plugins: {} }],
    ['PATCH', { uri: '/g' }],
    ['DELETE', undefined],
  ] as const) {
    const refused = await admin(method, '/routes/f', body)
    t.assert.deepEqual(
      [refused.status, refused.body],
      [409, { error_msg: 'route [f] is in a configuration file, and can only be changed there' }],
      method,
    )
  }
  t.assert.equal((await admin('PUT', '/routes/a', { uri: '/a', service_id: 's' })).status, 201)
})

test('what would not be sound at the next start is refused now', async (t) => {
  const { admin } = await startAdminGateway(t)
  const nodes = { '127.0.0.1:1': 1 }
  const refusals: [path: string, body: object, message: RegExp][] = [
    ['/upstreams/1', { type: 'chash', nodes }, /^missing key$/],
    [
      '/upstreams/1',
      { type: 'chash', key: 'colour', nodes },
      /^invalid configuration: failed to match pattern/,
    ],
    ['/upstreams/1', { type: 'chash', key: 'arg_a^', nodes }, /property "key" validation failed/],
    ['/upstreams/1', { nodes: [{ host: '::1', port: 1, weight: 1 }] }, /IPv6 address must be enclosed with/],
    [
      '/routes/1',
      { uri: '/1', plugins: {}, vars: [['arg_a', '=', 'b']] },
      /^failed to validate the 'vars' expression/,
    ],
    [
      '/routes/1',
      { uri: '/1', plugins: { 'limit-count': { count: 2, time_window: 1, group: 'g' } } },
      /group conf mismatched/,
    ],
  ]
  const first = { uri: '/2', plugins: { 'limit-count': { count: 1, time_window: 1, group: 'g' } } }
  t.assert.equal((await admin('PUT', '/routes/2', first)).status, 201)
  for (const [path, body, message] of refusals) {
    const refused = await admin('PUT', path, body)
    t.assert.equal(refused.status, 400, JSON.stringify(body))
    t.assert.match(refused.body.error_msg, message)
  }
})

test('a configuration that is refused leaves no trace: the zones of answers are those that the gateway has', async (t) => {
  const zones = '  cache: { zones: [{ name: here }] }\n'
  const { admin, reload } = await startAdminGateway(t, zones)
  const cached = (zone: string) => {
    const plugins = { 'proxy-cache': { cache_strategy: 'memory', cache_zone: zone } }
    return admin('PUT', '/routes/1', { uri: '/a', plugins })
  }
  t.assert.equal((await cached('here')).status, 201)
  await reload(
    (text) => `${text.replace('name: here', 'name: there')}routes: [{ id: x, colour: green }]`,
    'NEW CONFIGURATION REFUSED',
  )
  t.assert.equal((await cached('here')).status, 200)
  const { status, body } = await cached('there')
  t.assert.deepEqual(
    [status, body.error_msg],
    [400, 'failed to check the configuration of plugin proxy-cache err: cache_zone there not found'],
  )
  // Sound, and in force at the next start.
  await admin('DELETE', '/routes/1')
  await reload(
    (text) => text.replace('colour: green', 'uri: /x, upstream: { nodes: { "127.0.0.1:1": 1 } }'),
    'take effect at the next start',
  )
  t.assert.equal((await cached('here')).status, 201)
})

test('metadata of a policy may have fields that it does not know', async (t) => {
  const { admin } = await startAdminGateway(t)
  const metadata = { allow_origins: { ours: 'https://a.test' }, unknown_to_it: 1 }
  t.assert.equal((await admin('PUT', '/plugin_metadata/cors', metadata)).status, 201)
  t.assert.equal((await admin('GET', '/plugin_metadata/cors')).body.value.unknown_to_it, 1)
  const wrong = await admin('PUT', '/plugin_metadata/cors', { allow_origins: { ours: 1 }, unknown_to_it: 1 })
  t.assert.equal(wrong.status, 400)
  t.assert.match(wrong.body.error_msg, /allow_origins/)
})
