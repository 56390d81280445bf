/**
 * A receiver of OTLP traces, over HTTP (JSON and protobuf) and over gRPC with the server of @grpc/grpc-js. Protobuf is read by
 * protobufjs with the messages of opentelemetry-proto, so that nothing of the gateway's own reads what the gateway wrote.
 */
import { once } from 'node:events'
import http, { type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Metadata, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js'
import protobuf from 'protobufjs'

const { root } = protobuf.parse(`
syntax = "proto3";
package opentelemetry.proto;
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; }
message InstrumentationScope { string name = 1; string version = 2; }
message Status { string message = 2; int32 code = 3; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; Status status = 15;
  fixed32 flags = 16;
}
message ScopeSpans { InstrumentationScope scope = 1; repeated Span spans = 2; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
message ExportTracePartialSuccess { int64 rejected_spans = 1; string error_message = 2; }
message ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
`)
const requestType = root.lookupType('opentelemetry.proto.ExportTraceServiceRequest')
const responseType = root.lookupType('opentelemetry.proto.ExportTraceServiceResponse')

export interface ReceivedSpan {
  traceId: string
  spanId: string
  parentSpanId: string
  traceState: string
  name: string
  kind: number
  /** Nanoseconds since the epoch. */
  start: bigint
  end: bigint
  attributes: Record<string, string | number | boolean>
  status: { code: number; message: string } | undefined
  flags: number
  resource: Record<string, string | number | boolean>
  scope: string
}

export interface ReceivedBatch {
  protocol: 'http/json' | 'http/protobuf' | 'grpc'
  target: string
  headers: IncomingHttpHeaders
  spans: ReceivedSpan[]
}

export interface OtlpAnswer {
  /** Of HTTP; of gRPC its own. Default: taken. */
  status?: number
  rejected?: number
}

export interface OtlpReceiver {
  readonly httpPort: number
  readonly grpcPort: number
  readonly batches: ReceivedBatch[]
  /** What the next batches are answered; reset with {}. */
  answer: OtlpAnswer
  /** Batches that were not taken. */
  refusals: number
  /** Resolves when it holds; asked whenever a batch came. */
  until(holds: () => boolean): Promise<void>
  close(): void
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const batches: ReceivedBatch[] = []
  let arrived = () => {}
  const receiver: OtlpReceiver = {
    httpPort: 0,
    grpcPort: 0,
    batches,
    answer: {},
    refusals: 0,
    async until(holds) {
      while (!holds()) {
        await new Promise<void>((resolve) => {
          arrived = resolve
        })
      }
    },
    close() {
      server.closeAllConnections()
      server.close()
      calls.forceShutdown()
    },
  }
  const take = (batch: ReceivedBatch) => {
    batches.push(batch)
    arrived()
  }
  const refuse = () => {
    receiver.refusals++
    arrived()
  }
  const server = http.createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const body = Buffer.concat(pieces)
    const { status = 200, rejected = 0 } = receiver.answer
    const inJson = request.headers['content-type'] === 'application/json'
    if (status !== 200) refuse()
    else {
      take({
        protocol: inJson ? 'http/json' : 'http/protobuf',
        target: request.url!,
        headers: request.headers,
        spans: inJson ? spansOf(JSON.parse(body.toString())) : spansOf(read(body)),
      })
    }
    response.writeHead(status, { 'content-type': request.headers['content-type']! })
    const partialSuccess = rejected > 0 ? { partialSuccess: { rejectedSpans: rejected } } : {}
    response.end(inJson ? JSON.stringify(partialSuccess) : encoded(partialSuccess))
  })
  const calls = new Server()
  const same = (bytes: Buffer) => bytes
  calls.addService(
    {
      Export: {
        path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    },
    {
      Export(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
        const { status = 0, rejected = 0 } = receiver.answer
        if (status !== 0) {
          refuse()
          done({ code: status, details: 'not now', metadata: new Metadata() })
          return
        }
        take({
          protocol: 'grpc',
          target: '',
          headers: call.metadata.getMap() as never,
          spans: spansOf(read(call.request)),
        })
        done(null, encoded(rejected > 0 ? { partialSuccess: { rejectedSpans: rejected } } : {}))
      },
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const grpcPort = await new Promise<number>((resolve, reject) => {
    calls.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
  })
  return Object.assign(receiver, { httpPort: (server.address() as AddressInfo).port, grpcPort })
}

function encoded(message: object): Buffer {
  return Buffer.from(responseType.encode(responseType.fromObject(message)).finish())
}

/** As OTLP in JSON has it. */
function read(body: Buffer): Request {
  const message = requestType.decode(body)
  return requestType.toObject(message, { longs: String, arrays: true }) as Request
}

interface Pair {
  key: string
  value: { stringValue?: string; boolValue?: boolean; intValue?: string; doubleValue?: number }
}
type Id = string | Uint8Array
interface Request {
  resourceSpans: {
    resource: { attributes: Pair[] }
    scopeSpans: {
      scope: { name: string }
      spans: {
        traceId: Id
        spanId: Id
        parentSpanId?: Id
        traceState?: string
        name: string
        kind: number
        startTimeUnixNano: string
        endTimeUnixNano: string
        attributes: Pair[]
        status?: { code: number; message: string }
        flags: number
      }[]
    }[]
  }[]
}

function spansOf({ resourceSpans }: Request): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => ({
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId ?? ''),
        traceState: span.traceState ?? '',
        name: span.name,
        kind: span.kind,
        start: BigInt(span.startTimeUnixNano),
        end: BigInt(span.endTimeUnixNano),
        attributes: valuesOf(span.attributes),
        status: span.status,
        flags: span.flags,
        resource: valuesOf(resource.attributes),
        scope: scope.name,
      })),
    ),
  )
}

function hex(id: Id): string {
  return typeof id === 'string' ? id : Buffer.from(id).toString('hex')
}

function valuesOf(pairs: Pair[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => [
      key,
      value.stringValue ?? value.boolValue ?? value.doubleValue ?? Number(value.intValue),
    ]),
  )
}
