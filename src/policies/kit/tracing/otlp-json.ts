/** Spans as OTLP in JSON: ids in hexadecimal, 64-bit numbers as texts (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). */
import { type Attribute, type AttributeValue, type Resource, type Span, scopeName } from './span.ts'

export function otlpJson(spans: readonly Span[], { attributes, version }: Resource): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributes.map(keyValue) },
        scopeSpans: [{ scope: { name: scopeName, version }, spans: spans.map(spanObject) }],
      },
    ],
  })
}

function spanObject(span: Span): object {
  const { error } = span
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.state !== '' && { traceState: span.state }),
    ...(span.parentId !== '' && { parentSpanId: span.parentId }),
    flags: 1,
    name: span.name,
    kind: span.kind,
    startTimeUnixNano: nanoseconds(span.start).toString(),
    endTimeUnixNano: nanoseconds(span.end).toString(),
    attributes: span.attributes.map(keyValue),
    ...(error !== undefined && { status: { code: 2, message: error } }),
  }
}

function keyValue([key, value]: Attribute): object {
  return { key, value: anyValue(value) }
}

function anyValue(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

/** Of epoch milliseconds; exact to the microsecond, which is all that they hold. */
export function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1000)) * 1000n
}
