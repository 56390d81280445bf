/** Gateways, their instances and their certificates. */
import { Type } from '../../config/type.ts'
import { type Instance, type InstanceStatus, instanceStatuses } from '../fleet.ts'
import { type Call, operation } from '../operation.ts'
import { Problem } from '../problem.ts'

const area = 'Fleet'

const instancesQuery = Type.Object({
  order_by: Type.Optional(
    Type.Enum(['created_at', 'last_heartbeat_time'], { default: 'last_heartbeat_time' }),
  ),
  direction: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'desc' })),
  status: Type.Optional(Type.Enum([...instanceStatuses])),
  compatibility: Type.Optional(Type.Enum(['Compatible', 'PartiallyCompatible', 'Incompatible'])),
  search: Type.Optional(Type.String({ description: 'Part of the id, host name, address or version.' })),
  page: Type.Optional(Type.Integer({ minimum: 1, default: 1 })),
  page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
})

interface InstancesQuery {
  order_by?: 'created_at' | 'last_heartbeat_time'
  direction?: 'asc' | 'desc'
  status?: InstanceStatus
  compatibility?: string
  search?: string
  page?: number
  page_size?: number
}

export const fleetOperations = [
  operation({
    method: 'GET',
    path: '/api/instances',
    summary: 'The instances of all gateway groups',
    area,
    access: 'Read Servers',
    query: instancesQuery,
    answer: { status: 200, text: '`list` and `total`.' },
    run: (call) => ({ status: 200, body: instances(call, call.principal?.group) }),
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/instances',
    summary: 'The instances of a gateway group',
    area,
    access: 'Read Servers',
    query: instancesQuery,
    answer: { status: 200, text: '`list` and `total`.' },
    run(call) {
      call.plane.groupNamed(call.params.group!)
      return { status: 200, body: instances(call, call.params.group) }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/instances/count/status',
    summary: 'How many instances there are of each status',
    area,
    access: 'Read Servers',
    query: Type.Object({ gateway_group_id: Type.Optional(Type.String()) }),
    answer: { status: 200, text: '`value`: numbers by status.' },
    run({ plane, query, principal }) {
      const group = principal?.group ?? query.gateway_group_id
      const value: Record<string, number> = Object.fromEntries(instanceStatuses.map((status) => [status, 0]))
      for (const instance of plane.fleet.all()) {
        if (group === undefined || instance.group === group) value[plane.fleet.status(instance)]!++
      }
      return { status: 200, body: { value } }
    },
  }),
  operation({
    method: 'DELETE',
    path: '/api/gateway_groups/{group}/instances/{id}',
    summary: 'Forget an instance; it is back with its next heartbeat',
    area,
    access: 'Manage Servers',
    answer: { status: 200, text: 'Done.' },
    run({ plane, params }) {
      if (plane.fleet.get(params.id!)?.group !== params.group) {
        throw new Problem(404, `there is no instance ${params.id}`)
      }
      plane.fleet.remove(params.id!)
      return { status: 200, body: '' }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/instances/cores',
    summary: 'Data threads of the instances that are there',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: '`value`: the number.' },
    run: ({ plane }) => ({ status: 200, body: { value: plane.fleet.cores() } }),
  }),
  operation({
    method: 'GET',
    path: '/api/instances/cores/export',
    summary: 'The most data threads at once in each hour',
    area,
    access: 'Read Servers',
    query: Type.Object({
      begin_at: Type.Integer({ minimum: 0, description: 'Seconds since 1970.' }),
      end_at: Type.Integer({ minimum: 0, description: 'Seconds since 1970.' }),
    }),
    answer: { status: 200, text: 'Lines of `time,max_dp_cores`, the newest first.', type: 'text/csv' },
    run({ plane, query }) {
      if (query.end_at < query.begin_at) throw new Problem(400, 'end_at is before begin_at')
      plane.fleet.save()
      const lines = plane.fleet
        .coreUsage(query.begin_at, query.end_at)
        .map(({ hour, cores }) => `${hour},${cores}`)
      return {
        status: 200,
        body: `${['time,max_dp_cores', ...lines].join('\n')}\n`,
        headers: { 'Content-Type': 'text/csv', 'Content-Disposition': 'attachment; filename="cores.csv"' },
      }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/registrations',
    summary: 'The gateways that registered',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: '`list` and `total`.' },
    run({ plane, principal }) {
      const list = plane.registrations.registrations
        .all()
        .filter(({ group }) => principal?.group === undefined || group === principal.group)
        .sort((a, b) => a.created - b.created)
      return { status: 200, body: { list, total: list.length } }
    },
  }),
  operation({
    method: 'DELETE',
    path: '/api/registrations/{id}',
    summary: 'Remove a gateway: its certificates are revoked, its name is free',
    area,
    access: 'Manage Servers',
    answer: { status: 200, text: 'Done.' },
    run({ plane, params, principal, who }) {
      const id = params.id!
      assertOwn(plane.registrations.registrations.get(id)?.group, principal?.group)
      plane.registrations.remove(id, who)
      for (const instance of plane.fleet.all())
        if (instance.registration === id) plane.fleet.remove(instance.id)
      return { status: 200, body: '' }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/certificates',
    summary: 'Every certificate that was issued to gateways, with what became of it',
    area,
    access: 'Read Servers',
    query: Type.Object({
      registration: Type.Optional(Type.String({ description: 'Only those of this gateway.' })),
    }),
    answer: { status: 200, text: '`list` and `total`.' },
    run({ plane, query, principal }) {
      const list = plane.registrations.certificates
        .all()
        .filter(({ registration }) => query.registration === undefined || registration === query.registration)
        .filter(
          ({ registration }) =>
            principal?.group === undefined ||
            plane.registrations.registrations.get(registration)?.group === principal.group,
        )
        .map((one) => ({
          ...one,
          status: one.revoked ? 'revoked' : one.expires <= plane.now() ? 'expired' : 'valid',
        }))
      return { status: 200, body: { list, total: list.length } }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/certificates/{serial}/revoke',
    summary: 'Revoke a certificate: the next request with it is refused',
    area,
    access: 'Manage Servers',
    body: Type.Object({ reason: Type.Optional(Type.String({ maxLength: 256, default: '' })) }),
    bodyIsOptional: true,
    answer: { status: 200, text: '`value`: the certificate.' },
    run({ plane, params, body, principal, who }) {
      const serial = params.serial!.toLowerCase()
      const holder = plane.registrations.certificates.get(serial)?.registration ?? ''
      assertOwn(plane.registrations.registrations.get(holder)?.group, principal?.group)
      return { status: 200, body: { value: plane.registrations.revoke(serial, who, body?.reason ?? '') } }
    },
  }),
]

function assertOwn(group: string | undefined, own: string | undefined): void {
  if (own !== undefined && group !== own) throw new Problem(403, 'this key is for another gateway group')
}

function instances({ plane, query }: Call<InstancesQuery, unknown>, group: string | undefined) {
  const { order_by: order = 'last_heartbeat_time', direction = 'desc', page = 1, page_size: size } = query
  const { status, compatibility, search = '' } = query
  const found = plane.fleet
    .all()
    .filter((instance) => group === undefined || instance.group === group)
    .map((instance) => shown(instance, call(instance)))
    .filter((one) => status === undefined || one.status === status)
    .filter((one) => compatibility === undefined || one.compatibility === compatibility)
    .filter(({ id, hostname, ip, version }) =>
      [id, hostname, ip, version].some((text) => text.includes(search)),
    )
  const sign = direction === 'asc' ? 1 : -1
  found.sort((a, b) => sign * (a[order] - b[order]) || (a.id < b.id ? -1 : 1))
  const list = size === undefined ? found : found.slice((page - 1) * size, page * size)
  return { list, total: found.length }

  function call(instance: Instance) {
    const { fleet } = plane
    return { status: fleet.status(instance), state: fleet.configurationState(instance) }
  }
}

function shown(instance: Instance, { status, state }: { status: InstanceStatus; state: string }) {
  const { id, group, registration, hostname, ip, version, ports, cores, calls, created, seen, revision } =
    instance
  const { sluice, acknowledged } = instance
  const refusal = state === 'REFUSED' ? (acknowledged?.refusal ?? sluice?.configuration.refusal) : undefined
  return {
    id,
    gateway_group_id: group,
    registration,
    hostname,
    ip,
    version,
    compatibility: 'Compatible',
    ports,
    cores,
    api_calls: calls,
    status,
    created_at: created,
    last_heartbeat_time: seen,
    configuration: {
      status: state,
      version: revision,
      ...(refusal && { refusal }),
      ...(sluice && { stale: sluice.configuration.stale }),
    },
    ...(sluice && {
      certificate: sluice.certificate,
      clock_skew: sluice.clock_skew,
      started: sluice.started,
    }),
  }
}
