/** The body of a request as JSON, with the answers of APISIX where it is none. */
import { parseTolerantJson } from '../../../config/tolerant-json.ts'
import type { Exchange, Verdict } from '../../../proxy/exchange.ts'
import type { ModelCall } from './call.ts'
import { isJson, isStreaming, type Json, parsedJson, protocolOf, textOf } from './chat.ts'

/** The body, or the answer to one that cannot be used. */
export async function readJson(
  exchange: Exchange,
  limit: number,
): Promise<{ body: Json; raw: string } | { refusal: Verdict }> {
  const raw = await exchange.request.readBody(limit)
  if (raw === null)
    return refused(413, `could not get body: it is greater than the maximum size ${limit} allowed`)
  if (raw === '') return refused(400, 'could not get body: request body is empty')
  const text = Buffer.from(raw, 'latin1').toString()
  const body = parsedJson(text)
  if (isJson(body)) return { body, raw }
  // What else lua-cjson takes for JSON is none for services of models.
  const read = parseTolerantJson(text)
  const problem = 'error' in read ? read.error : body === undefined ? 'it is not JSON' : 'it is not an object'
  return refused(400, `could not parse JSON request body: ${problem}`)
}

/** Puts another body in place of the one that `readJson` read. */
export function writeJson(exchange: Exchange, body: Json): void {
  exchange.request.setBody(Buffer.from(JSON.stringify(body)).toString('latin1'))
}

function refused(status: number, message: string): { refusal: Verdict } {
  return { refusal: { status, body: { message } } }
}

/** The same for a request that goes to a language model: its type has to be JSON. */
export async function readModelRequest(
  exchange: Exchange,
  limit: number,
): Promise<{ call: ModelCall } | { refusal: Verdict }> {
  const type = exchange.request.headers.get('content-type') ?? 'application/json'
  if (!type.startsWith('application/json')) {
    const body = `unsupported content-type: ${type}, only application/json is supported`
    return { refusal: { status: 400, body } }
  }
  const read = await readJson(exchange, limit)
  if ('refusal' in read) return read
  const protocol = protocolOf(read.body, exchange.request.path)
  if (protocol === null) return { refusal: { status: 400, body: 'no matching AI protocol for the request' } }
  const isStream = isStreaming(read.body, protocol)
  const call: ModelCall = {
    ...read,
    protocol,
    isStream,
    instances: [],
    avoidsLimits: false,
    answer: undefined,
    sent: undefined,
    model: '',
    firstAfter: -1,
    endAfter: -1,
    attempts: [],
    reviewers: [],
    leave: null,
  }
  exchange.told = {
    ...exchange.told,
    request_type: isStream ? 'ai_stream' : 'ai_chat',
    request_llm_model: bytes(textOf(read.body.model) ?? ''),
  }
  return { call }
}

/** One character a byte, as variables have it. */
export function bytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}
