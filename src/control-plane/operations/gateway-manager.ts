/** The Flex Gateway Manager API: its operations, filters, pages, checks and errors. */

import { copy } from '../../config/copy.ts'
import { formatPath } from '../../config/problem.ts'
import { checkSchema } from '../../config/schema.ts'
import { Type } from '../../config/type.ts'
import { gatewayNamePattern } from '../../config-sync/protocol/index.ts'
import {
  type RuntimeConfiguration,
  runtimeConfigurationSchema,
} from '../../config-sync/runtime-configuration.ts'
import { as } from '../group-configuration.ts'
import {
  addGateway,
  desiredStatusOf,
  type FoundGateway,
  findGateway,
  gatewaysOf,
  type ManagedGateway,
  newestCertificate,
  removeGateway,
  statusOf,
} from '../managed-gateways.ts'
import { type Call, operation } from '../operation.ts'
import { Problem } from '../problem.ts'

const area = 'Gateway Manager'
const root = '/gatewaymanager/api/v1/organizations/{organizationId}'
const base = `${root}/environments/{environmentId}/gateways`

const sortFields = ['name', 'dateCreated', 'lastUpdated', 'status', 'size', 'runtimeVersion'] as const

const configuration = Type.Object(
  {
    ingress: Type.Optional(
      Type.Object({
        publicUrl: Type.String({
          minLength: 1,
          maxLength: 4096,
          description: 'URLs with commas between them.',
        }),
        internalUrl: Type.Optional(Type.String({ maxLength: 4096 })),
        forwardSslSession: Type.Optional(Type.Boolean({ default: false })),
        lastMileSecurity: Type.Optional(Type.Boolean({ default: false })),
      }),
    ),
    logging: Type.Optional(
      Type.Object({
        level: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error', 'fatal'], { default: 'info' })),
        forwardLogs: Type.Optional(Type.Boolean({ default: true })),
      }),
    ),
    properties: Type.Optional(
      Type.Object({
        upstreamResponseTimeout: Type.Optional(
          Type.Integer({ minimum: 0, default: 15, description: 'Seconds.' }),
        ),
        connectionIdleTimeout: Type.Optional(
          Type.Integer({ minimum: 0, default: 60, description: 'Seconds.' }),
        ),
      }),
    ),
    tracing: Type.Optional(
      Type.Object({
        enabled: Type.Optional(Type.Boolean({ default: false })),
        sampling: Type.Optional(Type.Number({ minimum: 0, maximum: 100, description: 'Per cent.' })),
        labels: Type.Optional(
          Type.Array(
            Type.Object({
              type: Type.Enum(['literal', 'requestHeader', 'environment']),
              name: Type.String({ minLength: 1, maxLength: 256 }),
              keyName: Type.Optional(Type.String({ maxLength: 256 })),
              defaultValue: Type.Optional(Type.String({ maxLength: 1024 })),
            }),
            { maxItems: 64 },
          ),
        ),
      }),
    ),
  },
  { description: 'Of the gateway itself: ingress, logging, time-outs and tracing.' },
)

const changeable = {
  runtimeVersion: Type.String({ minLength: 1, maxLength: 64 }),
  releaseChannel: Type.Enum(['lts', 'edge', 'dev']),
  size: Type.Enum(['small', 'large']),
  configuration: Type.Optional(configuration),
}

const createBody = Type.Object({
  name: Type.String({ pattern: gatewayNamePattern, minLength: 1 }),
  targetId: Type.String({
    pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
    description: 'UUID of the space that it runs in.',
  }),
  ...changeable,
})

export const gatewayManagerOperations = [
  operation({
    method: 'GET',
    path: base,
    summary: 'List managed gateways',
    area,
    access: 'Read Servers',
    query: Type.Object({
      name: Type.Optional(Type.String({ description: 'Part of the name.' })),
      pageSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
      pageNumber: Type.Optional(Type.Integer({ minimum: 0, default: 0, description: 'From 0.' })),
      sortBy: Type.Optional(Type.Enum([...sortFields], { default: 'name' })),
      sortOrder: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'asc' })),
    }),
    answer: { status: 200, text: '`content`, `totalElements`, `pageNumber` and `pageSize`.' },
    run(call) {
      const { plane, query, principal } = scoped(call)
      const { name = '', pageSize = 20, pageNumber = 0, sortBy = 'name', sortOrder = 'asc' } = query
      const sign = sortOrder === 'desc' ? -1 : 1
      const found = gatewaysOf(plane)
        .all()
        .filter(({ id }) => principal?.group === undefined || principal.group === id)
        .filter((gateway) => gateway.name.includes(name))
        .map((gateway) => ({
          gateway,
          order: { ...gateway, status: statusIn(call, gateway.id).status }[sortBy],
        }))
        .sort((a, b) => sign * compare(a.order, b.order) || compare(a.gateway.id, b.gateway.id))
      const page = found.slice(pageNumber * pageSize, (pageNumber + 1) * pageSize)
      const content = page.map(({ gateway }) => detail(call, findGateway(plane, gateway.id)))
      return { status: 200, body: { content, totalElements: found.length, pageNumber, pageSize } }
    },
  }),
  operation({
    method: 'POST',
    path: base,
    summary: 'Create a managed gateway',
    area,
    access: 'Manage Servers',
    body: createBody,
    answer: { status: 201, text: 'The gateway.' },
    async run(call) {
      const { plane, body, who, principal } = scoped(call)
      if (principal?.group !== undefined) throw new Problem(403, 'this key is for one gateway group')
      const gateway = await addGateway(plane, { ...body, configuration: body.configuration ?? {} }, who)
      const found = findGateway(plane, gateway.id)
      await follow(found, gateway.configuration, who)
      return { status: 201, body: detail(call, found) }
    },
  }),
  operation({
    method: 'GET',
    path: `${base}/{gatewayId}`,
    summary: 'Get gateway details',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: 'The gateway.' },
    run: (call) => ({ status: 200, body: detail(call, gatewayIn(call)) }),
  }),
  operation({
    method: 'PUT',
    path: `${base}/{gatewayId}`,
    summary: 'Update a gateway; name and target stay',
    area,
    access: 'Manage Servers',
    body: Type.Object(changeable),
    answer: { status: 200, text: 'The gateway.' },
    async run(call) {
      const { plane, body, who } = call
      const { managed } = managedIn(call)
      const changed: ManagedGateway = {
        ...managed,
        ...body,
        configuration: body.configuration ?? {},
        lastUpdated: plane.now() * 1000,
      }
      gatewaysOf(plane).put(managed.id, changed)
      const found = findGateway(plane, managed.id)
      await follow(found, changed.configuration, who)
      return { status: 200, body: detail(call, found) }
    },
  }),
  operation({
    method: 'DELETE',
    path: `${base}/{gatewayId}`,
    summary: 'Delete a gateway: its certificates are revoked, its configuration goes',
    area,
    access: 'Manage Servers',
    answer: { status: 204, text: 'Done.' },
    async run(call) {
      await removeGateway(call.plane, gatewayIn(call), call.who)
      return { status: 204 }
    },
  }),
  operation({
    method: 'GET',
    path: `${base}/{gatewayId}/registration`,
    summary: 'Get gateway registration data',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: '`expiration` of the newest certificate.' },
    run(call) {
      const certificate = newestCertificate(call.plane, gatewayIn(call))
      if (certificate === undefined) throw new Problem(404, 'the gateway has no registration')
      return { status: 200, body: { expiration: new Date(certificate.expires * 1000).toISOString() } }
    },
  }),
  operation({
    method: 'GET',
    path: `${base}/{gatewayId}/runtime-configuration`,
    summary: 'Get the runtime configuration',
    area,
    access: 'Read Configuration',
    answer: { status: 200, text: 'The configuration, and whether gateways have it.' },
    run(call) {
      const found = gatewayIn(call)
      if (found.group.configuration.setting('runtime_configuration') === undefined) {
        throw new Problem(404, 'the gateway has no runtime configuration')
      }
      return { status: 200, body: runtime(call, found) }
    },
  }),
  operation({
    method: 'PUT',
    path: `${base}/{gatewayId}/runtime-configuration`,
    summary: 'Create or update the runtime configuration',
    area,
    access: 'Manage Configuration',
    body: Type.Object({
      configuration: Type.Record(Type.String(), Type.Unsafe<unknown>({}), {
        description:
          'Logging, tracing, proxyProtocol, timeouts, circuitBreaker, connectionBufferLimits, routing; probe and logging.outputs of self-managed gateways alone. Fields of other versions are kept as they are.',
      }),
    }),
    answer: { status: 200, text: 'The configuration, and whether gateways have it.' },
    async run(call) {
      const found = gatewayIn(call)
      const problem = runtimeProblem(call.body.configuration, found.managed !== undefined)
      if (problem !== undefined) throw new Problem(400, problem)
      await as({ author: call.who, message: 'runtime configuration' }, () =>
        found.group.configuration.set('runtime_configuration', call.body.configuration),
      )
      return { status: 200, body: runtime(call, found) }
    },
  }),
  operation({
    method: 'GET',
    path: `${base}/{gatewayId}/status`,
    summary: 'Get gateway status',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: '`status`, `ready` and `running`.' },
    run: (call) => ({ status: 200, body: statusOf(call.plane, gatewayIn(call)) }),
  }),
  operation({
    method: 'PATCH',
    path: `${base}/{gatewayId}/desiredstatus`,
    summary: 'Update the desired status: STOPPED closes the traffic listeners, while sync goes on',
    area,
    access: 'Manage Servers',
    body: Type.Object({ desiredStatus: Type.Enum(['STARTED', 'STOPPED']) }),
    answer: { status: 202, text: 'The gateway.' },
    async run(call) {
      const found = gatewayIn(call)
      const { desiredStatus } = call.body
      await as({ author: call.who, message: desiredStatus }, () =>
        found.group.configuration.set('desired_status', desiredStatus),
      )
      return { status: 202, body: detail(call, found) }
    },
  }),
  operation({
    method: 'GET',
    path: `${root}/usage/managed-gateways`,
    summary: 'Get gateway usage',
    area,
    access: 'View Organization',
    query: Type.Object({ size: Type.Optional(Type.Enum(['small', 'large'])) }),
    answer: { status: 200, text: 'A list of `resource` and `value`.' },
    run({ plane, params, query }) {
      plane.assertOrganization(params.organizationId!)
      const all = gatewaysOf(plane).all()
      const sizes = query.size === undefined ? (['small', 'large'] as const) : [query.size]
      const usage = sizes.map((size) => ({
        resource: `managed-gateways-${size}`,
        value: all.filter((gateway) => gateway.size === size).length,
      }))
      return { status: 200, body: usage }
    },
  }),
]

type AnyCall = Pick<Call<unknown, unknown>, 'plane' | 'params' | 'principal'>

function scoped<Of extends AnyCall>(call: Of): Of {
  call.plane.assertOrganization(call.params.organizationId!)
  call.plane.assertEnvironment(call.params.environmentId!)
  return call
}

function gatewayIn(call: AnyCall): FoundGateway {
  const { plane, params, principal } = scoped(call)
  const found = findGateway(plane, params.gatewayId!)
  if (principal?.group !== undefined && principal.group !== found.groupId) {
    throw new Problem(403, 'this key is for another gateway group')
  }
  return found
}

function managedIn(call: AnyCall): { managed: ManagedGateway } {
  const { managed } = gatewayIn(call)
  if (managed === undefined) throw new Problem(400, 'only managed gateways are changed here')
  return { managed }
}

const statusIn = ({ plane }: AnyCall, id: string) => statusOf(plane, findGateway(plane, id))

const compare = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0)

/** APIs of one gateway of each size, as its vendor documents them. */
const apiLimits = { small: 50, large: 100 } as const

function detail(call: AnyCall, found: FoundGateway) {
  const { plane } = call
  const facts = {
    id: found.id,
    name: found.name,
    kind: found.managed === undefined ? 'selfManaged' : 'managed',
    status: statusOf(plane, found).status,
    desiredStatus: desiredStatusOf(found),
    organizationId: plane.organization,
    environmentId: plane.environment,
  }
  if (found.managed === undefined) {
    const { created, version } = plane.registrations.registrations.get(found.id)!
    return { ...facts, runtimeVersion: version ?? '', dateCreated: new Date(created * 1000).toISOString() }
  }
  const { dateCreated, lastUpdated, ...own } = found.managed
  return {
    ...own,
    ...facts,
    targetName: own.targetId,
    apiLimit: apiLimits[own.size],
    dateCreated: new Date(dateCreated).toISOString(),
    lastUpdated: new Date(lastUpdated).toISOString(),
  }
}

function runtime(call: AnyCall, found: FoundGateway) {
  const { configuration, publisher } = found.group
  const stored = configuration.live.store.get('$settings', 'runtime_configuration')!
  const versions = configuration.history
    .list(500)
    .filter(({ changes }) => changes.some(({ id }) => id === 'runtime_configuration'))
  const time = (seconds: number | undefined) =>
    seconds === undefined ? null : new Date(seconds * 1000).toISOString()
  const isPublished = (publisher.current?.version ?? 0) >= (versions[0]?.version ?? 0)
  const { ready } = statusOf(call.plane, found)
  return {
    id: found.id,
    name: found.name,
    targetId: found.managed?.targetId ?? found.id,
    status: isPublished && ready ? 'APPLIED' : 'APPLYING',
    desiredStatus: 'DEPLOYED',
    gatewayVersion:
      found.managed?.runtimeVersion ?? call.plane.registrations.registrations.get(found.id)?.version ?? '',
    createdAt: time(versions.at(-1)?.time),
    updatedAt: time(versions[0]?.time),
    configuration: JSON.parse(stored.value) as unknown,
  }
}

/** Undefined: it can be used. */
function runtimeProblem(value: Readonly<Record<string, unknown>>, isManaged: boolean): string | undefined {
  const [problem] = checkSchema(runtimeConfigurationSchema, copy(value))
  if (problem !== undefined) return `${formatPath(['configuration', ...problem.path])}: ${problem.message}`
  if (!isManaged) return undefined
  const { probe, logging, tracing } = value as RuntimeConfiguration
  for (const [name, isThere] of [
    ['probe', probe !== undefined],
    ['logging.outputs', logging?.outputs !== undefined],
    ['tracing.provider.type: opentelemetry', tracing?.provider?.type === 'opentelemetry'],
  ] as const) {
    if (isThere) return `configuration.${name}: only self-managed gateways have it`
  }
  return undefined
}

/** What a managed gateway says about itself is a runtime configuration in other words. */
async function follow(
  found: FoundGateway,
  own: ManagedGateway['configuration'],
  author: string,
): Promise<void> {
  const { logging, properties, tracing } = own as {
    logging?: { level?: string; forwardLogs?: boolean }
    properties?: { upstreamResponseTimeout?: number; connectionIdleTimeout?: number }
    tracing?: { enabled?: boolean; sampling?: number; labels?: unknown[] }
  }
  if (logging === undefined && properties === undefined && tracing === undefined) return
  const before = (found.group.configuration.setting('runtime_configuration') ?? {}) as Record<string, object>
  const value = {
    ...before,
    ...(logging && {
      logging: {
        ...before.logging,
        anypoint: { forwardLogs: logging.forwardLogs ?? true },
        runtimeLogs: { logLevel: logging.level ?? 'info' },
      },
    }),
    ...(properties && {
      timeouts: {
        ...before.timeouts,
        upstreamResponseSeconds: properties.upstreamResponseTimeout ?? 15,
        upstreamConnectionIdleSeconds: properties.connectionIdleTimeout ?? 60,
      },
    }),
    ...(tracing && {
      tracing: {
        ...before.tracing,
        enabled: tracing.enabled ?? false,
        ...(tracing.sampling !== undefined && { sampling: { overall: tracing.sampling } }),
        ...(tracing.labels !== undefined && { labels: tracing.labels }),
      },
    }),
  }
  await as({ author, message: 'configuration of the gateway' }, () =>
    found.group.configuration.set('runtime_configuration', value),
  )
}
