import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { apisixSchema } from '../config/apisix-schema.ts'
import { nodeOf } from '../config/schema/node.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { publishedPolicy, schemaEndpoints, schemasByKind } from './published-schemas.ts'

const policies = policySchemas(catalogue)

suite('published schemas', () => {
  test('hold nothing of ours', () => {
    const published = [
      ...Object.values(schemasByKind).map(apisixSchema),
      ...[...policies.values()].map(publishedPolicy),
    ]
    for (const schema of published)
      assert.doesNotMatch(JSON.stringify(schema), /"x-[\w-]+":|"title":"(?!IPv|work)/)
  })

  test('are understood by our own validator', () => {
    for (const schema of Object.values(schemasByKind)) {
      const { encrypt_fields: _, ...keywords } = apisixSchema(schema)
      assert.doesNotThrow(() => nodeOf(keywords))
    }
  })

  test('of resources are as short as those of APISIX', () => {
    const { properties, required } = apisixSchema(schemasByKind.global_rules!)
    assert.deepEqual(properties, {
      id: properties!.id,
      plugins: { type: 'object' },
      create_time: { type: 'integer' },
      update_time: { type: 'integer' },
    })
    assert.deepEqual(required, ['id', 'plugins'])
  })

  test('of policies carry the envelope, and what is secret in a credential', () => {
    const { version, priority, type, schema, consumer_schema } = publishedPolicy(policies.get('basic-auth')!)
    assert.deepEqual([version, priority, type], [0.1, 2520, 'auth'])
    // As APISIX has it: who is found by a token of somebody else's is no consumer.
    assert.equal(publishedPolicy(policies.get('openid-connect')!).type, undefined)
    assert.equal(publishedPolicy(policies.get('multi-auth')!).type, 'auth')
    assert.deepEqual((schema.properties!._meta as { properties: object }).properties, {
      disable: { type: 'boolean' },
      filter: { type: 'array' },
      priority: { type: 'integer' },
      order: { type: 'integer' },
      error_response: { oneOf: [{ type: 'string' }, { type: 'object' }] },
      pre_function: { type: 'string' },
      mode: { enum: ['enforce', 'shadow'], type: 'string' },
      on_error: { enum: ['fail', 'continue'], type: 'string' },
    })
    assert.deepEqual(consumer_schema, {
      type: 'object',
      properties: { username: { type: 'string' }, password: { type: 'string' } },
      required: ['username', 'password'],
      title: 'work with consumer object',
      encrypt_fields: ['password'],
    })
    const limit = publishedPolicy(policies.get('limit-count')!)
    assert.equal(limit.version, 0.5)
    assert.deepEqual(limit.schema.oneOf, [{ required: ['count', 'time_window'] }, { required: ['rules'] }])
    assert.equal(limit.schema.additionalProperties, undefined)
  })

  test('are all told at the control port', async () => {
    const answer = await schemaEndpoints(policies)['GET /v1/schema']!({} as never)
    const { main, plugins, stream_plugins: streams } = JSON.parse(answer.body as string)
    assert.deepEqual(Object.keys(main).sort(), [
      'consumer',
      'consumer_group',
      'global_rule',
      'graphql_cost_decoration',
      'plugin_config',
      'plugins',
      'proto',
      'route',
      'service',
      'ssl',
      'stream_route',
      'upstream',
      'upstream_hash_header_schema',
      'upstream_hash_vars_schema',
    ])
    assert.equal(main.plugins.type, 'array')
    assert.deepEqual(Object.keys(plugins), [...policies.keys()])
    assert.deepEqual(Object.keys(streams), [
      'ip-restriction',
      'limit-conn',
      'mqtt-proxy',
      'prometheus',
      'syslog',
      'traffic-split',
    ])
    assert.deepEqual(streams['limit-conn'].schema.required, ['conn', 'burst', 'default_conn_delay', 'key'])
  })
})

/** By policy: the fields that APISIX 3.18 encrypts where it stores them. */
const encrypted: Readonly<Record<string, readonly string[]>> = {
  'ai-proxy': [
    'auth.header',
    'auth.query',
    'auth.gcp.service_account_json',
    'auth.aws.secret_access_key',
    'auth.aws.session_token',
  ],
  'ai-proxy-multi': [
    'instances.auth.header',
    'instances.auth.query',
    'instances.auth.gcp.service_account_json',
    'instances.auth.aws.secret_access_key',
    'instances.auth.aws.session_token',
    'semantic_opts.embeddings.auth.header',
    'semantic_opts.embeddings.auth.query',
  ],
  'ai-rate-limiting': ['redis_password', 'sentinel_password'],
  'authz-keycloak': ['client_secret'],
  'basic-auth': ['password'],
  'clickhouse-logger': ['password'],
  csrf: ['key'],
  'elasticsearch-logger': ['auth.password', 'headers'],
  'google-cloud-logging': ['auth_config.private_key'],
  'graphql-limit-count': ['redis_password', 'sentinel_password', 'introspection_headers'],
  'hmac-auth': ['secret_key'],
  'http-logger': ['auth_header'],
  'jwe-decrypt': ['key', 'secret'],
  'jwt-auth': ['secret'],
  'key-auth': ['key'],
  'limit-conn': ['redis_password'],
  'limit-count': ['redis_password', 'sentinel_password'],
  'limit-req': ['redis_password'],
  loggly: ['customer_token'],
  'loki-logger': ['headers'],
  'openid-connect': [
    'client_secret',
    'client_rsa_private_key',
    'dpop.private_key',
    'session.secret',
    'session.redis.password',
  ],
  'sls-logger': ['access_key_secret'],
  'splunk-hec-logging': ['endpoint.token'],
}

suite('what APISIX encrypts is a secret', () => {
  for (const [name, fields] of Object.entries(encrypted)) {
    test(name, () => {
      const { schema, consumer_schema: credential } = publishedPolicy(policies.get(name)!)
      const secrets = new Set([...(schema.encrypt_fields ?? []), ...(credential?.encrypt_fields ?? [])])
      assert.deepEqual(
        fields.filter((field) => !secrets.has(field)),
        [],
      )
    })
  }
})
