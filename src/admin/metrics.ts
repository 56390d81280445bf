import type { Exposition } from '../telemetry/exposition.ts'
import type { Answer, Endpoints } from './server.ts'

/** The metrics under APISIX's path and under the usual one. */
export function metricsEndpoints(exposition: Exposition, path = '/apisix/prometheus/metrics'): Endpoints {
  const metrics = async (): Promise<Answer> => {
    const { contentType, text } = await exposition.render()
    return { status: 200, contentType, body: text }
  }
  return { [`GET ${path}`]: metrics, 'GET /metrics': metrics }
}
