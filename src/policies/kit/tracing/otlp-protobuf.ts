/** Spans as OTLP in protobuf; the numbers are those of opentelemetry-proto 1.x. */
import { nanoseconds } from './otlp-json.ts'
import { ProtobufWriter } from './protobuf-writer.ts'
import { type Attribute, type Resource, type Span, scopeName } from './span.ts'

/** An `ExportTraceServiceRequest`. */
export function otlpProtobuf(spans: readonly Span[], { attributes, version }: Resource): Buffer {
  return new ProtobufWriter()
    .message(1, (resourceSpans) =>
      resourceSpans
        .message(1, (resource) => writeAttributes(resource, 1, attributes))
        .message(2, (scopeSpans) => {
          scopeSpans.message(1, (scope) => scope.text(1, scopeName).text(2, version))
          for (const span of spans) scopeSpans.message(2, (message) => writeSpan(message, span))
        }),
    )
    .finish()
}

function writeSpan(message: ProtobufWriter, span: Span): void {
  const { error } = span
  message
    .hex(1, span.traceId)
    .hex(2, span.spanId)
    .text(3, span.state)
    .hex(4, span.parentId)
    .text(5, span.name)
    .integer(6, BigInt(span.kind))
    .fixed64(7, nanoseconds(span.start))
    .fixed64(8, nanoseconds(span.end))
  writeAttributes(message, 9, span.attributes)
  if (error !== undefined) message.message(15, (status) => status.text(2, error).integer(3, 2n))
  message.fixed32(16, 1)
}

function writeAttributes(message: ProtobufWriter, field: number, attributes: readonly Attribute[]): void {
  for (const [key, value] of attributes) {
    message.message(field, (pair) =>
      pair.text(1, key).message(2, (any) => {
        if (typeof value === 'string') any.bytes(1, Buffer.from(value))
        else if (typeof value === 'boolean') any.integer(2, value ? 1n : 0n)
        else if (Number.isSafeInteger(value)) any.integer(3, BigInt(value))
        else any.double(4, value)
      }),
    )
  }
}

/**
 * Reads an `ExportTraceServiceResponse`.
 * @returns how many spans it says were not taken; 0 when it says nothing, or nothing that can be read
 */
export function rejectedSpans(answer: Buffer): number {
  const partial = fieldOf(answer, 1)
  if (!Buffer.isBuffer(partial)) return 0
  const rejected = fieldOf(partial, 1)
  return typeof rejected === 'number' ? rejected : 0
}

/** The first field of that number in a message: its bytes, or its number. */
function fieldOf(message: Buffer, wanted: number): Buffer | number | undefined {
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; at < message.length && factor < 2 ** 49; factor *= 128) {
      const byte = message[at++]!
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    return undefined
  }
  while (at < message.length) {
    const tag = varint()
    if (tag === undefined) return undefined
    const kind = tag & 7
    let value: Buffer | number | undefined
    if (kind === 0) value = varint()
    else if (kind === 2) {
      const length = varint()
      if (length === undefined || at + length > message.length) return undefined
      value = message.subarray(at, at + length)
      at += length
    } else if (kind === 1) at += 8
    else if (kind === 5) at += 4
    else return undefined
    if (value === undefined && kind === 0) return undefined
    if (tag >>> 3 === wanted) return value
  }
  return undefined
}
