/** The tracer of all exchanges, as `gateway.tracing` wants it. */
import { hostname } from 'node:os'
import type { TracingSettings } from '../../../config/tracing-settings.ts'
import type { Exchange } from '../../../proxy/exchange.ts'
import type { Batches } from '../logging/batch-processor.ts'
import { describeExchange, labelReader } from './attributes.ts'
import { newSpanId, newTraceId } from './ids.ts'
import { otlpExporter } from './otlp-exporter.ts'
import { readCaller, writeContext } from './propagation.ts'
import { alwaysOff, alwaysOn, parentBased, type Sampler, traceIdRatio } from './sampler.ts'
import { type Span, sizeOf } from './span.ts'
import { type Membership, Tracer } from './tracer.ts'

/** Under that name its spans are counted. */
const name = 'tracing'
/** By which a client asks for its request to be recorded. */
const clientField = 'x-client-trace-id'

export function gatewayTracer(
  settings: TracingSettings,
  batches: Pick<Batches, 'open'>,
  version: string,
): GatewayTracer {
  const { exporter, batch } = settings
  const attributes = Object.entries({
    'service.name': settings.service_name,
    'service.version': version,
    'host.name': hostname(),
    ...settings.resource,
  })
  const delay = batch.delay / 1000
  const spans = batches.open<Span>(
    name,
    {
      name,
      batch_max_size: batch.size,
      inactive_timeout: delay,
      buffer_duration: delay,
      max_retry_count: batch.retries,
      retry_delay: 1,
    },
    batch.queue,
    otlpExporter({ ...exporter, resource: { attributes, version } }),
  )
  return new GatewayTracer(settings, (span) => spans.push(span, sizeOf(span)))
}

export class GatewayTracer extends Tracer {
  readonly #formats: TracingSettings['propagation']

  constructor(settings: TracingSettings, report: (span: Span) => void) {
    const { propagation: formats, sampling } = settings
    const isSampled = samplerOf(sampling)
    const labels = labelReader(settings.labels)
    super({
      join(exchange) {
        const caller = readCaller(exchange, formats)
        const traceId = caller?.traceId ?? newTraceId()
        if (!isSampled(exchange, traceId, caller?.sampled)) return undefined
        return { traceId, parentId: caller?.spanId ?? '', state: caller?.state ?? '' }
      },
      propagate(exchange, { traceId }: Membership, spanId) {
        writeContext(exchange, formats, traceId, spanId, true)
      },
      describe(exchange) {
        const described = describeExchange(exchange)
        described.attributes.push(...labels(exchange))
        return described
      },
      report,
    })
    this.#formats = formats
  }

  /** Upstreams hear of requests that are not recorded too, or they would decide on their own. */
  override send(exchange: Exchange): void {
    if (exchange.timeline !== null) super.send(exchange)
    else if (readCaller(exchange, this.#formats) === undefined)
      writeContext(exchange, this.#formats, newTraceId(), newSpanId(), false)
  }
}

function samplerOf({ sampler, random, client, overall }: TracingSettings['sampling']) {
  const asked = traceIdRatio(client / 100)
  const ceiling = overall === 100 ? alwaysOn : traceIdRatio(overall / 100)
  const usual = named(sampler, traceIdRatio(random / 100))
  return (exchange: Exchange, traceId: string, parent: boolean | undefined): boolean => {
    if (!ceiling(traceId, undefined)) return false
    if (client > 0 && exchange.request.headers.sent(clientField) !== undefined && asked(traceId, undefined))
      return true
    return usual(traceId, parent)
  }
}

function named(sampler: TracingSettings['sampling']['sampler'], ratio: Sampler): Sampler {
  if (sampler === 'always_on') return alwaysOn
  if (sampler === 'always_off') return alwaysOff
  return sampler === 'trace_id_ratio' ? ratio : parentBased(ratio)
}
