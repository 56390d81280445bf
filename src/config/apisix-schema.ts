/**
 * Our schemas as APISIX 3.18 has them: for its schema endpoints, and for the words in which the Admin API says what is
 * wrong. Annotations of ours are left out, and where a resource takes more than APISIX does, the difference stands here.
 */
import { apisixAddressForms } from './addresses.ts'
import {
  consumerGroupSchema,
  consumerSchema,
  credentialSchema,
  globalRuleSchema,
  metaSchema,
  pluginSetSchema,
  protoSchema,
  routeSchema,
  serviceSchema,
  sslSchema,
  streamRouteSchema,
  upstreamSchema,
} from './resources.ts'
import { mapSchemas, publicKeywords, type SchemaMap } from './schema/map.ts'
import type { TSchema } from './type.ts'

/** The keywords that APISIX's validator and ours have in common. */
export interface JsonSchema {
  type?: string | string[]
  properties?: Record<string, JsonSchema | boolean>
  patternProperties?: Record<string, JsonSchema | boolean>
  additionalProperties?: JsonSchema | boolean
  required?: string[]
  dependencies?: Record<string, JsonSchema | string[]>
  minProperties?: number
  maxProperties?: number
  items?: JsonSchema | boolean
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  minLength?: number
  maxLength?: number
  pattern?: string
  format?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  multipleOf?: number
  enum?: unknown[]
  const?: unknown
  allOf?: (JsonSchema | boolean)[]
  anyOf?: (JsonSchema | boolean)[]
  oneOf?: (JsonSchema | boolean)[]
  not?: JsonSchema | boolean
  if?: JsonSchema | boolean
  then?: JsonSchema | boolean
  else?: JsonSchema | boolean
  default?: unknown
  /** Properties with secrets, with dots between the names of a path. */
  encrypt_fields?: string[]
  title?: string
  description?: string
}

const translated = new WeakMap<TSchema, JsonSchema>()

/** One and the same object for one schema, not to be changed. */
export function apisixSchema(schema: TSchema): JsonSchema {
  let known = translated.get(schema)
  if (known === undefined) {
    known = translate(schema as Annotated)
    const difference = differences.get(schema)
    if (difference !== undefined) known = merged(known, difference())
    const secrets = secretPaths(schema as Annotated)
    // Resources have secrets too, and APISIX lists those of policies only.
    if (secrets.length > 0 && difference === undefined) known.encrypt_fields = secrets
    translated.set(schema, known)
  }
  return known
}

interface Annotated extends JsonSchema {
  'x-secret'?: boolean
  /** Of a policy: how its schema differs here. */
  'x-apisix'?: Difference
}

function translate(schema: Annotated): JsonSchema {
  return mapSchemas(schema, (one) => {
    const { title: _, description: _description, ...result } = publicKeywords(one)
    const { enum: values, type } = result as JsonSchema
    if (values !== undefined && type === undefined) {
      const types = new Set(values.map((value) => (Number.isInteger(value) ? 'integer' : typeof value)))
      if (types.size === 1) result.type = [...types][0]
    }
    return merged(result as JsonSchema, (one['x-apisix'] as Difference | undefined) ?? {}) as SchemaMap
  })
}

function secretPaths(schema: Annotated, prefix = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    if (typeof inner !== 'object') return []
    if (isSecret(inner)) return [prefix + name]
    // APISIX's paths lead through lists without saying so.
    const { items } = inner
    return [inner, items].flatMap((one) =>
      typeof one === 'object' ? secretPaths(one, `${prefix}${name}.`) : [],
    )
  })
}

/** It is one, or a map of names and secrets. */
function isSecret(schema: Annotated): boolean {
  if (schema['x-secret'] === true) return true
  return Object.values(schema.patternProperties ?? {}).some(
    (one) => typeof one === 'object' && (one as Annotated)['x-secret'] === true,
  )
}

/** Maps are merged, everything else is replaced; undefined takes a keyword away. */
function merged(schema: JsonSchema, difference: Difference): JsonSchema {
  const result: Record<string, unknown> = { ...schema }
  for (const [key, value] of Object.entries(difference)) {
    if (value === undefined) delete result[key]
    else if (isMap(value) && isMap(result[key])) result[key] = merged(result[key], value)
    else result[key] = value
  }
  return result as JsonSchema
}

type Difference = { [keyword: string]: unknown }

const isMap = (value: unknown): value is Difference =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Functions, because a start has no need of them, and some hold another schema. */
const differences = new Map<TSchema, () => Difference>([
  [routeSchema, route],
  [serviceSchema, () => ({ properties: { ...named, plugins, ...upstreams(), ...hosts } })],
  [upstreamSchema, upstream],
  [consumerSchema, consumer],
  [credentialSchema, credential],
  [consumerGroupSchema, () => ({ ...pluginSet, properties: { ...named, plugins } })],
  [pluginSetSchema, pluginConfig],
  [globalRuleSchema, globalRule],
  [sslSchema, certificate],
  [protoSchema, () => ({ properties: named })],
  [streamRouteSchema, streamRoute],
  [metaSchema, meta],
])

const id = {
  anyOf: [
    { type: 'string', minLength: 1, maxLength: 64, pattern: '^[a-zA-Z0-9-_.]+$' },
    { type: 'integer', minimum: 1 },
  ],
}

/** Lengths are those of APISIX, where API7 allows more. */
const described = {
  desc: { maxLength: 256 },
  labels: { patternProperties: { '.*': { pattern: '^\\S+$', maxLength: 256 } } },
}
const named = { id, name: { maxLength: 256 }, ...described }

/** Each configuration is looked at on its own, with words of its own. */
const plugins = { additionalProperties: undefined }

const host = { pattern: '^\\*$|^\\*?[0-9a-zA-Z-._\\[\\]:]+$', maxLength: undefined }
const hosts = { hosts: { items: { type: 'string', pattern: host.pattern } } }

const address = { type: 'string', format: undefined, anyOf: apisixAddressForms }

const needs = (...required: string[]) => ({ required })

/** A field and its plural exclude each other, and neither has to be there. */
const atMostOne = (field: string) => ({
  oneOf: [{ not: { anyOf: [needs(field), needs(`${field}s`)] } }, needs(field), needs(`${field}s`)],
})

const upstreams = () => ({ upstream: apisixSchema(upstreamSchema), upstream_id: id })

function route(): Difference {
  const { format: _, ...item } = address
  const targets = ['plugins', 'upstream', 'upstream_id', 'service_id']
  return {
    properties: {
      ...named,
      plugins,
      ...upstreams(),
      ...hosts,
      host,
      uri: { pattern: undefined },
      uris: { items: { type: 'string' } },
      remote_addr: address,
      remote_addrs: { items: item },
      service_id: id,
      plugin_config_id: id,
      filter_func: { type: 'string', minLength: 10, pattern: '^function' },
      script: { type: 'string', minLength: 10, maxLength: 102_400 },
      script_id: id,
    },
    allOf: [
      { oneOf: [needs('uri'), needs('uris'), needs('paths')] },
      atMostOne('host'),
      atMostOne('remote_addr'),
    ],
    anyOf: [
      ...['uri', 'uris'].flatMap((paths) => targets.map((target) => needs(target, paths))),
      needs('script', 'uri'),
      needs('script', 'uris'),
      // In a form that the error does not list: it is that of APISIX, which has no `paths`.
      { allOf: [needs('paths'), { anyOf: targets.map((target) => needs(target)) }] },
    ],
    not: { anyOf: [needs('script', 'plugins'), needs('script', 'plugin_config_id')] },
  }
}

function upstream(): Difference {
  return {
    properties: {
      ...named,
      type: { type: 'string', enum: undefined },
      scheme: {
        type: undefined,
        enum: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'udp', 'kafka'],
      },
      nodes: { anyOf: nodes },
      retries: { maximum: undefined },
      upstream_host: host,
      tls: {
        type: 'object',
        properties: {
          client_cert_id: id,
          client_cert: { type: 'string', minLength: 128, maxLength: 65_536 },
          client_key: { type: 'string', minLength: 64, maxLength: 65_536 },
          verify: { type: 'boolean', default: false },
        },
        dependencies: {
          client_cert: needs('client_key'),
          client_key: needs('client_cert'),
          client_cert_id: { not: needs('client_cert', 'client_key') },
        },
      },
    },
  }
}

function certificate(): Difference {
  return {
    properties: {
      id,
      ...described,
      type: { enum: ['server', 'client'] },
      sni: host,
      snis: { items: { type: 'string', pattern: host.pattern } },
    },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    else: { if: undefined, then: undefined, else: undefined, required: ['key', 'cert'] },
  }
}

function streamRoute(): Difference {
  return {
    properties: {
      ...named,
      plugins,
      ...upstreams(),
      service_id: id,
      remote_addr: address,
      server_addr: address,
      sni: host,
      protocol: { properties: { superior_id: id } },
    },
  }
}

const weight = { description: 'weight of node', type: 'integer', minimum: 0 }
const nodes = [
  { type: 'object', patternProperties: { '.*': weight } },
  {
    type: 'array',
    items: {
      type: 'object',
      properties: {
        host: { type: 'string', pattern: host.pattern },
        port: { description: 'port of node', type: 'integer', minimum: 1, maximum: 65_535 },
        weight,
        priority: { description: 'priority of node', type: 'integer', default: 0 },
        metadata: { description: 'metadata of node', type: 'object' },
      },
      required: ['host', 'weight'],
    },
  },
]

function consumer(): Difference {
  return { properties: { id, ...described, plugins, username: { maxLength: 256 }, group_id: id } }
}

function credential(): Difference {
  return {
    properties: {
      ...named,
      id: {
        oneOf: [
          id,
          {
            type: 'string',
            minLength: 15,
            maxLength: 128,
            pattern: '^[a-zA-Z0-9-_]+/credentials/[a-zA-Z0-9-_.]+$',
          },
        ],
        anyOf: undefined,
      },
      plugins: { ...plugins, maxProperties: 1 },
    },
    required: undefined,
  }
}

function pluginConfig(): Difference {
  return {
    ...pluginSet,
    properties: { id, ...described, name: { type: 'string', maxLength: undefined }, plugins },
  }
}

function globalRule(): Difference {
  return { ...pluginSet, properties: { id, plugins, name: undefined, desc: undefined, labels: undefined } }
}

/** The names of variables, fields and cookies by which requests may be hashed, by `hash_on`. */
export const hashKeySchemas: Readonly<Record<string, TSchema>> = {
  vars: {
    type: 'string',
    pattern:
      '^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$',
  },
  header: { type: 'string', pattern: '^[a-zA-Z0-9-_]+$' },
  cookie: { type: 'string', pattern: '^[a-zA-Z0-9-_]+$' },
}

const pluginSet = { required: ['id', 'plugins'] }

function meta(): Difference {
  return {
    properties: { error_response: { anyOf: undefined, oneOf: messages }, pre_function: { type: 'string' } },
  }
}

const messages = [{ type: 'string' }, { type: 'object' }]
