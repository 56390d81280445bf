/** Contexts of traces in the forms that operators choose. */
import type { Exchange } from '../../../proxy/exchange.ts'
import { type B3, readB3, writeB3, writeSingleB3 } from './b3.ts'
import { readTraceContext, writeTraceContext } from './trace-context.ts'

export type TraceFormat = 'tracecontext' | 'b3' | 'b3multi'

/** What a caller says of its trace. */
export interface CallerContext {
  readonly traceId: string
  /** Empty: it says none. */
  readonly spanId: string
  /** Undefined: it did not decide. */
  readonly sampled: boolean | undefined
  /** `tracestate`; empty: none. */
  readonly state: string
}

/** The first that is there; undefined: none is, or it says nothing of a trace. */
export function readCaller(exchange: Exchange, formats: readonly TraceFormat[]): CallerContext | undefined {
  for (const format of formats) {
    const context = format === 'tracecontext' ? readTraceContext(exchange) : ofB3(readB3(exchange))
    if (context !== undefined) return context
  }
  return undefined
}

/** Both forms of B3 are read wherever one of them is. */
function ofB3(b3: B3 | null): CallerContext | undefined {
  if (b3?.traceId === undefined) return undefined
  const { traceId, spanId = '', sampled } = b3
  return { traceId: traceId.padStart(32, '0'), spanId, sampled, state: '' }
}

export function writeContext(
  exchange: Exchange,
  formats: readonly TraceFormat[],
  traceId: string,
  spanId: string,
  sampled: boolean,
): void {
  for (const format of formats) {
    if (format === 'tracecontext') writeTraceContext(exchange, traceId, spanId, sampled)
    else if (format === 'b3') writeSingleB3(exchange, traceId, spanId, sampled)
    else writeB3(exchange, { traceId, spanId, parentId: undefined, sampled })
  }
}
