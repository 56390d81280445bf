/** Where spans go, as the metadata of the policy says: one way for all bindings, however many there are. */
import { hostname } from 'node:os'
import type { PolicyHost } from '../kit/index.ts'
import { otlpExporter, type Span } from '../kit/tracing/index.ts'
import type { OpentelemetryMetadata } from './policy.ts'

type Reporter = ReturnType<PolicyHost['batches']>

const reporters = new WeakMap<OpentelemetryMetadata, Reporter>()

export function reporterOf(
  settings: OpentelemetryMetadata,
  host: Pick<PolicyHost, 'mayAsk' | 'batches' | 'gateway'>,
): Reporter {
  const known = host.mayAsk ? reporters.get(settings) : undefined
  if (known !== undefined) return known
  const { collector, batch_span_processor: batch, resource = {} } = settings
  const { address, request_timeout: timeout, request_headers: headers = {} } = collector
  const attributes = Object.entries({ hostname: hostname(), 'service.name': 'APISIX', ...resource })
  const send = otlpExporter({
    protocol: 'http/protobuf',
    endpoint: `${/^https?:\/\//.test(address) ? address : `http://${address}`}/v1/traces`,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    timeout: timeout * 1000,
    verify: true,
    resource: { attributes, version: host.gateway.version },
  })
  const made = host.batches<Span>(
    {
      name: 'opentelemetry',
      batch_max_size: batch.max_export_batch_size ?? 256,
      inactive_timeout: batch.inactive_timeout ?? 2,
      buffer_duration: batch.batch_timeout ?? 5,
      max_retry_count: 0,
      retry_delay: 1,
    },
    batch.max_queue_size ?? 2048,
    send,
  ) as Reporter
  if (host.mayAsk) reporters.set(settings, made)
  return made
}
