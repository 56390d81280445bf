/** The body of a request as JSON, with the answers of APISIX where it is none. */
import type { Exchange, Verdict } from '../../../proxy/exchange.ts'
import { isJson, type Json, protocolOf } from './chat.ts'

/** The body, or the answer to one that cannot be used. */
export async function readJson(
  exchange: Exchange,
  limit: number,
): Promise<{ body: Json } | { refusal: Verdict }> {
  const text = await exchange.request.readBody(limit)
  if (text === null)
    return refused(413, `could not get body: it is greater than the maximum size ${limit} allowed`)
  if (text === '') return refused(400, 'could not get body: request body is empty')
  let body: unknown
  try {
    body = JSON.parse(Buffer.from(text, 'latin1').toString())
  } catch {
    return refused(400, 'could not parse JSON request body: it is not JSON')
  }
  return isJson(body) ? { body } : refused(400, 'could not parse JSON request body: it is not an object')
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
): Promise<{ body: Json } | { refusal: Verdict }> {
  const type = exchange.request.headers.get('content-type') ?? 'application/json'
  if (!type.startsWith('application/json')) {
    const body = `unsupported content-type: ${type}, only application/json is supported`
    return { refusal: { status: 400, body } }
  }
  const read = await readJson(exchange, limit)
  if ('refusal' in read || protocolOf(read.body, exchange.request.path) !== null) return read
  return { refusal: { status: 400, body: 'no matching AI protocol for the request' } }
}
