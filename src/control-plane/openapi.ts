/** The API of the control plane as an OpenAPI 3.1 document and as a page, made from the operations themselves. */
import { publicSchema } from '../config/public-schema.ts'
import type { TSchema } from '../config/type.ts'
import type { Operation } from './operation.ts'
import { operations } from './operations/index.ts'

type Json = Record<string, unknown>

export function controlPlaneOpenApi(version: string): object {
  const paths: Record<string, Json> = {}
  for (const operation of operations) {
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method.toLowerCase()]: openApiOperation(operation),
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice control plane',
      version,
      description:
        'Gateway groups, versions and fleet of a control plane. The configuration of a group has the Admin API at `/apisix/admin?gateway_group_id=ID`, with an OpenAPI document of its own at `/apisix/admin/openapi.json`.',
    },
    paths,
    components: {
      securitySchemes: {
        key: { type: 'apiKey', in: 'header', name: 'X-API-KEY' },
        token: { type: 'http', scheme: 'bearer' },
        certificate: { type: 'mutualTLS' },
      },
    },
  }
}

function openApiOperation({
  summary,
  area,
  access,
  path,
  query,
  body,
  bodyIsOptional,
  answer,
}: Operation): Json {
  const parameters = [
    ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...queryParameters(query).map(({ name, isRequired, schema: { description, ...schema } }) => ({
      name,
      in: 'query',
      ...(isRequired && { required: true }),
      ...(description !== undefined && { description }),
      schema,
    })),
  ]
  const type = answer.type ?? 'application/json'
  return {
    summary,
    tags: [area],
    security:
      access === 'public' ? [] : access === 'gateway' ? [{ certificate: [] }] : [{ key: [] }, { token: [] }],
    ...(isScope(access) && { 'x-scope': access }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: bodyIsOptional !== true,
        content: { 'application/json': { schema: publicSchema(body) } },
      },
    }),
    responses: {
      [answer.status]: {
        description: answer.text,
        ...(answer.status !== 204 && { content: { [type]: {} } }),
      },
    },
  }
}

const isScope = (access: Operation['access']) => !['public', 'gateway', 'signed-in'].includes(access)

interface Parameter {
  name: string
  isRequired: boolean
  schema: Json
}

function queryParameters(query: TSchema | undefined): Parameter[] {
  if (query === undefined) return []
  const { properties = {}, required = [] } = publicSchema(query) as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, schema]) => ({
    name: schema.type === 'array' ? `${name}[]` : name,
    isRequired: required.includes(name),
    schema,
  }))
}

const who = (access: Operation['access']): string => {
  if (access === 'public') return 'anybody'
  if (access === 'gateway') return 'gateways, by certificate'
  return access === 'signed-in' ? 'anybody with a key or token' : `scope \`${access}\``
}

/** docs/reference/control-plane.md */
export function controlPlaneReference(): string {
  const areas = [...new Set(operations.map(({ area }) => area))]
  return `${[
    '# The API of the control plane',
    '',
    '<!-- Made from the operations in src/control-plane with `UPDATE_REFERENCE=1 node --test src/control-plane/openapi.test.ts`. -->',
    '',
    'What `sluice control-plane` answers at its platform port, and to gateways at its sync port; `GET /api/openapi.json` has the',
    'same as an OpenAPI document, with the schemas of all bodies. The configuration of a group is changed by the Admin API at',
    '`/apisix/admin?gateway_group_id=ID` ([clients](../guides/admin-clients.md)), which takes the same credentials: `X-API-KEY: KEY`,',
    'or `Authorization: Bearer TOKEN` with an access token of a user or a connected application.',
    '',
    'Errors are `{"error_msg": "..."}` below `/api` and `/apisix`, as in API7, and `{"status": 400, "message": "..."}` elsewhere.',
    ...areas.flatMap((area) => areaLines(area)),
  ].join('\n')}\n`
}

function areaLines(area: string): string[] {
  return ['', `## ${area}`, ...operations.filter((one) => one.area === area).flatMap(operationLines)]
}

function operationLines({
  method,
  path,
  summary,
  access,
  query,
  body,
  bodyIsOptional,
  answer,
}: Operation): string[] {
  const parameters = queryParameters(query)
  const names = Object.keys((body as { properties?: object } | undefined)?.properties ?? {})
  return [
    '',
    `### ${method} ${path}`,
    '',
    `${summary}. For ${who(access)}.`,
    ...(parameters.length === 0
      ? []
      : [
          '',
          '| parameter | |',
          '|---|---|',
          ...parameters.map((one) => `| \`${one.name}\` | ${describe(one)} |`),
        ]),
    ...(names.length === 0
      ? []
      : [
          '',
          `Body${bodyIsOptional === true ? ' (may be left out)' : ''}: ${names.map((name) => `\`${name}\``).join(', ')}.`,
        ]),
    '',
    `${answer.status}: ${answer.text}`,
  ]
}

function describe({ isRequired, schema }: Parameter): string {
  const {
    description,
    type,
    default: byDefault,
    enum: values,
    minimum,
    maximum,
  } = schema as Record<string, unknown>
  const form = values
    ? (values as unknown[]).map((value) => `\`${value}\``).join(', ')
    : `${type}${minimum === undefined && maximum === undefined ? '' : `, ${minimum ?? ''} to ${maximum ?? ''}`}`
  return [
    description,
    `${isRequired ? 'Required: ' : ''}${form}${byDefault === undefined ? '' : `; default \`${byDefault}\``}.`,
  ]
    .filter(Boolean)
    .join(' ')
}
