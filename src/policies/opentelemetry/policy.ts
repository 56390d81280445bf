import { definePolicy, type Exchange, openInApisix, type Static, Type } from '../kit/index.ts'
import {
  newSpanId,
  newTraceId,
  readTraceContext,
  type Span,
  sizeOf,
  Tracer,
  traceParent,
  writeTraceContext,
} from '../kit/tracing/index.ts'
import { spanDescriber } from './attributes.ts'
import { reporterOf } from './reporter.ts'
import { samplerFields, samplerOf } from './sampler.ts'

const anyScalar = Type.Union([Type.Boolean(), Type.Number(), Type.String()])

const metadata = Type.Object(
  {
    trace_id_source: Type.Enum(['x-request-id', 'random'], {
      default: 'random',
      description:
        'Where ids of new traces come from: the field `X-Request-Id`, where it is one of 32 hexadecimal digits, or chance.',
    }),
    resource: Type.Optional(
      Type.Record(Type.String(), anyScalar, {
        description: 'Attributes of the gateway. `service.name` is APISIX unless it stands here.',
      }),
    ),
    collector: Type.Object(
      {
        address: Type.String({
          default: '127.0.0.1:4318',
          description: 'Host and port of the collector, or an address that begins with https://.',
        }),
        request_timeout: Type.Integer({
          minimum: 1,
          default: 3,
          description: 'Seconds that a batch may take.',
        }),
        request_headers: Type.Optional(
          Type.Record(Type.String(), anyScalar, {
            'x-secret': true,
            description: 'Further fields of requests to the collector.',
          }),
        ),
      },
      {
        default: { address: '127.0.0.1:4318', request_timeout: 3 },
        description: 'Where spans go: with OTLP in protobuf, over HTTP, to `/v1/traces`.',
      },
    ),
    batch_span_processor: Type.Object(
      {
        drop_on_queue_full: Type.Optional(
          Type.Boolean({ description: 'Has no effect: what there is no room for is dropped and counted.' }),
        ),
        max_queue_size: Type.Optional(
          Type.Integer({
            description: 'Spans that wait to be delivered at most, on each thread. Default: 2048.',
          }),
        ),
        batch_timeout: Type.Optional(
          Type.Number({ description: 'Seconds that a span waits for others at most. Default: 5.' }),
        ),
        inactive_timeout: Type.Optional(
          Type.Number({ description: 'Seconds without a new span after which a batch leaves. Default: 2.' }),
        ),
        max_export_batch_size: Type.Optional(
          Type.Integer({ description: 'Spans of a full batch. Default: 256.' }),
        ),
      },
      { default: {}, description: 'How spans are collected on their way.' },
    ),
    set_ngx_var: Type.Boolean({
      default: false,
      description:
        'Sets the variables `opentelemetry_context_traceparent`, `opentelemetry_trace_id` and `opentelemetry_span_id`.',
    }),
  },
  openInApisix,
)
export type OpentelemetryMetadata = Static<typeof metadata>

/** Spans for OpenTelemetry; configuration, names and attributes of APISIX's `opentelemetry`. */
export default definePolicy({
  name: 'opentelemetry',
  summary: 'Takes part in traces (W3C Trace Context), and reports spans to an OpenTelemetry collector.',
  details:
    'Without `plugin_metadata` it does nothing, and the log says so. The upstream gets `traceparent`, whether or not the ' +
    'trace is recorded. The span of a request has one below it for each policy that was waited for, answered, failed or ' +
    'took a tenth of a millisecond, and one for each attempt at an upstream, which `traceparent` then names. Values of ' +
    'credentials in `http.target` are blacked out, as are those of fields that only a prefix names. A global rule is ' +
    'silent where the route has the policy too. `gateway.tracing` is silent wherever the policy runs.',
  stage: 'transform',
  priority: 12_009,
  version: 0.1,
  yieldsToRoute: true,
  config: Type.Object(
    {
      sampler: samplerFields,
      additional_attributes: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          description: 'Variables whose values become attributes under their names.',
        }),
      ),
      additional_header_prefix_attributes: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          description:
            'Fields of the request that become attributes, by name, or by the beginning of it with `*` at the end.',
        }),
      ),
    },
    openInApisix,
  ),
  metadata,
  create(config, host) {
    const settings = host.metadata
    if (settings === undefined) {
      host.log.warn({ owner: host.binding.owner }, 'opentelemetry does nothing without plugin_metadata')
      return {}
    }
    const spans = reporterOf(settings, host)
    const isSampled = samplerOf(config.sampler)
    const requestId = host.variable('http_x_request_id')
    const tell = (exchange: Exchange, traceId: string, spanId: string, sampled: boolean) => {
      writeTraceContext(exchange, traceId, spanId, sampled)
      if (!settings.set_ngx_var) return
      exchange.told = {
        ...exchange.told,
        opentelemetry_context_traceparent: traceParent(traceId, spanId, sampled),
        opentelemetry_trace_id: traceId,
        opentelemetry_span_id: spanId,
      }
    }
    const newId = (exchange: Exchange): string => {
      const id = settings.trace_id_source === 'x-request-id' ? requestId(exchange)?.toLowerCase() : undefined
      return id !== undefined && /^(?!0{32})[\da-f]{32}$/.test(id) ? id : newTraceId()
    }
    const tracer = new Tracer({
      join(exchange) {
        const caller = readTraceContext(exchange)
        const traceId = caller?.traceId ?? newId(exchange)
        if (isSampled(traceId, caller?.sampled))
          return { traceId, parentId: caller?.spanId ?? '', state: caller?.state ?? '' }
        tell(exchange, traceId, newSpanId(), false)
        return undefined
      },
      propagate: (exchange, { traceId }, spanId) => writeTraceContext(exchange, traceId, spanId, true),
      describe: spanDescriber(config, host),
      report: (span: Span, exchange) => spans.push(span, sizeOf(span), exchange),
    })
    return {
      request(exchange) {
        const recording = tracer.begin(exchange)
        if (recording !== undefined) tell(exchange, recording.membership.traceId, recording.spanId, true)
      },
      send: (exchange) => tracer.send(exchange),
      observe: (exchange) => tracer.end(exchange),
    }
  },
})
