/** Traces of all exchanges: which are recorded, how callers and upstreams are told, and where spans go. */
import { type Static, Type } from './type.ts'
import { parseDuration } from './units.ts'

export const otlpProtocols = ['http/protobuf', 'http/json', 'grpc'] as const
export const traceFormats = ['tracecontext', 'b3', 'b3multi'] as const
export const samplers = ['parent_base', 'always_on', 'always_off', 'trace_id_ratio'] as const
export const labelTypes = ['literal', 'request_header', 'environment'] as const

/** With every default filled in; times in milliseconds. */
export interface TracingSettings {
  exporter: {
    protocol: (typeof otlpProtocols)[number]
    /** Over HTTP the whole address, over gRPC its origin. */
    endpoint: string
    headers: Readonly<Record<string, string>>
    timeout: number
    verify: boolean
  }
  service_name: string
  /** Further attributes of the resource. */
  resource: Readonly<Record<string, string | number | boolean>>
  propagation: readonly (typeof traceFormats)[number][]
  sampling: {
    sampler: (typeof samplers)[number]
    /** Percent of the traces that begin here; of those that a client asks for; of all. */
    random: number
    client: number
    overall: number
  }
  labels: readonly TraceLabel[]
  batch: { size: number; delay: number; queue: number; retries: number }
}

export interface TraceLabel {
  name: string
  type: (typeof labelTypes)[number]
  /** Of the field or the variable. */
  key?: string
  /** The value of a literal; of others, where the request or the environment has none. */
  default?: string
}

const percent = (description: string) =>
  Type.Optional(Type.Number({ minimum: 0, maximum: 100, default: 100, description }))

const text = (byDefault: string, description: string) =>
  Type.Optional(Type.String({ minLength: 1, default: byDefault, description }))

const duration = (byDefault: string, description: string) =>
  Type.Optional(Type.String({ format: 'duration', default: byDefault, description }))

const count = (byDefault: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, default: byDefault, description }))

export const tracingSchema = Type.Object(
  {
    enabled: Type.Optional(
      Type.Boolean({ default: true, description: 'Whether requests are traced at all.' }),
    ),
    exporter: Type.Optional(
      Type.Object(
        {
          protocol: Type.Optional(
            Type.Enum([...otlpProtocols], {
              default: 'http/protobuf',
              description: 'How spans are sent, as OTLP has it.',
            }),
          ),
          endpoint: Type.Optional(
            Type.String({
              pattern: '^https?://[^/@?#]+(/[^?#]*)?$',
              'x-form': 'an address such as http://host:4318',
              description:
                'Address of the collector. Over HTTP `/v1/traces` is added to one without a path. By default port 4318 of this machine, over gRPC 4317.',
            }),
          ),
          headers: Type.Optional(
            Type.Record(Type.String(), Type.String({ 'x-secret': true }), {
              default: {},
              propertyNames: { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
              description: 'Further fields of requests to the collector; over gRPC, metadata.',
            }),
          ),
          timeout: duration('10s', 'Time that a batch may take.'),
          verify: Type.Optional(
            Type.Boolean({
              default: true,
              description: 'Whether the certificate of the collector is verified.',
            }),
          ),
        },
        { default: {}, description: 'Where spans go.' },
      ),
    ),
    service_name: text('sluice', '`service.name` of the spans.'),
    resource: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
        default: {},
        description: 'Further attributes of the gateway itself, such as `deployment.environment.name`.',
      }),
    ),
    propagation: Type.Optional(
      Type.Array(Type.Enum([...traceFormats]), {
        minItems: 1,
        maxItems: traceFormats.length,
        default: ['tracecontext'],
        description:
          'Forms in which callers are understood and upstreams told: W3C `tracecontext`, and B3 in one field (`b3`) or several (`b3multi`). Of a caller the first that is there counts.',
      }),
    ),
    sampling: Type.Optional(
      Type.Object(
        {
          sampler: Type.Optional(
            Type.Enum([...samplers], {
              default: 'parent_base',
              description:
                '`parent_base`: as the caller decided, else `random`. `trace_id_ratio`: `random`, whatever the caller decided. `always_on`, `always_off`: all, none.',
            }),
          ),
          random: percent('Percent of traces that are recorded where nobody else decides.'),
          client: percent(
            'Percent of requests with `x-client-trace-id` that are recorded for it, before the sampler is asked.',
          ),
          overall: percent('Percent of all requests that are recorded at most.'),
        },
        { default: {}, description: 'Which requests are recorded. Traces are chosen by their id.' },
      ),
    ),
    labels: Type.Optional(
      Type.Array(
        Type.Object({
          name: Type.String({ minLength: 1, description: 'Name of the attribute.' }),
          type: Type.Enum([...labelTypes], { description: 'Where its value comes from.' }),
          key: Type.Optional(
            Type.String({
              minLength: 1,
              description: 'Name of the field, or of the environment variable.',
            }),
          ),
          default: Type.Optional(
            Type.String({
              description:
                'The value of a `literal`; of others, where there is none. Without, it is left out.',
            }),
          ),
        }),
        { default: [], maxItems: 64, description: 'Further attributes of the span of an exchange.' },
      ),
    ),
    batch: Type.Optional(
      Type.Object(
        {
          size: count(512, 'Spans of a full batch.'),
          delay: duration('5s', 'Time that a span waits for others at most.'),
          queue: count(
            4096,
            'Spans that wait to be delivered at most, on each thread; further ones are dropped and counted.',
          ),
          retries: Type.Optional(
            Type.Integer({
              minimum: 0,
              default: 2,
              description: 'How often a batch that the collector had no time for is sent again.',
            }),
          ),
        },
        { default: {}, description: 'How spans are collected on their way.' },
      ),
    ),
  },
  { description: 'Traces of all requests ([Tracing](../guides/tracing.md)). Without it, there are none.' },
)

export type TracingInput = Static<typeof tracingSchema>

/** Null: nothing is traced. */
export function tracingSettings(input: TracingInput | undefined): TracingSettings | null {
  if (input === undefined || input.enabled === false) return null
  const { exporter = {}, sampling = {}, batch = {} } = input
  const protocol = exporter.protocol ?? 'http/protobuf'
  return {
    exporter: {
      protocol,
      endpoint: endpointOf(protocol, exporter.endpoint),
      headers: exporter.headers ?? {},
      timeout: parseDuration(exporter.timeout ?? '10s'),
      verify: exporter.verify ?? true,
    },
    service_name: input.service_name ?? 'sluice',
    resource: input.resource ?? {},
    propagation: input.propagation ?? ['tracecontext'],
    sampling: {
      sampler: sampling.sampler ?? 'parent_base',
      random: sampling.random ?? 100,
      client: sampling.client ?? 100,
      overall: sampling.overall ?? 100,
    },
    labels: (input.labels ?? []) as TraceLabel[],
    batch: {
      size: batch.size ?? 512,
      delay: parseDuration(batch.delay ?? '5s'),
      queue: batch.queue ?? 4096,
      retries: batch.retries ?? 2,
    },
  }
}

function endpointOf(protocol: TracingSettings['exporter']['protocol'], endpoint?: string): string {
  if (protocol === 'grpc') return endpoint ?? 'http://127.0.0.1:4317'
  if (endpoint === undefined) return 'http://127.0.0.1:4318/v1/traces'
  return /^https?:\/\/[^/]+\/?$/.test(endpoint) ? `${endpoint.replace(/\/$/, '')}/v1/traces` : endpoint
}
