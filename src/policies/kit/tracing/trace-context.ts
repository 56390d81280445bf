/** Where a request stands in a trace of its caller, in the fields of W3C Trace Context (https://www.w3.org/TR/trace-context/). */
import type { Exchange } from '../../../proxy/exchange.ts'
import { headerName } from '../../../proxy/headers.ts'

export interface TraceContext {
  /** 32 hexadecimal digits in lower case. */
  readonly traceId: string
  /** Of the caller; 16 digits. */
  readonly spanId: string
  /** What the caller decided. */
  readonly sampled: boolean
  /** What vendors say beside, as it came; empty: nothing. */
  readonly state: string
}

const parentField = headerName('traceparent')

/** Section 3.2.2: later versions may have more behind the flags. */
const form = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/

/** Bytes of `tracestate` that are told on (section 3.3.1.5). */
const longestState = 512

/** Undefined: there is none, or it cannot be read; then a new trace begins. */
export function readTraceContext({ request: { headers } }: Exchange): TraceContext | undefined {
  const parent = headers.getAll('traceparent')
  const parts = parent === undefined ? null : form.exec(parent)
  if (parts === null) return undefined
  const [, version, traceId = '', spanId = '', flags = '', more] = parts
  if (version === '00' && more !== undefined) return undefined
  const state = headers.getAll('tracestate') ?? ''
  return {
    traceId,
    spanId,
    sampled: (Number.parseInt(flags, 16) & 1) === 1,
    state: state.length <= longestState ? state : '',
  }
}

export function traceParent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

/** What vendors said goes on by itself. */
export function writeTraceContext(
  { request }: Exchange,
  traceId: string,
  spanId: string,
  sampled: boolean,
): void {
  request.headers.set(parentField, traceParent(traceId, spanId, sampled))
}
