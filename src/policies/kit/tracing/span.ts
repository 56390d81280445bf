/** A span as OTLP has it (opentelemetry/proto/trace/v1/trace.proto). */

export type AttributeValue = string | number | boolean
export type Attribute = readonly [name: string, value: AttributeValue]

/** Numbers of `Span.SpanKind`. */
export const spanKind = { internal: 1, server: 2, client: 3 } as const

export interface Span {
  readonly traceId: string
  readonly spanId: string
  /** Empty: it is the first of its trace. */
  readonly parentId: string
  /** `tracestate`; empty: none. */
  readonly state: string
  readonly name: string
  readonly kind: (typeof spanKind)[keyof typeof spanKind]
  /** Epoch milliseconds, with fractions. */
  readonly start: number
  readonly end: number
  readonly attributes: readonly Attribute[]
  /** What failed; undefined: nothing is said to have. */
  readonly error?: string | undefined
}

/** About as many bytes as a span takes. */
export function sizeOf({ attributes, name }: Span): number {
  let size = 200 + name.length
  for (const [key, value] of attributes) size += 16 + key.length + String(value).length
  return size
}

/** Of whoever reports spans. */
export interface Resource {
  readonly attributes: readonly Attribute[]
  /** Of the gateway. */
  readonly version: string
}

export const scopeName = 'sluice'
