/** Paths beside those of resources: whole configurations, policies and schemas. */
import { answer, failures, type Json, json, parameters } from './parts.ts'

const object: Json = { type: 'object' }
const digest: Json = {
  name: 'X-Digest',
  in: 'header',
  required: true,
  description: 'Changes with the document; one that is in force already is not read again.',
  schema: { type: 'string' },
}
const document: Json = {
  required: true,
  content: { 'application/json': { schema: object }, 'application/yaml': { schema: object } },
}

export const configPaths: Json = {
  '/configs': {
    get: {
      operationId: 'getConfigs',
      tags: ['configs'],
      summary: 'Reads every resource as one document.',
      responses: { 200: answer('The document.', object), ...failures },
    },
    head: {
      operationId: 'headConfigs',
      tags: ['configs'],
      summary: 'Tells which document is in force.',
      responses: { 200: { description: 'In `X-Digest` and `X-Last-Modified`.' } },
    },
    put: {
      operationId: 'putConfigs',
      tags: ['configs'],
      summary: 'Replaces every resource by those of a document.',
      parameters: [digest],
      requestBody: document,
      responses: {
        202: { description: 'It is in force.' },
        204: { description: 'It was already.' },
        ...failures,
      },
    },
  },
  '/configs/validate': {
    post: {
      operationId: 'validateConfigs',
      tags: ['configs'],
      summary: 'Checks a document, and changes nothing.',
      requestBody: document,
      responses: { 200: answer('Nothing is wrong with it.', object), ...failures },
    },
  },
}

export const schemaPaths: Json = {
  '/plugins/list': {
    get: {
      operationId: 'listPlugins',
      tags: ['plugins'],
      summary: 'Names of policies, in the order in which they run.',
      parameters: parameters('subsystem'),
      responses: { 200: answer('The names.', { type: 'array', items: { type: 'string' } }), ...failures },
    },
  },
  '/plugins': {
    get: {
      operationId: 'describePlugins',
      tags: ['plugins'],
      summary: 'Priority and schemas of every policy, by name.',
      parameters: parameters('all', 'subsystem'),
      responses: { 200: answer('The policies.', object), ...failures },
    },
  },
  '/plugins/{plugin}': {
    parameters: parameters('plugin'),
    get: {
      operationId: 'getPluginSchema',
      tags: ['plugins'],
      summary: 'Schema of one policy.',
      parameters: parameters('schema_type', 'subsystem'),
      responses: { 200: answer('JSON Schema.', object), ...failures },
    },
  },
  '/plugins/reload': {
    put: {
      operationId: 'reloadPlugins',
      tags: ['plugins'],
      summary: 'For clients of APISIX: policies are part of the gateway, and there is nothing to load.',
      responses: { 200: { description: 'Done.', content: { 'text/plain': { schema: { const: 'done' } } } } },
    },
  },
  '/schema/{resource}': {
    parameters: parameters('resource'),
    get: {
      operationId: 'getSchema',
      tags: ['schema'],
      summary: 'Schema of one kind of resource.',
      responses: { 200: answer('JSON Schema.', object), ...failures },
    },
  },
  '/schema/plugins/{plugin}': {
    parameters: parameters('plugin'),
    get: {
      operationId: 'getSchemaOfPlugin',
      tags: ['schema'],
      summary: 'Schema of one policy.',
      parameters: parameters('schema_type', 'subsystem'),
      responses: { 200: answer('JSON Schema.', object), ...failures },
    },
  },
  '/schema/validate/{kind}': {
    parameters: parameters('kind'),
    post: {
      operationId: 'validateResource',
      tags: ['schema'],
      summary: 'Checks a resource against its schema, and nothing else.',
      requestBody: { required: true, content: json(object) },
      responses: { 200: { description: 'It fits.' }, ...failures },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'getOpenApi',
      tags: ['schema'],
      summary: 'This document.',
      responses: { 200: answer('OpenAPI 3.1.', object), ...failures },
    },
  },
}
