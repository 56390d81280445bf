/** What APISIX's plugins server-info and example-plugin answer on its control port. */
import { type Endpoints, json, text } from './server.ts'

export interface ServerInfo {
  /** Epoch seconds. */
  readonly boot_time: number
  readonly hostname: string
  /** Of this run of the gateway. */
  readonly id: string
  readonly version: string
}

export function serverInfoEndpoints(info: ServerInfo): Endpoints {
  return {
    'GET /v1/server_info': () => json(200, { etcd_version: 'unknown', ...info }),
    'GET /v1/plugin/example-plugin/hello': (request) =>
      request.query.has('json') ? json(200, { msg: 'world' }) : text(200, 'world\n'),
  }
}
