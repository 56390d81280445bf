/** The Admin API as an OpenAPI 3.1 document, made from the schemas that requests are checked against. */
import type { Catalogue, PolicySchema } from '../../../config/policy-check.ts'
import { publicSchema } from '../../../config/public-schema.ts'
import { metaSchema } from '../../../config/resources.ts'
import { schemasByKind } from '../../published-schemas.ts'
import { type AdminKind, adminKinds } from '../kinds.ts'
import { configPaths, schemaPaths } from './other-paths.ts'
import { definedParameters } from './parameters.ts'
import { answer, type Json, reference } from './parts.ts'
import { resourcePaths, typeName } from './resource-paths.ts'

/** `version` is the gateway's. */
export function openApi(catalogue: Catalogue, version: string): object {
  const policies = [...catalogue.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice Admin API',
      version,
      description:
        'Resources of the gateway, with the paths, answers and words of the Apache APISIX Admin API. A change is durable, and in force in every thread, when it is answered.',
    },
    servers: [{ url: '/apisix/admin' }],
    security: [{ key: [] }],
    paths: { ...resourcePaths(), ...configPaths, ...schemaPaths },
    components: {
      securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-API-KEY' } },
      parameters: definedParameters,
      responses: { Failure: failure },
      schemas: {
        Error: errorSchema,
        Meta: publicSchema(metaSchema),
        ...Object.fromEntries(policies.flatMap(policySchemas)),
        Plugins: pluginsSchema(policies, ({ name }) => reference(`plugin.${name}`)),
        ConsumerPlugins: pluginsSchema(policies, consumerPlugin),
        ...Object.fromEntries([...adminKinds.values()].map((kind) => [typeName(kind), resourceSchema(kind)])),
      },
    },
  }
}

function policySchemas(policy: PolicySchema): [string, Json][] {
  const { name, configSchema, credentialSchema, metadataSchema } = policy
  const config = publicSchema(configSchema)
  const properties = { ...(config.properties as object), _meta: reference('Meta') }
  return [
    [`plugin.${name}`, { ...config, properties }],
    ...(credentialSchema ? [[`credential.${name}`, publicSchema(credentialSchema)] as [string, Json]] : []),
    ...(metadataSchema ? [[`metadata.${name}`, publicSchema(metadataSchema)] as [string, Json]] : []),
  ]
}

const pluginsSchema = (
  policies: readonly PolicySchema[],
  schemaOf: (policy: PolicySchema) => Json,
): Json => ({
  type: 'object',
  properties: Object.fromEntries(policies.map((policy) => [policy.name, schemaOf(policy)])),
  additionalProperties: false,
})

/** On a consumer, what it identifies itself with stands under the name of the policy. */
const consumerPlugin = ({ name, credentialSchema }: PolicySchema) =>
  reference(`${credentialSchema === undefined ? 'plugin' : 'credential'}.${name}`)

function resourceSchema(kind: AdminKind): Json {
  const schema = schemasByKind[kind.name]
  if (schema === undefined) return { type: 'object' }
  const described = publicSchema(schema)
  const properties = { ...(described.properties as Json) }
  const plugins = ['consumers', 'credentials'].includes(kind.name) ? 'ConsumerPlugins' : 'Plugins'
  if (properties.plugins !== undefined) {
    properties.plugins = { ...reference(plugins), description: (properties.plugins as Json).description }
  }
  if (properties.upstream !== undefined) {
    properties.upstream = { ...reference('Upstream'), description: (properties.upstream as Json).description }
  }
  return { ...described, properties }
}

const errorSchema: Json = {
  type: 'object',
  properties: {
    error_msg: { description: 'What is wrong, in the words of APISIX.' },
    message: { type: 'string' },
    description: { type: 'string' },
    req_body: { type: 'string', description: 'A body that is not JSON.' },
  },
}

const failure = answer('It was not done.', reference('Error'))
