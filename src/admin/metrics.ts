import type { Exposition } from '../telemetry/exposition.ts'
import type { Answer, Endpoints } from './server.ts'

/** The metrics under APISIX's path and under the usual one. Scrapes that overlap share one text. */
export function metricsEndpoints(exposition: Exposition): Endpoints {
  let rendering: Promise<Answer> | undefined
  const metrics = () => {
    rendering ??= render(exposition).finally(() => {
      rendering = undefined
    })
    return rendering
  }
  return { 'GET /apisix/prometheus/metrics': metrics, 'GET /metrics': metrics }
}

async function render(exposition: Exposition): Promise<Answer> {
  const { contentType, text } = await exposition.render()
  return { status: 200, contentType, body: text }
}
