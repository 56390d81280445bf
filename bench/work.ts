import type { Credentials } from './clients.ts'

/** What a gateway is asked to do with each request, beside forwarding it. */
export interface Work {
  /**
   * `client-id`: client id and secret by HTTP Basic, SLA tier limit, CORS, request metrics.
   * `key-auth`: API key, fixed-window limit, CORS, request metrics.
   */
  chain: 'none' | 'client-id' | 'key-auth'
  /** One JSON line for each exchange, to a file. */
  accessLog: boolean
  /** Routes in the table; 1 is a catch-all. */
  routes: number
  /** Hosts that the routes are spread over; 0: they are for any host. */
  hosts: number
  /** Bytes are passed on whatever they are, connection for connection. The load and the upstream speak HTTP/1.1 all the same. */
  tcp: boolean
  /** Clients may open WebSockets. */
  webSockets: boolean
  /** Clients speak TLS, with HTTP/1.1 or HTTP/2 inside, whichever they choose. */
  tls: boolean
  /** Routes in front of each, with its path and a higher priority, whose `vars` no request meets. */
  failing: number
}

export const forwarding: Work = {
  chain: 'none',
  accessLog: false,
  routes: 1,
  hosts: 0,
  tcp: false,
  webSockets: false,
  tls: false,
  failing: 0,
}

export function credentialsOf(work: Work): Credentials {
  return ({ none: 'none', 'client-id': 'basic', 'key-auth': 'key' } as const)[work.chain]
}

/** Route `index` of a large table: half are exact paths, half are prefixes. `load/traffic.lua` asks for the same. */
export function routePattern(index: number): string {
  const service = `/api/team-${index % 50}/service-${index}`
  return index % 2 === 0 ? `${service}/*` : service
}

/** The host of route `index`; undefined: any. `load/traffic.lua` asks for the same. */
export function routeHost(index: number, hosts: number): string | undefined {
  return hosts === 0 ? undefined : `api-${index % hosts}.example.com`
}

/** A path that route `index` matches. */
export function routePath(index: number): string {
  return routePattern(index).replace('*', 'orders/17')
}
