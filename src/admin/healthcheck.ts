/** The health of upstreams at the control port, in the form that APISIX gives it. */
import type { Plan, UpstreamSpec } from '../config/plan.ts'
import { describeReason } from '../proxy/upstream/health/reason.ts'
import type { EndpointHealth } from '../proxy/upstream/health/target.ts'
import type { UpstreamHealthStatus } from '../proxy/upstream/health/watched-upstream.ts'
import { type AdminRequest, type Answer, type Endpoints, emptyAsLua, json } from './server.ts'

/** Who watches; the health monitor. */
export interface HealthSource {
  /** By the key of the upstream. */
  statusOf(key: string): UpstreamHealthStatus | undefined
}

/** Kinds of resources that have an upstream, in APISIX's order, with what their keys begin with. */
const owners = {
  routes: 'route',
  services: 'service',
  upstreams: 'upstream',
  stream_routes: 'stream_route',
} as const
type OwnerKind = keyof typeof owners
const ownerKinds = Object.keys(owners) as OwnerKind[]

/** One upstream, as APISIX tells it. */
interface Info {
  name: string
  type: string
  nodes: Node[]
}
type Node = ReturnType<typeof nodeOf>

/** @param name of a resource, as APISIX calls it: `/apisix/routes/1`, or `/routes/1` of a file */
export function healthcheckEndpoints(
  plan: () => Plan,
  source: HealthSource,
  name: (kind: OwnerKind, id: string) => string,
): Endpoints {
  const infoOf = (kind: OwnerKind, id: string, upstream: UpstreamSpec | undefined, verbose: boolean) => {
    if (upstream === undefined) return undefined
    // APISIX knows checks only, and nothing is told of others where it is asked as APISIX is.
    const isTold = upstream.checks !== undefined || (verbose && upstream.outlier_ejection !== undefined)
    if (!isTold) return undefined
    const endpoints = source.statusOf(upstream.key)?.endpoints ?? []
    const nodes = endpoints.map((endpoint) => nodeOf(endpoint, verbose))
    return { name: name(kind, id), type: upstream.checks?.active.type ?? 'outlier_ejection', nodes }
  }

  const all = (request: AdminRequest): Answer => {
    const infos: Info[] = []
    for (const kind of ownerKinds) {
      for (const [id, resource] of plan()[kind]) {
        const info = infoOf(kind, id, upstreamOf(resource), request.query.has('verbose'))
        if (info !== undefined) infos.push(info)
      }
    }
    return told(request, infos)
  }

  const one = (request: AdminRequest): Answer => {
    const [kind = '', id = ''] = request.rest.split('/', 2)
    if (id === '') return refused(404, `missing src id for src type ${kind}`)
    if (!Object.hasOwn(owners, kind)) return refused(400, `invalid src type ${kind}`)
    const resource = plan()[kind as OwnerKind].get(id)
    if (resource === undefined) return refused(404, `${kind}[${id}] not found`)
    const info = infoOf(kind as OwnerKind, id, upstreamOf(resource), request.query.has('verbose'))
    return info === undefined ? refused(404, `no checker for ${kind}[${id}]`) : told(request, info)
  }

  return {
    /**
     * `?verbose` adds the last reason, ejections, and for how long the endpoint has been as it is; and upstreams that have
     * ejections without checks.
     */
    'GET /v1/healthcheck': all,
    'GET /v1/healthcheck/*': one,
  }
}

function upstreamOf(resource: UpstreamSpec | { upstream?: UpstreamSpec }): UpstreamSpec | undefined {
  return 'nodes' in resource ? resource : resource.upstream
}

function nodeOf(endpoint: EndpointHealth, verbose: boolean) {
  const { address, port, hostname, state, counters, ejected, reason, unchangedFor } = endpoint
  return {
    ip: address,
    port,
    hostname,
    // APISIX knows no ejections: what takes no traffic is unhealthy.
    status: ejected ? 'unhealthy' : state,
    counter: counters,
    ...(verbose && {
      ejected,
      last_failure: reason === undefined ? null : describeReason(reason),
      unchanged_for: unchangedFor === undefined ? null : Math.round(unchangedFor) / 1000,
    }),
  }
}

function told({ headers }: AdminRequest, value: Info | Info[]): Answer {
  if (headers.accept?.includes('text/html') === true) return page([value].flat())
  return json(200, Array.isArray(value) ? emptyAsLua(value.map(withEmptyNodes)) : withEmptyNodes(value))
}

function withEmptyNodes(info: Info): object {
  return { ...info, nodes: emptyAsLua(info.nodes) }
}

function refused(status: number, message: string): Answer {
  return json(status, { error_msg: message })
}

const columns = [
  'Index',
  'Upstream',
  'Check type',
  'Host',
  'Status',
  'Success counts',
  'TCP Failures',
  'HTTP Failures',
  'TIMEOUT Failures',
]

/** For browsers: one row an endpoint, red while it takes no traffic. */
function page(infos: readonly Info[]): Answer {
  const rows = infos
    .flatMap((info) => info.nodes.map((node) => ({ info, node })))
    .map(({ info, node }, index) => {
      const { counter } = node
      const isUp = node.status === 'healthy' || node.status === 'mostly_healthy'
      const cells = [
        index + 1,
        info.name,
        info.type,
        `${node.ip}:${node.port}`,
        node.status,
        counter.success,
        counter.tcp_failure,
        counter.http_failure,
        counter.timeout_failure,
      ]
      return `<tr${isUp ? '' : ' bgcolor="#FF0000"'}>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`
    })
  const head = `<tr bgcolor="#C0C0C0">${columns.map((column) => `<th>${column}</th>`).join('')}</tr>`
  const body = `<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title>Upstream health</title>
</head>
<body>
<h1>Upstream health</h1>
<table cellspacing="0" cellpadding="3" border="1">
${[head, ...rows].join('\n')}
</table>
</body>
</html>
`
  return { status: 200, contentType: 'text/html; charset=utf-8', body }
}

function escaped(cell: string | number): string {
  return String(cell).replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
