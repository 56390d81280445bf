/** How many requests are at services of language models. */
import type { Exchange } from '../../../proxy/exchange.ts'
import type { Metrics } from '../host.ts'
import type { ModelCall } from './call.ts'

const labels = [
  'route',
  'route_id',
  'matched_uri',
  'matched_host',
  'service',
  'service_id',
  'consumer',
  'node',
  'request_type',
  'request_llm_model',
  'llm_model',
]
/** Characters of the name of a model, which clients choose. */
const longestModel = 128

/** @returns what to call when it is over */
export function enterCall(
  metrics: Metrics,
  { binding, consumer }: Exchange,
  call: ModelCall,
  instance: string,
): () => void {
  const gauge = metrics.gauge(
    'apisix_llm_active_connections',
    'Number of active connections to LLM services',
    labels,
  )
  const slot = gauge.slot([
    binding?.routeName ?? '',
    binding?.routeId ?? '',
    binding?.matchedUri ?? '',
    binding?.matchedHost ?? '',
    binding?.serviceName ?? '',
    binding?.serviceId ?? '',
    consumer?.username ?? '',
    instance,
    call.isStream ? 'ai_stream' : 'ai_chat',
    typeof call.body.model === 'string' ? call.body.model.slice(0, longestModel) : '',
    call.model.slice(0, longestModel),
  ])
  gauge.add(slot, 1)
  return () => gauge.add(slot, -1)
}
