/** Consumers, their groups and credentials through the wire: what runs for whom, and what the upstream is told. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Answered, policyGateway } from '../harness/policy-gateway.ts'

const { send } = policyGateway(
  () => `
services:
  - id: s
    upstream_id: u
    plugins: { cors: { allow_origins: https://service.example } }
plugin_configs:
  - { id: p, plugins: { cors: { allow_origins: https://config.example } } }
consumer_groups:
  - id: gold
    plugins:
      cors: { allow_origins: https://gold.example }
      limit-count: { count: 100, time_window: 60, key: remote_addr }
consumers:
  - username: jack
    group_id: gold
    labels: { custom_id: 495aec6a }
    plugins: { key-auth: { key: jack-key } }
    credentials: [{ id: phone, plugins: { key-auth: { key: jack-phone } } }]
  - username: jill
    group_id: gold
    plugins:
      key-auth: { key: jill-key }
      limit-count: { count: 5, time_window: 60, key: remote_addr }
  - username: joan
    plugins: { key-auth: { key: joan-key } }
  - username: nobody
    labels: { custom_id: none }
    plugins: { limit-count: { count: 1, time_window: 60, key: remote_addr } }
routes:
  - { id: bare, uri: /bare, upstream_id: u, plugins: { key-auth: {} } }
  - id: limited
    uri: /limited
    upstream_id: u
    plugins: { key-auth: {}, limit-count: { count: 7, time_window: 60, key: remote_addr } }
  - { id: service, uri: /service, service_id: s }
  - { id: config, uri: /config, service_id: s, plugin_config_id: p }
  - id: own
    uri: /own
    service_id: s
    plugin_config_id: p
    plugins: { cors: { allow_origins: https://route.example } }
  - { id: open, uri: /open, upstream_id: u, plugins: { key-auth: { anonymous_consumer: nobody } } }
`,
)

suite('policies that a consumer brings', () => {
  test('come from its group, with those of the consumer on top', async () => {
    assert.equal(
      (await send('/bare', { headers: { apikey: 'jack-key' } })).headers.get('x-ratelimit-limit'),
      '100',
    )
    assert.equal(
      (await send('/bare', { headers: { apikey: 'jill-key' } })).headers.get('x-ratelimit-limit'),
      '5',
    )
  })

  test('win over those of the route', async () => {
    assert.equal(
      (await send('/limited', { headers: { apikey: 'jack-key' } })).headers.get('x-ratelimit-limit'),
      '100',
    )
  })

  test('make up for the first pass that went by without them', async () => {
    const { headers } = await send('/bare', {
      headers: { apikey: 'jack-key', origin: 'https://gold.example' },
    })
    assert.equal(headers.get('access-control-allow-origin'), 'https://gold.example')
  })

  test('see the answers of those that reject', async () => {
    for (let n = 0; n < 5; n++) await send('/limited', { headers: { apikey: 'jill-key' } })
    const { status, headers } = await send('/limited', {
      headers: { apikey: 'jill-key', origin: 'https://gold.example' },
    })
    assert.equal(status, 503)
    assert.equal(headers.get('access-control-allow-origin'), 'https://gold.example')
  })
})

test('a route wins over its plugin config, and that over its service', async () => {
  for (const [path, origin] of [
    ['/service', 'https://service.example'],
    ['/config', 'https://config.example'],
    ['/own', 'https://route.example'],
  ] as const) {
    assert.equal(
      (await send(path, { headers: { origin } })).headers.get('access-control-allow-origin'),
      origin,
    )
    assert.equal(
      (await send(path, { headers: { origin: 'https://x.example' } })).headers.get('vary'),
      'Origin',
    )
  }
})

suite('the upstream is told who calls', () => {
  const identity = ({ seen }: Answered) => [
    seen!.headers['x-consumer-username'],
    seen!.headers['x-credential-identifier'],
    seen!.headers['x-consumer-custom-id'],
  ]

  test('with the custom id of the labels, and the credential that was used', async () => {
    assert.deepEqual(identity(await send('/bare', { headers: { apikey: 'jack-key' } })), [
      'jack',
      undefined,
      '495aec6a',
    ])
    assert.deepEqual(identity(await send('/bare', { headers: { apikey: 'jack-phone' } })), [
      'jack',
      'phone',
      '495aec6a',
    ])
  })

  test('also when somebody stands in for the unknown caller', async () => {
    const claims = {
      'X-Consumer-Username': 'root',
      'X-Consumer-Custom-ID': '0',
      X_Credential_Identifier: 'x',
    }
    assert.deepEqual(identity(await send('/open', { headers: claims })), ['nobody', undefined, 'none'])
    assert.equal((await send('/open')).status, 503, 'the policies of the consumer that stands in count')
  })

  test('and never what the client claims', async () => {
    const claims = {
      apikey: 'joan-key',
      'X-Consumer-Username': 'root',
      'X-Credential-Identifier': 'x',
      'X-Consumer-Custom-ID': '0',
    }
    assert.deepEqual(identity(await send('/bare', { headers: claims })), ['joan', undefined, undefined])
    assert.deepEqual(identity(await send('/service', { headers: claims })), [undefined, undefined, undefined])
  })
})
