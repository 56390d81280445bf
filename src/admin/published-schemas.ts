/** The schemas of resources and policies as APISIX publishes its own: at `/apisix/admin/schema` and `/v1/schema`. */
import { apisixSchema, hashKeySchemas, type JsonSchema } from '../config/apisix-schema.ts'
import { keptSchemas } from '../config/kept-resources.ts'
import type { Catalogue, PolicySchema } from '../config/policy-check.ts'
import { costDecorationSchema, credentialSchema, metaSchema, resourceSchemas } from '../config/resources.ts'
import type { TSchema } from '../config/type.ts'
import { type Endpoints, json } from './server.ts'

/** By the kind's name in paths of the Admin API. */
export const schemasByKind: Readonly<Record<string, TSchema>> = {
  ...resourceSchemas,
  ...keptSchemas,
  credentials: credentialSchema,
  graphql_cost_decorations: costDecorationSchema,
}

/** The kinds of `/v1/schema`, and what they are called there. */
const main = {
  consumers: 'consumer',
  consumer_groups: 'consumer_group',
  global_rules: 'global_rule',
  graphql_cost_decorations: 'graphql_cost_decoration',
  plugin_configs: 'plugin_config',
  protos: 'proto',
  routes: 'route',
  services: 'service',
  ssls: 'ssl',
  stream_routes: 'stream_route',
  upstreams: 'upstream',
} as const

/** The list of policies that are switched on, which APISIX keeps as a resource. */
const pluginList: JsonSchema = {
  type: 'array',
  items: {
    type: 'object',
    properties: { name: { type: 'string', minLength: 1 }, stream: { type: 'boolean' } },
    required: ['name'],
  },
}

/** One policy, as `/plugins?all=true` and `/v1/schema` tell of it. */
export interface PublishedPolicy {
  version: number
  priority: number
  schema: JsonSchema
  metadata_schema?: JsonSchema
  consumer_schema?: JsonSchema
  type?: 'auth'
  scope?: 'global'
}

export function publishedPolicy(policy: PolicySchema): PublishedPolicy {
  const { version = 0.1, priority = 0, metadataSchema, credentialSchema: credential } = policy
  return {
    version,
    priority,
    schema: configSchemaOf(policy),
    ...(metadataSchema && { metadata_schema: apisixSchema(metadataSchema) }),
    ...(credential && { consumer_schema: apisixSchema(credential) }),
    ...(isAuth(policy) && { type: 'auth' }),
    ...(isGlobal(policy) && { scope: 'global' }),
  }
}

/** A policy as it is on streams; undefined: it does not run there. */
export function inStreams(policy: PolicySchema): PolicySchema | undefined {
  const { stream } = policy
  return stream && { ...policy, ...stream }
}

/** APISIX's word for policies that do nothing on a route of their own. */
const globalPolicies = new Set(['batch-requests', 'error-log-logger', 'node-status', 'server-info'])
const isGlobal = ({ name }: PolicySchema) => globalPolicies.has(name)

/** What APISIX calls so: policies that find a consumer by a credential of its own, and the one that tries several of them. */
const isAuth = ({ name, identify, credentialSchema }: PolicySchema) =>
  identify && (credentialSchema !== undefined || name === 'multi-auth')

/** With the envelope that every policy takes. */
export function configSchemaOf({ configSchema }: PolicySchema): JsonSchema & { $comment: string } {
  const schema = apisixSchema(configSchema)
  return {
    ...schema,
    $comment: 'this is a mark for our injected plugin schema',
    properties: { ...schema.properties, _meta: apisixSchema(metaSchema) },
  }
}

export const schemaEndpoints = (catalogue: Catalogue): Endpoints => ({
  'GET /v1/schema': () => json(200, everySchema(catalogue)),
})

function everySchema(catalogue: Catalogue): object {
  const resources = Object.entries(main).map(([kind, name]) => [name, apisixSchema(schemasByKind[kind]!)])
  return {
    main: {
      ...Object.fromEntries(resources),
      plugins: pluginList,
      upstream_hash_vars_schema: hashKeySchemas.vars,
      upstream_hash_header_schema: hashKeySchemas.header,
    },
    plugins: Object.fromEntries(
      [...catalogue.values()].map((policy) => [policy.name, publishedPolicy(policy)]),
    ),
    stream_plugins: Object.fromEntries(
      [...catalogue.values()].flatMap((policy) => {
        const stream = inStreams(policy)
        return stream === undefined ? [] : [[policy.name, publishedPolicy(stream)]]
      }),
    ),
  }
}
