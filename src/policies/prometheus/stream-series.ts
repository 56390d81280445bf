import { type Exchange, type Metrics, openInApisix, type PolicyHandlers, Type } from '../kit/index.ts'

export const streamConfig = Type.Object(
  {
    prefer_name: Type.Boolean({
      default: false,
      description: 'Label series with the name of the stream route, where it has one, not its id.',
    }),
  },
  openInApisix,
)

/** Counts the sessions of one stream route, under the names of APISIX. */
export function countSessions(
  metrics: Metrics,
  preferName: boolean,
): Pick<PolicyHandlers, 'request' | 'observe'> {
  const total = metrics.counter(
    'apisix_stream_connection_total',
    'Total number of connections handled per stream route in APISIX',
    ['route'],
  )
  const active = metrics.gauge(
    'apisix_stream_active_connections',
    'Number of stream sessions currently being proxied per listening address',
    ['listen_addr'],
  )
  const statuses = metrics.counter(
    'apisix_stream_status',
    'Stream sessions per termination status in APISIX',
    ['code', 'listen_addr', 'node'],
  )
  const bandwidth = metrics.counter(
    'apisix_stream_bandwidth',
    'Total bandwidth in bytes proxied by the stream subsystem in APISIX',
    ['listen_addr', 'type', 'side'],
  )
  /** A policy before this one may have closed the session. */
  const counted = new WeakSet<Exchange>()

  return {
    request(exchange) {
      const { session } = exchange
      if (session === undefined) return
      counted.add(exchange)
      active.add(active.slot([session.listenAddress]), 1)
    },
    observe(exchange) {
      const { session, binding, upstream } = exchange
      if (session === undefined) return
      const { listenAddress: address } = session
      if (counted.delete(exchange)) active.add(active.slot([address]), -1)
      const route = (preferName && binding?.routeName) || (binding?.routeId ?? '')
      total.add(total.slot([route]), 1)
      const node = upstream === null ? '' : `${upstream.ip}:${upstream.port}`
      statuses.add(statuses.slot([String(session.status), address, node]), 1)
      for (const [type, side, bytes] of [
        ['ingress', 'downstream', session.received],
        ['egress', 'downstream', session.sent],
        ['egress', 'upstream', session.upstreamSent],
        ['ingress', 'upstream', session.upstreamReceived],
      ] as const) {
        if (bytes > 0) bandwidth.add(bandwidth.slot([address, type, side]), bytes)
      }
    },
  }
}
