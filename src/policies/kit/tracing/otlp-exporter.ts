/** Spans on their way to a collector, as OTLP over HTTP or gRPC (https://opentelemetry.io/docs/specs/otlp/). */
import { Undeliverable } from '../logging/batch-processor.ts'
import { HttpSink, UnexpectedStatus } from '../logging/http-sink.ts'
import { CallFailed, GrpcSink } from './grpc-sink.ts'
import { otlpJson } from './otlp-json.ts'
import { otlpProtobuf, rejectedSpans } from './otlp-protobuf.ts'
import type { Resource, Span } from './span.ts'

export type OtlpProtocol = 'http/protobuf' | 'http/json' | 'grpc'

export interface OtlpOptions {
  readonly protocol: OtlpProtocol
  /** Of HTTP the whole address, of gRPC its origin. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds for a batch. */
  readonly timeout: number
  readonly verify: boolean
  readonly resource: Resource
}

/** Resolves when the collector has them. Throws `Undeliverable` when there is no use in sending them again. */
export type SpanExport = (spans: readonly Span[]) => Promise<void>

/** Statuses of HTTP after which a batch is sent again; after all others it is not. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])
/** The same of gRPC: CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const passingInGrpc: ReadonlySet<number> = new Set([1, 4, 10, 11, 14, 15])

export function otlpExporter(options: OtlpOptions): SpanExport {
  return options.protocol === 'grpc' ? overGrpc(options) : overHttp(options)
}

function overHttp({ protocol, endpoint, headers, timeout, verify, resource }: OtlpOptions): SpanExport {
  const url = new URL(endpoint)
  const sink = new HttpSink({ timeout, verify, accepts: (status) => status >= 200 && status < 300 })
  const inJson = protocol === 'http/json'
  const fields = { ...headers, 'content-type': inJson ? 'application/json' : 'application/x-protobuf' }
  return async (spans) => {
    const body = inJson ? otlpJson(spans, resource) : otlpProtobuf(spans, resource)
    let answer: Buffer
    try {
      answer = await sink.postForBytes(url, fields, body)
    } catch (error) {
      if (error instanceof UnexpectedStatus && !passing.has(error.status))
        throw new Undeliverable(0, error.message)
      throw error
    }
    tellRejected(spans.length, inJson ? rejectedInJson(answer) : rejectedSpans(answer), url.origin)
  }
}

function overGrpc({ endpoint, headers, timeout, verify, resource }: OtlpOptions): SpanExport {
  const { origin } = new URL(endpoint)
  const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
  const sink = new GrpcSink({ origin, path, metadata: headers, timeout, verify })
  return async (spans) => {
    let answer: Buffer
    try {
      answer = await sink.call(otlpProtobuf(spans, resource))
    } catch (error) {
      if (error instanceof CallFailed && !passingInGrpc.has(error.status))
        throw new Undeliverable(0, error.message)
      throw error
    }
    tellRejected(spans.length, rejectedSpans(answer), origin)
  }
}

function tellRejected(sent: number, rejected: number, origin: string): void {
  if (rejected <= 0) return
  const taken = Math.max(0, sent - rejected)
  throw new Undeliverable(taken, `${origin} does not take ${sent - taken} of ${sent} spans`)
}

function rejectedInJson(answer: Buffer): number {
  try {
    const { partialSuccess } = JSON.parse(answer.toString()) as {
      partialSuccess?: { rejectedSpans?: string | number }
    }
    return Number(partialSuccess?.rejectedSpans ?? 0) || 0
  } catch {
    // It took the batch, whatever else it says.
    return 0
  }
}
