/** What a client sends as a batch, read to its end before any of its requests is sent. */
import { type Exchange, fieldLines, InvalidHeaderError, parseTolerantJson } from '../kit/index.ts'
import { compileJsonSchema, type JsonSchema } from '../kit/json-schema.ts'

/** One request of a batch, ready to be sent. */
export interface BatchedRequest {
  readonly method: string
  readonly target: string
  readonly version: '1.0' | '1.1'
  readonly lines: string
  readonly body: Buffer
}

export interface Batch {
  /** Milliseconds for each answer. */
  readonly timeout: number
  readonly requests: readonly BatchedRequest[]
}

type Values = Record<string, unknown>

interface WrittenRequest {
  version?: number
  method?: string
  path: string
  query?: Values
  headers?: Values
  body?: string
}

interface WrittenBatch {
  query?: Values
  headers?: Values
  timeout?: number
  pipeline: WrittenRequest[]
}

const methods = 'GET POST PUT DELETE PATCH HEAD OPTIONS CONNECT TRACE PURGE'.split(' ')

const schema = compileJsonSchema({
  type: 'object',
  properties: {
    query: { type: 'object' },
    headers: { type: 'object' },
    timeout: { type: 'integer', minimum: 1, default: 30_000 },
    pipeline: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        properties: {
          version: { type: 'number', enum: [1.0, 1.1], default: 1.1 },
          method: { type: 'string', enum: methods, default: 'GET' },
          path: { type: 'string', minLength: 1 },
          query: { type: 'object' },
          headers: { type: 'object' },
          body: { type: 'string' },
          ssl_verify: { type: 'boolean', default: false },
        },
        required: ['path'],
        additionalProperties: false,
      },
    },
  },
  anyOf: [{ required: ['pipeline'] }],
}) as JsonSchema

/** Longest time for one answer, whatever the batch says. */
const longestTimeout = 300_000

/** Fields that frame a message or belong to one connection: each request gets its own. */
const ownFields = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

class Unusable extends Error {}

/** @param text one character a byte. The text that it gives back says what is wrong. */
export function readBatch(text: string, mostRequests: number, exchange: Exchange): Batch | string {
  const document = Buffer.from(text, 'latin1').toString()
  const read = parseTolerantJson(document)
  if ('error' in read) return `invalid request body: ${document}, err: ${read.error}`
  const finding = schema.finding(read.value)
  if (finding !== undefined) return `bad request body: ${finding}`
  const batch = read.value as WrittenBatch
  const { pipeline, timeout = 30_000 } = batch
  if (pipeline.length > mostRequests)
    return `too many pipeline requests, ${pipeline.length} exceeds the maximum of ${mostRequests}`
  try {
    const common = [...fieldsOf(batch.headers).values()].flat()
    const outer = fieldsOfClient(exchange)
    const requests = pipeline.map((one) => requestOf(one, batch.query, [common, outer]))
    return { timeout: Math.min(timeout, longestTimeout), requests }
  } catch (error) {
    if (error instanceof Unusable || error instanceof InvalidHeaderError)
      return `bad request body: ${error.message}`
    throw error
  }
}

type Field = readonly [name: string, value: string]

function requestOf(written: WrittenRequest, query: Values | undefined, others: Field[][]): BatchedRequest {
  const { method = 'GET', version = 1.1, body = '' } = written
  const fields: Field[] = [...fieldsOf(written.headers).values()].flat()
  for (const layer of others) {
    const known = new Set(fields.map(([name]) => name.toLowerCase()))
    fields.push(...layer.filter(([name]) => !known.has(name.toLowerCase())))
  }
  return {
    method,
    target: targetOf(written.path, { ...query, ...written.query }),
    version: version === 1.1 ? '1.1' : '1.0',
    lines: fieldLines(fields),
    body: Buffer.from(body),
  }
}

/** By name in lower case: of two spellings of one name the later counts. */
function fieldsOf(headers: Values = {}): Map<string, Field[]> {
  const fields = new Map<string, Field[]>()
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (ownFields.has(lower)) continue
    fields.set(
      lower,
      textsOf(value, `the header ${name}`).map((text) => [name, bytesOf(text)] as const),
    )
  }
  return fields
}

/**
 * What the client sent with the batch goes with each of its requests, except what describes the batch itself. An encoding
 * that this client takes would not survive in a text.
 */
function fieldsOfClient({ request }: Exchange): Field[] {
  const fields: Field[] = []
  request.headers.forEach((name, value) => {
    const lower = name.toLowerCase()
    const isOfBatch = lower.startsWith('content-') || lower === 'accept-encoding'
    if (!isOfBatch && !ownFields.has(lower)) fields.push([name, value])
  })
  return fields
}

function targetOf(path: string, query: Values): string {
  const pairs: string[] = []
  for (const [name, value] of Object.entries(query)) {
    if (value === false) continue
    const key = encodeURIComponent(name.toWellFormed())
    if (value === true) pairs.push(key)
    else
      for (const text of textsOf(value, `the query parameter ${name}`))
        pairs.push(`${key}=${encodeURIComponent(text.toWellFormed())}`)
  }
  const target = bytesOf(path)
  // A space or a control character would end the request line.
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(target)) throw new Unusable('the path has a character that no path has')
  if (pairs.length === 0) return target
  return `${target}${target.includes('?') ? '&' : '?'}${pairs.join('&')}`
}

/** @throws Unusable where the value is no text, number, truth value or list of such */
function textsOf(value: unknown, what: string): string[] {
  return [value].flat().map((one) => {
    if (typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean') return String(one)
    throw new Unusable(`${what} has to be a text, a number or a list of such`)
  })
}

/** One character a byte. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1')
}
