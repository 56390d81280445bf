/** The configuration under which the cases run: everything goes to one upstream, except what is guarded. */

import { type Certificate, pemBlock } from '../harness/certificates.ts'
import { host } from './wire-case.ts'

export interface WireConfig {
  /** YAML of `gateway.limits`, in flow style. */
  limits?: string
  /** Speak TLS with clients, with this certificate. */
  tls?: Certificate
}

const certificate = ({ cert, key }: Certificate) => `ssls:
  - sni: ${host}
    cert: ${pemBlock(cert, 6)}
    key: ${pemBlock(key, 6)}
`

/** Milliseconds, as the configuration below has them. */
export const timeouts = { header: 2000, bodyIdle: 2000, keepalive: 3000, upstream: 3000 }

/** Nothing listens on port 1, the only node of `/dead` and the first of `/failover`. */
export function wireConfig(port: number, upstreamPort: number, { limits = '{}', tls }: WireConfig): string {
  return `
gateway:
  listeners: [{ name: http, host: 127.0.0.1, port: ${port}${tls === undefined ? '' : ', protocol: https'} }]
  workers: 1
  timeouts: { header: 2s, body_idle: 2s, keepalive: 3s, write_stall: 3s, drain: 1s }
  limits: ${limits}
  control: { enabled: false }
  metrics: { enabled: false }
${tls === undefined ? '' : certificate(tls)}upstreams:
  - id: origin
    type: roundrobin
    nodes: [{ host: 127.0.0.1, port: ${upstreamPort}, weight: 1 }]
    timeout: { connect: 2, send: 3, read: 3 }
  - id: half-dead
    type: roundrobin
    nodes:
      - { host: 127.0.0.1, port: 1, weight: 1 }
      - { host: 127.0.0.1, port: ${upstreamPort}, weight: 1 }
    timeout: { connect: 2, send: 3, read: 3 }
  - id: dead
    type: roundrobin
    nodes: [{ host: 127.0.0.1, port: 1, weight: 1 }]
    timeout: { connect: 2, send: 3, read: 3 }
routes:
  - { id: open, uri: /*, upstream_id: origin, enable_websocket: true }
  - { id: failover, uri: /failover/*, upstream_id: half-dead }
  - { id: dead, uri: /dead/*, upstream_id: dead }
  - { id: closed-to-websocket, uri: /no-websocket/*, upstream_id: origin }
  - { id: guarded, uris: [/guarded, /guarded/*], upstream_id: origin, plugins: { key-auth: {} } }
`
}
