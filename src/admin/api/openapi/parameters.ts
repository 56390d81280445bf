/** Parameters of paths and queries, defined once for all operations. */
import type { Json } from './parts.ts'

const inPath = (name: string, description: string): Json => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string' },
})
const inQuery = (name: string, description: string, schema: Json = { type: 'string' }): Json => ({
  name,
  in: 'query',
  description,
  schema,
})

export const definedParameters: Json = {
  id: inPath('id', 'Identity of the resource.'),
  username: inPath('username', 'Username of the consumer.'),
  service_id: inPath('service_id', 'Id of the service.'),
  plugin: inPath('plugin', 'Name of the policy.'),
  manager: inPath('manager', 'Kind of secret manager.'),
  kind: inPath('kind', 'Kind of resource, as in paths: `routes`.'),
  resource: inPath('resource', 'Kind of resource: `route`, `global_rule`.'),
  path: inPath('path', 'Names and indexes below the resource, with `/` between them.'),
  page: inQuery('page', 'From 1; together with `page_size`.', { type: 'integer', minimum: 1 }),
  page_size: inQuery('page_size', 'Resources of a page.', { type: 'integer', minimum: 10, maximum: 500 }),
  name: inQuery('name', 'A regular expression for the name.'),
  uri: inQuery('uri', 'A regular expression for one of the paths.'),
  label: inQuery('label', 'A label that is there, whatever its value.'),
  filter: inQuery('filter', 'Fields and their values, encoded as a query: `service_id=1`.'),
  ttl: inQuery('ttl', 'Seconds after which the resource goes by itself.', {
    type: 'number',
    exclusiveMinimum: 0,
  }),
  force: inQuery('force', '`true`: also when it is in use.', { enum: ['true', 'false'] }),
  subsystem: inQuery('subsystem', 'Default: `http`.', { enum: ['http', 'stream'] }),
  schema_type: inQuery('schema_type', '`consumer`: what a consumer carries for the policy.', {
    enum: ['consumer'],
  }),
  all: inQuery('all', '`true`: of every policy.', { enum: ['true'] }),
}
