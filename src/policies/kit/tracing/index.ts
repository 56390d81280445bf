/** What policies share that take part in traces: contexts of callers, decisions, spans, and how spans get to a collector. */
export { readB3, writeB3 } from './b3.ts'
export { newSpanId, newTraceId } from './ids.ts'
export { type OtlpOptions, type OtlpProtocol, otlpExporter, type SpanExport } from './otlp-exporter.ts'
export { alwaysOff, alwaysOn, parentBased, type Sampler, traceIdRatio } from './sampler.ts'
export { type Attribute, type AttributeValue, type Span, sizeOf, spanKind } from './span.ts'
export { readTraceContext, type TraceContext, traceParent, writeTraceContext } from './trace-context.ts'
export { type Membership, Tracer } from './tracer.ts'
