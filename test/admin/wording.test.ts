/** What is refused is refused in APISIX's words, which its clients show to people and look into. */
import { test } from 'node:test'
import { startAdminGateway } from './gateway.ts'

test('refusals are in the words of APISIX', async (t) => {
  const { admin } = await startAdminGateway(t)
  const nodes = { '127.0.0.1:1': 1 }
  const refused: [path: string, body: unknown, error: string][] = [
    ['/routes/1', { plugins: {} }, 'allOf 1 failed: value should match only one schema, but matches none'],
    [
      '/routes/1',
      { uri: '/a', upstream: { nodes, retries: -1 } },
      'property "upstream" validation failed: property "retries" validation failed: expected -1 to be at least 0',
    ],
    [
      '/upstreams/1',
      { nodes: [{ host: 'a' }] },
      'property "nodes" validation failed: object matches none of the required',
    ],
    ['/consumers', { plugins: {} }, 'property "username" is required'],
    [
      '/upstreams/1',
      { nodes: [{ host: '::1', weight: 1 }] },
      "IPv6 address must be enclosed with '[' and ']'",
    ],
    [
      '/services/1',
      { upstream: { nodes, type: 'chash', key: 'colour' } },
      'failed to match pattern "^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$" with "colour"',
    ],
  ]
  for (const [path, body, error] of refused) {
    const answer = await admin('PUT', path, body)
    t.assert.deepEqual([answer.status, answer.body], [400, { error_msg: `invalid configuration: ${error}` }])
  }
  const keyless = await admin('PUT', '/upstreams/1', { nodes, type: 'chash' })
  t.assert.deepEqual([keyless.status, keyless.body], [400, { error_msg: 'missing key' }])
  const plugins: [config: object, error: string][] = [
    [{ header: 1 }, 'property "header" validation failed: wrong type: expected string, got number'],
    [
      { _meta: { disable: 'yes' } },
      'property "_meta" validation failed: property "disable" validation failed: wrong type: expected boolean, got string',
    ],
  ]
  for (const [config, error] of plugins) {
    const answer = await admin('PUT', '/routes/1', { uri: '/a', plugins: { 'key-auth': config } })
    t.assert.deepEqual(
      [answer.status, answer.body],
      [400, { error_msg: `failed to check the configuration of plugin key-auth err: ${error}` }],
    )
  }
})

test('an expression of uri-blocker that does not end is refused in the words of PCRE', async (t) => {
  const { admin } = await startAdminGateway(t)
  const plugins = { 'uri-blocker': { block_rules: ['^a', '^b('] } }
  const { status, body } = await admin('PUT', '/routes/1', { uri: '/a', plugins })
  const error = 'pcre_compile() failed: missing ) in "^b("'
  const message = `failed to check the configuration of plugin uri-blocker err: ${error}`
  t.assert.deepEqual([status, body], [400, { error_msg: message }])
})

test('plugins of a stream route are checked as such, and those for requests are unknown there', async (t) => {
  const { admin } = await startAdminGateway(t)
  const put = async (plugins: object) =>
    (await admin('PUT', '/stream_routes/1', { upstream: { nodes: { '127.0.0.1:1': 1 } }, plugins })).body
  t.assert.deepEqual(await put({ 'key-auth': {} }), { error_msg: 'unknown plugin [key-auth]' })
  t.assert.deepEqual(await put({ 'mqtt-proxy': {} }), {
    error_msg:
      'failed to check the configuration of stream plugin [mqtt-proxy]: property "protocol_level" is required',
  })
  const route = await admin('PUT', '/routes/1', {
    uri: '/a',
    plugins: { 'mqtt-proxy': { protocol_level: 4 } },
  })
  t.assert.deepEqual(route.body, { error_msg: 'unknown plugin [mqtt-proxy]' })
  const names = (await admin('GET', '/plugins/list?subsystem=stream')).body
  t.assert.deepEqual(names, [
    'ip-restriction',
    'limit-conn',
    'mqtt-proxy',
    'traffic-split',
    'prometheus',
    'syslog',
  ])
  const bad = await admin('PUT', '/stream_routes/1', { remote_addr: ':/8', upstream: { nodes: { a: 1 } } })
  t.assert.deepEqual(bad.body, { error_msg: 'invalid remote_addr: :/8' })
})

test('a configuration of a plugin that is no map is refused wherever plugins stand', async (t) => {
  const { admin } = await startAdminGateway(t)
  await admin('PUT', '/consumers', { username: 'jack' })
  const wanted = (value: string) => `invalid plugin conf ${value} for plugin [basic-auth]`
  const holders: [path: string, rest: object, prefix: string][] = [
    ['/routes/1', { uri: '/a' }, ''],
    ['/services/1', {}, ''],
    ['/global_rules/1', {}, ''],
    ['/plugin_configs/1', {}, ''],
    ['/consumer_groups/1', {}, ''],
    ['/consumers', { username: 'jack' }, 'invalid plugins configuration: '],
    ['/consumers/jack/credentials/1', {}, 'invalid plugins configuration: '],
  ]
  for (const [path, rest, prefix] of holders) {
    for (const config of ['blah', 1, true, null]) {
      const { status, body } = await admin('PUT', path, { ...rest, plugins: { 'basic-auth': config } })
      t.assert.deepEqual(
        [path, status, body],
        [path, 400, { error_msg: prefix + wanted(JSON.stringify(config)) }],
      )
    }
  }
  // What else is wrong with the resource comes first, as there.
  const { body } = await admin('PUT', '/consumers', { plugins: { 'basic-auth': 'blah' } })
  t.assert.deepEqual(body, {
    error_msg: 'invalid configuration: property "username" is required',
  })
})

test('conditions of routes are refused in the words of lua-resty-expr, and Lua with what to write instead', async (t) => {
  const { admin } = await startAdminGateway(t)
  const vars: [vars: unknown, problem: string][] = [
    [['arg_a', '==', 'b'], 'rule should be wrapped inside brackets'],
    [[['arg_a', 'like', 'b']], "invalid operator 'like'"],
    [[['remote_addr', 'ipmatch', '300.0.0.1']], 'invalid ip address: 300.0.0.1'],
    [[['post_arg.a[', 'has', 'b']], 'invalid expression'],
  ]
  for (const [value, problem] of vars) {
    const answer = await admin('PUT', '/routes/1', { uri: '/a', vars: value, plugins: {} })
    t.assert.deepEqual(answer.body, { error_msg: `failed to validate the 'vars' expression: ${problem}` })
    t.assert.equal(answer.status, 400)
  }
  const lua = await admin('PUT', '/routes/1', { uri: '/a', filter_func: 'function(vars) return true end' })
  t.assert.equal(lua.status, 400)
  t.assert.match(lua.body.error_msg, /^the field filter_func holds Lua, .* Write the condition as vars/)
})

test('bodies are read as APISIX reads them', async (t) => {
  const { admin } = await startAdminGateway(t)
  const written =
    '{"uri":"/a","desc":"one\ntwo","plugins":[],"labels":[],"upstream":{"nodes":{"127.0.0.1:1":1},"checks":{"active":[]}},"uri":"/b"}'
  const put = await admin('PUT', '/routes/1', written)
  t.assert.equal(put.status, 201, put.text)
  const { uri, desc, plugins } = put.body.value
  t.assert.deepEqual([uri, desc, plugins], ['/b', 'one\ntwo', []])

  const broken = await admin('PUT', '/routes/1', '{"uri":"/a",}')
  t.assert.deepEqual(broken.body, {
    error_msg: 'invalid request body: Expected object key string but found T_OBJ_END at character 13',
    req_body: '{"uri":"/a",}',
  })
  t.assert.equal(broken.status, 400)
})

test('names of openid-connect that would reach a library unchecked are refused, others that nobody knows are left out', async (t) => {
  const { admin } = await startAdminGateway(t)
  const oidc = { client_id: 'a', client_secret: 'b', discovery: 'http://127.0.0.1:1/', bearer_only: true }
  const put = (more: object) =>
    admin('PUT', '/services/1', { plugins: { 'openid-connect': { ...oidc, ...more } } })
  const fault = async (more: object) => {
    const { status, body } = await put(more)
    t.assert.equal(status, 400)
    return body.error_msg.replace('failed to check the configuration of plugin openid-connect err: ', '')
  }
  for (const [name, owner] of [
    ['use_par', 'par.enabled'],
    ['use_dpop', 'dpop.enabled'],
    ['dpop_private_key', 'dpop.private_key'],
  ] as const) {
    const expected = `property "${name}" is not allowed, use "${owner}" instead`
    t.assert.equal(await fault({ [name]: 'x', nonsense: 1 }), expected)
  }
  t.assert.equal(
    await fault({ session: { secret: '0123456789abcdef', nonsense: 1 } }),
    'property "session" validation failed: additional properties forbidden, found nonsense',
  )
  t.assert.equal((await put({ nonsense: 1 })).status, 201)
  const both = { count: 1, time_window: 1, rules: [{ count: 1, time_window: 1, key: 'a' }] }
  const counted = await admin('PUT', '/routes/2', { uri: '/a', plugins: { 'limit-count': both } })
  t.assert.equal(
    counted.body.error_msg,
    'failed to check the configuration of plugin limit-count err: count/time_window and rules cannot be specified at the same time',
  )
  const provider = { provider: 'openai', auth: { header: { a: 'b' } }, nonsense: 1 }
  const override = { llm_options: { temperature: 1 } }
  const model = await admin('PUT', '/routes/2', {
    uri: '/a',
    plugins: { 'ai-proxy': { ...provider, override } },
  })
  t.assert.match(
    model.body.error_msg,
    /property "override" validation failed: property "llm_options" validation failed: additional properties forbidden, found temperature$/,
  )
})
