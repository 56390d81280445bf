import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { check } from '../config/check.ts'
import type { Configuration } from '../config/configuration.ts'
import { type Loaded, readText } from '../config/load.ts'
import { SecretFields } from '../config/secret-fields.ts'
import { Type } from '../config/type.ts'
import { resourceEndpoints } from './resources.ts'
import { AdminServer } from './server.ts'

const policies = new Map([
  [
    'stamp',
    {
      name: 'stamp',
      configSchema: Type.Object(
        {
          ink: Type.String({ default: 'blue' }),
          seal: Type.Optional(Type.String({ 'x-secret': true })),
          dry: Type.String({ default: 'soon' }),
        },
        { 'x-apisix': { properties: { dry: undefined } } },
      ),
      metadataSchema: Type.Object({ pad: Type.String() }),
      identify: false,
    },
  ],
])

function configurationOf(text: string): Configuration {
  const loaded: Loaded = { documents: [], findings: [] }
  readText('test.yaml', text, {}, loaded)
  const { configuration, findings } = check(loaded, policies, { gatewayVersion: '0' })
  if (configuration === undefined) throw new Error(JSON.stringify(findings))
  return configuration
}

const configuration = configurationOf(`
routes:
  - id: 1
    uris: [/hello]
    labels: { team: a }
    plugins: { stamp: { seal: very-secret, dry: soon } }
    upstream: { type: roundrobin, nodes: { "127.0.0.1:1980": 1, "example.com:80": 2 } }
  - { id: off, uri: /off, status: 0, service_id: s }
services:
  - { id: s, plugins: { stamp: { ink: red, dry: late, _meta: { priority: 3 } } }, upstream_id: 5 }
upstreams:
  - { id: 5, nodes: [{ host: 127.0.0.1, port: 8001, weight: 1 }] }
  - { id: found, service_name: users, discovery_type: dns }
plugin_metadata:
  - { id: stamp, pad: wet }
`)

async function served(t: TestContext) {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const source = {
    configuration: () => configuration,
    stored: (_kind: string, id: string) =>
      id === '5' ? { created: 7, modified: 9, value: '{"create_time":100,"update_time":200}' } : undefined,
    version: () => 3,
    discoveredNodes: (_kind: string, id: string) =>
      id === 'found' ? [{ host: '10.0.0.1', port: 80, weight: 5 }] : undefined,
  }
  const server = new AdminServer(resourceEndpoints(source, new SecretFields(policies), policies), log)
  const port = await server.listen({ host: '127.0.0.1', port: 0, enabled: true })
  t.after(() => server.close())
  return async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, body: JSON.parse(await response.text()) }
  }
}

suite('the resources at the control port', () => {
  test('a route with its defaults, nodes as a list, and no secret', async (t) => {
    const ask = await served(t)
    const { status, body } = await ask('/v1/route/1')
    assert.equal(status, 200)
    const { upstream, ...value } = body.value
    assert.deepEqual(
      { ...body, value },
      {
        key: '/routes/1',
        value: {
          id: '1',
          uris: ['/hello'],
          labels: { team: 'a' },
          plugins: { stamp: { ink: 'blue', seal: '<redacted>', _meta: {} } },
          priority: 0,
          status: 1,
        },
        has_domain: true,
        createdIndex: 3,
        modifiedIndex: 3,
      },
    )
    assert.deepEqual(upstream.nodes, [
      { host: '127.0.0.1', port: 1980, weight: 1 },
      { host: 'example.com', port: 80, weight: 2 },
    ])
    assert.deepEqual(
      [upstream.type, upstream.scheme, upstream.pass_host, upstream.hash_on],
      ['roundrobin', 'http', 'pass', 'vars'],
    )
  })

  test('what the Admin API keeps has its own key, indices and times', async (t) => {
    const ask = await served(t)
    const { body } = await ask('/v1/upstream/5')
    assert.deepEqual(
      [body.key, body.createdIndex, body.modifiedIndex, body.value.create_time, body.value.update_time],
      ['/apisix/upstreams/5', 7, 9, 100, 200],
    )
    assert.equal(body.has_domain, false)
  })

  test('an upstream whose nodes a registry knows has them', async (t) => {
    const ask = await served(t)
    const { body } = await ask('/v1/upstream/found')
    assert.deepEqual(body.value.nodes, [{ host: '10.0.0.1', port: 80, weight: 5 }])
    assert.deepEqual([body.value.service_name, body.has_domain], ['users', false])
  })

  test('lists have everything that is configured, also what is switched off', async (t) => {
    const ask = await served(t)
    const ids = async (path: string) =>
      (await ask(path)).body.map(({ value }: { value: { id: string } }) => value.id)
    assert.deepEqual(await ids('/v1/routes'), ['1', 'off'])
    assert.deepEqual(await ids('/v1/services'), ['s'])
    assert.deepEqual(await ids('/v1/upstreams'), ['5', 'found'])
    assert.deepEqual((await ask('/v1/plugin_metadatas')).body, [{ pad: 'wet', id: 'stamp' }])
    assert.deepEqual((await ask('/v1/service/s')).body.value.plugins, {
      stamp: { ink: 'red', dry: 'late', _meta: { priority: 3 } },
    })
  })

  test('what does not exist: 404 with the words of APISIX', async (t) => {
    const ask = await served(t)
    for (const [path, message] of [
      ['/v1/route/2', 'route[2] not found'],
      ['/v1/service/x', 'service[x] not found'],
      ['/v1/upstream/1', 'upstream[1] not found'],
      ['/v1/plugin_metadata/batch-requests', 'plugin metadata[batch-requests] not found'],
    ] as const) {
      assert.deepEqual(await ask(path), { status: 404, body: { error_msg: message } })
    }
    assert.equal((await ask('/v1/plugin_metadata/stamp')).body.pad, 'wet')
  })
})
