/** Trace context in the fields of B3, several or a single one (https://github.com/openzipkin/b3-propagation). */
import type { Exchange } from '../../../proxy/exchange.ts'
import { headerName } from '../../../proxy/headers.ts'

export interface B3 {
  /** 16 or 32 hexadecimal digits; undefined: a new trace begins. */
  traceId: string | undefined
  /** Of the caller; 16 digits. */
  spanId: string | undefined
  /** What the caller decided; undefined: nothing. */
  sampled: boolean | undefined
}

const trace = /^(?:[\da-f]{16}|[\da-f]{32})$/i
const span = /^[\da-f]{16}$/i
const none: B3 = { traceId: undefined, spanId: undefined, sampled: undefined }

/** Null: the single field cannot be read. Ids that are none begin a new trace, as in APISIX. */
export function readB3({ request: { headers } }: Exchange): B3 | null {
  const single = headers.get('b3')
  if (single !== undefined) return readSingle(single)
  const debug = headers.get('x-b3-flags') === '1'
  const sampled = decision(headers.get('x-b3-sampled')) ?? (debug ? true : undefined)
  return identified(
    headers.get('x-b3-traceid'),
    headers.get('x-b3-spanid'),
    headers.get('x-b3-parentspanid'),
    sampled,
  )
}

function readSingle(single: string): B3 | null {
  if (single === '0') return { ...none, sampled: false }
  const [traceId, spanId, sampled, parent] = single.split('-', 4)
  if (!traceId || !spanId) return null
  return identified(traceId, spanId, parent, sampled === 'd' ? true : decision(sampled))
}

function identified(
  traceId: string | undefined,
  spanId: string | undefined,
  parent: string | undefined,
  sampled: boolean | undefined,
): B3 {
  const sound =
    traceId !== undefined &&
    trace.test(traceId) &&
    (spanId === undefined || span.test(spanId)) &&
    (parent === undefined || span.test(parent))
  return sound
    ? { traceId: traceId.toLowerCase(), spanId: spanId?.toLowerCase(), sampled }
    : { ...none, sampled }
}

function decision(text: string | undefined): boolean | undefined {
  if (text === '1' || text === 'true') return true
  return text === '0' || text === 'false' ? false : undefined
}

const names = {
  single: headerName('b3'),
  trace: headerName('x-b3-traceid'),
  parent: headerName('x-b3-parentspanid'),
  span: headerName('x-b3-spanid'),
  sampled: headerName('x-b3-sampled'),
}

export interface B3Fields {
  traceId: string
  spanId: string
  /** Undefined: the trace begins here. */
  parentId: string | undefined
  sampled: boolean
}

/** In several fields, and in these alone. */
export function writeB3({ request: { headers } }: Exchange, fields: B3Fields): void {
  headers.remove(names.single)
  headers.set(names.trace, fields.traceId)
  headers.set(names.span, fields.spanId)
  if (fields.parentId === undefined) headers.remove(names.parent)
  else headers.set(names.parent, fields.parentId)
  headers.set(names.sampled, fields.sampled ? '1' : '0')
}

export function writeSingleB3(
  { request: { headers } }: Exchange,
  traceId: string,
  spanId: string,
  sampled: boolean,
): void {
  headers.set(names.single, `${traceId}-${spanId}-${sampled ? '1' : '0'}`)
}
