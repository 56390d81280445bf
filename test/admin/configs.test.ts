/** The whole configuration as one document, as the API-driven standalone mode of APISIX has it. */

import { test } from 'node:test'
import { parse } from 'yaml'
import { adminKey, startAdminGateway, startNamed } from './gateway.ts'

const digest = (value: string) => ({ 'x-digest': value })

test('a document replaces what was there, section by section', async (t) => {
  const { admin, traffic } = await startAdminGateway(t)
  const upstream = { nodes: { [`127.0.0.1:${await startNamed(t, 'one')}`]: 1 } }
  const empty = await admin('GET', '/configs')
  t.assert.equal(empty.body.routes_conf_version, 0)
  t.assert.equal(empty.headers.get('x-digest'), null)

  const refused = await admin('PUT', '/configs', {})
  t.assert.deepEqual([refused.status, refused.body], [400, { error_msg: 'missing digest header' }])

  const first = {
    routes: [{ id: 'r1', uri: '/r1', upstream_id: 'u', modifiedIndex: 7 }],
    upstreams: [{ id: 'u', ...upstream }],
    consumers: [
      { username: 'jack' },
      { id: 'jack/credentials/a', plugins: { 'key-auth': { key: 'key-of-jack' } } },
    ],
  }
  const put = await admin('PUT', '/configs', first, digest('one'))
  t.assert.deepEqual([put.status, put.text, put.headers.get('x-digest')], [202, '', 'one'])
  t.assert.equal(await (await fetch(`${traffic}/r1`)).text(), 'one')
  t.assert.equal((await admin('PUT', '/configs', {}, digest('one'))).status, 204)

  const got = await admin('GET', '/configs')
  const { routes, upstreams, consumers } = got.body
  t.assert.deepEqual({ routes, upstreams, consumers }, first)
  t.assert.deepEqual(
    [got.body.routes_conf_version, got.body.services_conf_version, got.body['X-Digest']],
    [1, 1, 'one'],
  )
  t.assert.equal((await admin('GET', '/routes/r1')).body.value.uri, '/r1')
  t.assert.equal((await admin('GET', '/consumers/jack/credentials/a')).status, 200)

  const second = {
    routes_conf_version: 50,
    routes: [{ uri: '/r2', upstream_id: 'u' }],
    upstreams_conf_version: 1,
  }
  t.assert.equal((await admin('PUT', '/configs', second, digest('two'))).status, 202)
  t.assert.equal((await fetch(`${traffic}/r1`)).status, 404)
  t.assert.equal(await (await fetch(`${traffic}/r2`)).text(), 'one')
  t.assert.equal((await admin('GET', '/consumers')).body.total, 0)
  const back = await admin('PUT', '/configs', { routes_conf_version: 49 }, digest('three'))
  t.assert.deepEqual(back.body, { error_msg: 'routes_conf_version must be greater than or equal to (50)' })
})

test('a document is whole or nothing', async (t) => {
  const { admin } = await startAdminGateway(t)
  const document = {
    routes: [
      { id: 'a', uri: '/a', service_id: 's' },
      { id: 'b', uri: 7, service_id: 's' },
      { id: 'a', uri: '/c', service_id: 's' },
    ],
  }
  const put = await admin('PUT', '/configs', document, digest('d'))
  t.assert.equal(put.status, 400)
  t.assert.match(put.body.error_msg, /^invalid configuration: property "uri"/)
  t.assert.equal((await admin('GET', '/routes')).body.total, 0)

  const validated = await admin('POST', '/configs/validate', document)
  t.assert.deepEqual([validated.status, validated.body.error_msg], [400, 'Configuration validation failed'])
  t.assert.deepEqual(
    validated.body.errors.map(({ resource_type: type, resource_id: id, index }: Record<string, unknown>) => [
      type,
      id,
      index,
    ]),
    [
      ['routes', 'b', 1],
      ['routes', 'a', 2],
    ],
  )
  const sound = await admin('POST', '/configs/validate', {
    routes: [{ id: 'a', uri: '/a', service_id: 'x' }],
  })
  t.assert.deepEqual([sound.status, sound.text], [200, '{}\n'])
  t.assert.equal((await admin('GET', '/routes')).body.total, 0)
})

test('a key moves from one consumer to another within a document, and is in no two', async (t) => {
  const { admin } = await startAdminGateway(t)
  const consumer = (username: string) => ({ username, plugins: { 'key-auth': { key: 'k' } } })
  t.assert.equal((await admin('PUT', '/configs', { consumers: [consumer('a')] }, digest('1'))).status, 202)
  t.assert.equal((await admin('PUT', '/configs', { consumers: [consumer('b')] }, digest('2'))).status, 202)
  const both = await admin('PUT', '/configs', { consumers: [consumer('b'), consumer('c')] }, digest('3'))
  t.assert.deepEqual(both.body, { error_msg: 'duplicate key of plugin key-auth found with consumer: c' })
})

test('YAML goes in and out', async (t) => {
  const { admin } = await startAdminGateway(t)
  const yaml = 'routes:\n  - id: r1\n    uri: /r1\n    service_id: s\n'
  const type = { 'content-type': 'application/yaml' }
  t.assert.equal((await admin('PUT', '/configs', yaml, { ...type, ...digest('y') })).status, 202)
  const got = await admin('GET', '/configs', undefined, { accept: 'application/yaml' })
  t.assert.equal(got.headers.get('content-type'), 'application/yaml')
  t.assert.deepEqual(parse(got.text).routes, [{ id: 'r1', uri: '/r1', service_id: 's' }])
  const broken = await admin('PUT', '/configs', '- [', { ...type, ...digest('z') })
  t.assert.deepEqual(broken.body, { error_msg: 'invalid request body: invalid yaml request body' })
  const head = await admin('HEAD', '/configs', undefined, { 'x-api-key': adminKey })
  t.assert.deepEqual([head.status, head.headers.get('x-digest')], [200, 'y'])
})

test('further upstreams of a service stand inside of it, and go with it', async (t) => {
  const { admin, traffic } = await startAdminGateway(t)
  const [one, two] = [await startNamed(t, 'one'), await startNamed(t, 'two')]
  const upstream = (port: number) => ({ nodes: { [`127.0.0.1:${port}`]: 1 } })
  const weighted = { weighted_upstreams: [{ upstream_id: 'canary', weight: 1 }] }
  const document = {
    services: [{ id: 's', upstream: upstream(one), upstreams: [{ id: 'canary', ...upstream(two) }] }],
    routes: [
      { id: 'r', uri: '/main', service_id: 's' },
      { id: 'c', uri: '/canary', service_id: 's', plugins: { 'traffic-split': { rules: [weighted] } } },
    ],
  }
  t.assert.equal((await admin('PUT', '/configs', document, digest('one'))).status, 202)
  const asked = async () => [
    await (await fetch(`${traffic}/main`)).text(),
    await (await fetch(`${traffic}/canary`)).text(),
  ]
  t.assert.deepEqual(await asked(), ['one', 'two'])
  t.assert.equal((await admin('GET', '/services/s/upstreams/canary')).status, 200)
  t.assert.equal((await admin('GET', '/upstreams')).body.total, 0)
  t.assert.deepEqual((await admin('GET', '/configs')).body.services, document.services)

  const moved = { ...document, services: [{ id: 's', upstream: upstream(two), upstreams: [] }] }
  const other = { upstreams: [{ id: 'canary', ...upstream(one) }] }
  t.assert.equal((await admin('PUT', '/configs', { ...moved, ...other }, digest('two'))).status, 202)
  t.assert.deepEqual(await asked(), ['two', 'one'])
  t.assert.equal((await admin('GET', '/services/s/upstreams/canary')).status, 404)

  const nameless = { services: [{ id: 's', upstream: upstream(one), upstreams: [upstream(two)] }] }
  const { status, body } = await admin('POST', '/configs/validate', nameless)
  t.assert.deepEqual(
    [status, body.errors],
    [
      400,
      [
        {
          resource_type: 'services',
          resource_id: 's',
          index: 0,
          error: 'each of the upstreams needs an id or a name',
        },
      ],
    ],
  )
})

test('a dry run looks at everything and changes nothing', async (t) => {
  const { admin, traffic } = await startAdminGateway(t)
  const route = { uri: '/a', upstream: { nodes: { [`127.0.0.1:${await startNamed(t, 'one')}`]: 1 } } }
  const tried = await admin('PUT', '/routes/r?dry-run=all', route)
  t.assert.deepEqual([tried.status, tried.body.value.uri], [201, '/a'])
  t.assert.equal((await admin('GET', '/routes/r')).status, 404)
  t.assert.equal((await fetch(`${traffic}/a`)).status, 404)
  const bad = await admin('PUT', '/routes/r?dry-run=all', { ...route, plugins: { 'no-such': {} } })
  t.assert.deepEqual([bad.status, bad.body.error_msg], [400, 'unknown plugin [no-such]'])

  await admin('PUT', '/routes/r', route)
  const { modifiedIndex } = (await admin('GET', '/routes/r')).body
  for (const [method, path, body] of [
    ['DELETE', '/routes/r', undefined],
    ['PATCH', '/routes/r', { uri: '/b' }],
    ['PUT', '/configs', { routes: [] }],
  ] as const) {
    const { status } = await admin(method, `${path}?dry-run=all`, body, digest('try'))
    t.assert.equal(status < 300, true, `${method} ${status}`)
    t.assert.equal(await (await fetch(`${traffic}/a`)).text(), 'one', method)
  }
  t.assert.equal((await admin('GET', '/routes/r')).body.modifiedIndex, modifiedIndex)
  t.assert.equal((await admin('GET', '/configs')).headers.get('x-digest'), null)
})
