/** What gateways upload beside their heartbeats, and where operators see it. */
import { Type } from '../../config/type.ts'
import {
  healthReportSchema,
  logReportSchema,
  metricsReportSchema,
  paths,
} from '../../config-sync/protocol/index.ts'
import type { Instance } from '../fleet.ts'
import { type Call, operation } from '../operation.ts'
import { Problem } from '../problem.ts'

const gateways = 'Gateways'
const area = 'Fleet'
const taken = { status: 200, text: 'Taken.' }
const done = { status: 200, body: {} }

export const telemetryOperations = [
  operation({
    method: 'POST',
    path: paths.metrics,
    summary: 'The metrics of an instance, in the text format of Prometheus',
    area: gateways,
    access: 'gateway',
    body: metricsReportSchema,
    answer: taken,
    run(call) {
      own(call, call.body.instance_id)
      call.plane.telemetry.takeMetrics(call.body, call.registration!.id)
      return done
    },
  }),
  operation({
    method: 'POST',
    path: paths.healthcheck,
    summary: 'What an instance found out about the nodes of its upstreams',
    area: gateways,
    access: 'gateway',
    body: healthReportSchema,
    answer: taken,
    run(call) {
      own(call, call.body.instance_id)
      call.plane.telemetry.takeHealth(call.body, call.registration!.id)
      return done
    },
  }),
  operation({
    method: 'POST',
    path: paths.logs,
    summary: 'Lines of the log of an instance',
    area: gateways,
    access: 'gateway',
    body: logReportSchema,
    answer: taken,
    run(call) {
      own(call, call.body.instance_id)
      call.plane.telemetry.takeLines(call.body, call.registration!.id)
      return done
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/instances/{id}/metrics',
    summary: 'The metrics that an instance sent last',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: 'As the instance itself shows them.', type: 'text/plain' },
    run(call) {
      const kept = call.plane.telemetry.metricsOf(instanceIn(call).id)
      if (kept === undefined) throw new Problem(404, 'the instance sent no metrics')
      const note = kept.truncated ? '# The instance has more than it may send.\n' : ''
      return { status: 200, body: `${kept.text}${note}` }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/instances/{id}/logs',
    summary: 'The last lines of an instance’s log, where its runtime configuration forwards them',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: '`list` of lines, the oldest first, and how many were `dropped`.' },
    run(call) {
      const { lines = [], dropped = 0 } = call.plane.telemetry.logOf(instanceIn(call).id) ?? {}
      return { status: 200, body: { list: lines, total: lines.length, dropped } }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/healthcheck',
    summary: 'The health of the nodes of upstreams, as each instance of the group sees it',
    area,
    access: 'Read Servers',
    query: Type.Object({ upstream_id: Type.Optional(Type.String({ description: 'Only this one.' })) }),
    answer: { status: 200, text: '`list` of instances with `time` and `data`.' },
    run({ plane, params, query }) {
      plane.groupNamed(params.group!)
      const list = plane.fleet
        .all()
        .filter(({ group }) => group === params.group)
        .flatMap(({ id }) => {
          const kept = plane.telemetry.healthOf(id)
          if (kept === undefined) return []
          const { time, data } = kept
          const wanted = query.upstream_id
          return [
            {
              instance_id: id,
              time,
              data: wanted === undefined ? data : data.filter((one) => one.upstream_id === wanted),
            },
          ]
        })
      return { status: 200, body: { list, total: list.length } }
    },
  }),
]

/** @throws Problem 404: it is none of this gateway's, or has not told of itself yet */
function own(
  { plane, registration }: Pick<Call<unknown, unknown>, 'plane' | 'registration'>,
  id: string,
): void {
  if (plane.fleet.get(id)?.registration !== registration!.id) {
    throw new Problem(404, 'there is no such instance of this gateway')
  }
}

function instanceIn({ plane, params }: Pick<Call<unknown, unknown>, 'plane' | 'params'>): Instance {
  plane.groupNamed(params.group!)
  const found = plane.fleet.get(params.id!)
  if (found?.group !== params.group) throw new Problem(404, `there is no instance ${params.id}`)
  return found!
}
