/** Wordings are those of api7/jsonschema with the schemas of APISIX 3.18; the configurations are our own. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { catalogue, policySchemas } from '../policies/index.ts'
import { apisixError } from './apisix-wording.ts'
import {
  consumerGroupSchema,
  consumerSchema,
  credentialSchema,
  globalRuleSchema,
  metaSchema,
  routeSchema,
  serviceSchema,
  upstreamSchema,
} from './resources.ts'
import type { TSchema } from './type.ts'

type Row = readonly [value: unknown, error: string | undefined]

function table(title: string, schema: object, rows: readonly Row[]): void {
  test(title, () => {
    for (const [value, error] of rows) {
      assert.equal(apisixError(schema as TSchema, value), error, JSON.stringify(value))
    }
  })
}

const nodes = { '127.0.0.1:1980': 1 }
const noForm = 'value should match only one schema, but matches none'
const noRequired = 'object matches none of the required'
const hostPattern = '"^\\\\*$|^\\\\*?[0-9a-zA-Z-._\\\\[\\\\]:]+$"'
const anyTarget =
  '["plugins","uri"] or ["upstream","uri"] or ["upstream_id","uri"] or ["service_id","uri"] or ' +
  '["plugins","uris"] or ["upstream","uris"] or ["upstream_id","uris"] or ["service_id","uris"] or ' +
  '["script","uri"] or ["script","uris"]'

suite('resources', () => {
  table('routes', routeSchema, [
    [{ id: '1', uri: '/a', upstream_id: 'u' }, undefined],
    [{ paths: ['/a'], service_id: 's' }, undefined],
    [{ uri: 7 }, 'property "uri" validation failed: wrong type: expected string, got number'],
    [{ uri: '' }, 'property "uri" validation failed: string too short, expected at least 1, got 0'],
    [{ upstream_id: 'u' }, `allOf 1 failed: ${noForm}`],
    [
      { uri: '/a', uris: ['/b'], upstream_id: 'u' },
      'allOf 1 failed: value should match only one schema, but matches both schemas 1 and 2',
    ],
    [{ uri: '/a' }, `${noRequired}: ${anyTarget}`],
    [{ paths: ['/a'] }, `${noRequired}: ${anyTarget}`],
    [{ id: 'a b', uri: '/a', upstream_id: 'u' }, `property "id" validation failed: ${noRequired}`],
    [{ id: 'a'.repeat(65), uri: '/a' }, `property "id" validation failed: ${noRequired}`],
    [{ uri: '/a', upstream_id: 0 }, `property "upstream_id" validation failed: ${noRequired}`],
    [
      { uri: '/a', name: 'n'.repeat(257) },
      'property "name" validation failed: string too long, expected at most 256, got 257',
    ],
    [
      { uri: '/a', methods: ['GET', 'FETCH'] },
      'property "methods" validation failed: failed to validate item 2: matches none of the enum values',
    ],
    [
      { uri: '/a', methods: 'GET' },
      'property "methods" validation failed: wrong type: expected array, got string',
    ],
    [
      { uris: ['/a', '/b', '/a'], upstream_id: 'u' },
      'property "uris" validation failed: expected unique items but items 1 and 3 are equal',
    ],
    [{ uris: [] }, 'property "uris" validation failed: expect array to have at least 1 items'],
    [
      { uri: '/a', host: 'a b' },
      `property "host" validation failed: failed to match pattern ${hostPattern} with "a b"`,
    ],
    [
      { uri: '/a', hosts: ['a.b', 'a"b\n'] },
      `property "hosts" validation failed: failed to validate item 2: failed to match pattern ${hostPattern} with "a\\"b\\\n"`,
    ],
    [{ uri: '/a', remote_addr: '10.0.0' }, `property "remote_addr" validation failed: ${noRequired}`],
    [{ uri: '/a', remote_addr: '10.0.0.0/33' }, `property "remote_addr" validation failed: ${noRequired}`],
    [{ uri: '/a', upstream_id: 'u', remote_addr: '::1/128' }, undefined],
    [{ uri: '/a', status: 2 }, 'property "status" validation failed: matches none of the enum values'],
    [
      { uri: '/a', status: '1' },
      'property "status" validation failed: wrong type: expected integer, got string',
    ],
    [
      { uri: '/a', priority: 1.5 },
      'property "priority" validation failed: wrong type: expected integer, got number',
    ],
    [
      { uri: '/a', priority: null },
      'property "priority" validation failed: wrong type: expected integer, got userdata',
    ],
    [
      { uri: '/a', plugins: [1] },
      'property "plugins" validation failed: wrong type: expected object, got table',
    ],
    [{ uri: '/a', plugins: [] }, undefined],
    [{ uri: '/a', upstream_id: 'u', colour: 'red' }, 'additional properties forbidden, found colour'],
    [
      { uri: '/a', labels: { team: { a: 1 } } },
      'property "labels" validation failed: failed to validate team (matching ".*"): wrong type: expected string, got table',
    ],
    [
      { uri: '/a', labels: { team: 'a b' } },
      'property "labels" validation failed: failed to validate team (matching ".*"): failed to match pattern "^\\\\S+$" with "a b"',
    ],
    [
      { uri: '/a', timeout: { connect: 0, send: 1, read: 1 } },
      'property "timeout" validation failed: property "connect" validation failed: expected 0 to be greater than 0',
    ],
    [
      { uri: '/a', timeout: { connect: 1 } },
      'property "timeout" validation failed: property "send" is required',
    ],
    [{ uri: '/a', upstream: {} }, `property "upstream" validation failed: ${noForm}`],
    [
      { uri: '/a', upstream: { nodes, checks: {} } },
      `property "upstream" validation failed: property "checks" validation failed: ${noRequired}: ["active"] or ["active","passive"]`,
    ],
    [
      { uri: '/a', upstream: { nodes, checks: { active: { healthy: { successes: 300 } } } } },
      'property "upstream" validation failed: property "checks" validation failed: property "active" validation failed: property "healthy" validation failed: property "successes" validation failed: expected 300 to be at most 254',
    ],
    [{ uri: '/a', plugins: {}, script: 'return { }' }, "value wasn't supposed to match schema"],
    ['text', 'wrong type: expected object, got string'],
  ])

  table('services', serviceSchema, [
    [{}, undefined],
    [
      { upstream: { nodes: [{ host: 'a' }] } },
      `property "upstream" validation failed: property "nodes" validation failed: ${noRequired}`,
    ],
    [
      { enable_websocket: 'yes' },
      'property "enable_websocket" validation failed: wrong type: expected boolean, got string',
    ],
    [{ hosts: ['*'] }, undefined],
  ])

  table('upstreams', upstreamSchema, [
    [{ nodes, type: 'roundrobin', scheme: 'grpc' }, undefined],
    [{ nodes: [] }, undefined],
    [{ type: 'roundrobin' }, noForm],
    [
      { nodes, service_name: 's', discovery_type: 'dns' },
      'value should match only one schema, but matches both schemas 1 and 2',
    ],
    [{ nodes: { a: -1 } }, `property "nodes" validation failed: ${noRequired}`],
    [{ nodes: [{ host: 'a', port: 0, weight: 1 }] }, `property "nodes" validation failed: ${noRequired}`],
    [{ nodes, retries: -1 }, 'property "retries" validation failed: expected -1 to be at least 0'],
    [{ nodes, hash_on: 'body' }, 'property "hash_on" validation failed: matches none of the enum values'],
    [{ nodes, scheme: 7 }, 'property "scheme" validation failed: matches none of the enum values'],
    [
      { nodes, keepalive_pool: { size: 0 } },
      'property "keepalive_pool" validation failed: property "size" validation failed: expected 0 to be at least 1',
    ],
  ])

  table('consumers and what belongs to them', consumerSchema, [
    [{ plugins: {} }, 'property "username" is required'],
    [
      { username: 'a.b' },
      'property "username" validation failed: failed to match pattern "^[a-zA-Z0-9_\\\\-]+$" with "a.b"',
    ],
    [{ username: 'a', id: 'a', group_id: 'g' }, undefined],
  ])
  table('credentials', credentialSchema, [
    [{ id: 'jack/credentials/one', plugins: { 'key-auth': {} } }, undefined],
    [{}, undefined],
    [
      { plugins: { a: {}, b: {} } },
      'property "plugins" validation failed: expect object to have at most 1 properties',
    ],
  ])
  table('global rules', globalRuleSchema, [
    [{ id: '1' }, 'property "plugins" is required'],
    [{ id: '1', plugins: {}, name: 'a' }, 'additional properties forbidden, found name'],
  ])
  table('consumer groups', consumerGroupSchema, [[{ id: 'g' }, 'property "plugins" is required']])
  table('_meta', metaSchema, [
    [{ error_response: 7 }, `property "error_response" validation failed: ${noForm}`],
    [{ disable: 'yes' }, 'property "disable" validation failed: wrong type: expected boolean, got string'],
    [{ shadow: true }, 'additional properties forbidden, found shadow'],
  ])
})

suite('keywords', () => {
  table('of every type', { enum: [1, 'a', { a: [1] }] }, [
    [{ a: [1] }, undefined],
    [{ a: [2] }, 'matches none of the enum values'],
  ])
  table('several types', { type: ['string', 'null'] }, [
    [null, undefined],
    [1, 'wrong type: expected one of string, null, got number'],
  ])
  table(
    'an empty table is a map and a list',
    { properties: { a: { type: 'object' }, b: { type: 'array' } } },
    [
      [{ a: [], b: {} }, undefined],
      [{ a: [1] }, 'property "a" validation failed: wrong type: expected object, got table'],
      [{ b: { c: 1 } }, 'property "b" validation failed: wrong type: expected array, got table'],
    ],
  )
  table(
    'const, not, if',
    { not: { const: 1 }, if: { type: 'string' }, [`${'then'}`]: { minLength: 2 }, else: { minimum: 2 } },
    [
      [1, 'else clause did not match'],
      ['a', 'then clause did not match'],
      ['ab', undefined],
    ],
  )
  table('const', { properties: { a: { const: [1] } } }, [
    [{ a: [2] }, 'property "a" validation failed: failed to check const value'],
  ])
  table('never', { properties: { a: false } }, [
    [{ a: 1 }, 'property "a" validation failed: expect false always'],
  ])
  table(
    'dependencies',
    { properties: { a: {} }, dependencies: { a: ['b'], c: ['d'], e: { required: ['f'] } } },
    [
      [{ a: 1 }, 'property "b" is required when "a" is set'],
      [{ c: 1 }, 'property "d" is required when "c" is set'],
      [{ e: 1 }, 'failed to validate dependent schema for "e": property "f" is required'],
      [{ a: 1, b: 1 }, undefined],
    ],
  )
  table(
    'further properties',
    { additionalProperties: { type: 'string' }, maxProperties: 2, minProperties: 1 },
    [
      [{ a: 1 }, 'failed to validate additional property a: wrong type: expected string, got number'],
      [{}, 'expect object to have at least 1 properties'],
      [{ a: '', b: '', c: '' }, 'expect object to have at most 2 properties'],
    ],
  )
  table('lists', { maxItems: 2, uniqueItems: true, items: { type: ['number', 'object'] } }, [
    [[1, 2, 3], 'expect array to have at most 2 items'],
    [[{ a: 1 }, { a: 1 }], 'expected unique items but items 1 and 2 are equal'],
  ])
  table('formats', { format: 'ipv4' }, [['::1', 'expect valid ipv4 format but got: ::1']])
  table('numbers are written as Lua writes them', { maximum: 0.1, minimum: -1e21 }, [
    [0.30000000000000004, 'expected 0.3 to be at most 0.1'],
    [123456789012345680, 'expected 1.2345678901235e+17 to be at most 0.1'],
    [100, 'expected 100 to be at most 0.1'],
    [-1e22, 'expected -1e+22 to be at least -1e+21'],
  ])
  table('small ones too', { minimum: 1, exclusiveMaximum: 5, multipleOf: 2 }, [
    [0.00001, 'expected 1e-05 to be at least 1'],
    [0.00012, 'expected 0.00012 to be at least 1'],
    [5, 'expected 5 to be smaller than 5'],
    [3, 'expected 3 to be a multiple of 2'],
  ])
  table('control characters are written as Lua writes them', { pattern: '^$' }, [
    ['\t1\x7f', 'failed to match pattern "^$" with "\\0091\\127"'],
    ['\\', 'failed to match pattern "^$" with "\\\\"'],
  ])
  table(
    'what is required and has a default is filled in',
    { properties: { a: { default: 1 } }, required: ['a', 'b'] },
    [
      [{}, 'property "b" is required'],
      [{ b: 1 }, undefined],
    ],
  )
  table('keys are nothing but keys', { required: ['constructor'], additionalProperties: false }, [
    [{}, 'property "constructor" is required'],
    [JSON.parse('{"constructor":1,"__proto__":1}'), 'additional properties forbidden, found constructor'],
  ])
})

suite('policies', () => {
  const schemaOf = (name: string) => policySchemas(catalogue).get(name)!.configSchema
  table('limit-count', schemaOf('limit-count'), [
    [{ time_window: 60 }, noForm],
    [{ count: 0, time_window: 60 }, `property "count" validation failed: ${noForm}`],
    [{ count: '$limit', time_window: 60 }, undefined],
    [
      { count: 1, time_window: 60, rejected_msg: '' },
      'property "rejected_msg" validation failed: string too short, expected at least 1, got 0',
    ],
    [
      { count: 1, time_window: 60, rejected_code: 199 },
      'property "rejected_code" validation failed: expected 199 to be at least 200',
    ],
    [
      { count: 1, time_window: 60, key_type: 'vars' },
      'property "key_type" validation failed: matches none of the enum values',
    ],
  ])
  table('cors', schemaOf('cors'), [
    [
      { allow_origins: 'a.example' },
      'property "allow_origins" validation failed: failed to match pattern "^(\\\\*|\\\\*\\\\*|null|\\\\w+://[^,]+(,\\\\w+://[^,]+)*)$" with "a.example"',
    ],
    [
      { allow_origins_by_regex: [] },
      'property "allow_origins_by_regex" validation failed: expect array to have at least 1 items',
    ],
    [{ max_age: '5' }, 'property "max_age" validation failed: wrong type: expected integer, got string'],
  ])
  table('key-auth', schemaOf('key-auth'), [
    [{}, undefined],
    [
      { anonymous_consumer: '' },
      'property "anonymous_consumer" validation failed: string too short, expected at least 1, got 0',
    ],
  ])
  table('credentials of basic-auth', policySchemas(catalogue).get('basic-auth')!.credentialSchema!, [
    [{ username: 'jack' }, 'property "password" is required'],
    [
      { username: 'jack', password: 1 },
      'property "password" validation failed: wrong type: expected string, got number',
    ],
  ])
  table('metadata of prometheus', policySchemas(catalogue).get('prometheus')!.metadataSchema!, [
    [
      { disabled_labels: { http_status: ['code'] } },
      'property "disabled_labels" validation failed: property "http_status" validation failed: failed to validate item 1: matches none of the enum values',
    ],
  ])
})

test('the value stays as it is', () => {
  const value = { uri: '/a', upstream: { nodes } }
  const before = structuredClone(value)
  apisixError(routeSchema, value)
  assert.deepEqual(value, before)
})
