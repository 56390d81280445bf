/** Asks the services of providers, and passes on what they answer piece by piece. */
import { STATUS_CODES } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Exchange, Relay, Verdict } from '../../../proxy/exchange.ts'
import { headerName } from '../../../proxy/headers.ts'
import { type ModelCall, modelCall } from './call.ts'
import { type Json, type Protocol, protocolOf } from './chat.ts'
import { type Provider, providers } from './providers.ts'
import type { Asking, Instance } from './settings.ts'
import { UsageReader } from './usage.ts'

/** Bytes of the answer to a request that failed. */
const largestError = 64 * 1024
/** Fields of the client that are not for the service. */
const notForwarded = new Set(['host', 'content-length', 'accept-encoding', 'content-type', 'expect'])

/** An answer, and whether another instance could be asked instead. */
export interface Outcome {
  readonly status: number
  readonly verdict: Verdict
}

export class ModelClient {
  readonly #asking: Asking
  #dispatcher: Promise<Dispatcher> | undefined

  constructor(asking: Asking) {
    this.#asking = asking
  }

  /** @param body of the client */
  async ask(
    exchange: Exchange,
    body: Json,
    instance: Instance,
    retryable: ReadonlySet<number>,
  ): Promise<Outcome> {
    const protocol = protocolOf(body, exchange.request.path)
    const { paths } = providers[instance.provider] as Provider
    if (protocol === null || (protocol !== 'passthrough' && paths[protocol] === undefined)) {
      const known = Object.keys(paths).join(', ')
      return failed(
        400,
        `provider ${instance.provider} does not support ${protocol} protocol (supported: ${known})`,
      )
    }
    const { origin, path } = targetOf(exchange, instance, protocol)
    const { timeout, max_response_bytes: most } = this.#asking
    try {
      this.#dispatcher ??= this.#connect()
      const dispatcher = await this.#dispatcher
      const answer = await dispatcher.request({
        origin,
        path,
        method: protocol === 'passthrough' ? (exchange.request.method as 'POST') : 'POST',
        headers: fieldsOf(exchange, instance),
        body: JSON.stringify(shaped(body, instance, protocol)),
        headersTimeout: timeout,
        bodyTimeout: timeout,
        reset: !this.#asking.keepalive,
      })
      // Whoever lets go of it early is not told again.
      answer.body.on('error', () => {})
      const type = String(answer.headers['content-type'] ?? 'application/json')
      const { statusCode: status } = answer
      if (status === 429 || status >= 500 || retryable.has(status)) {
        const text = await firstBytes(answer.body)
        return { status, verdict: { status, body: text, contentType: safeType(type) } }
      }
      if (most !== undefined && Number(answer.headers['content-length'] ?? 0) > most) {
        answer.body.destroy()
        return { status, verdict: { status: 502, body: 'max_response_bytes exceeded' } }
      }
      const relay = new Passed(status, safeType(type), answer.body, this.#asking, modelCall(exchange))
      return { status, verdict: { status, relay } }
    } catch (error) {
      const isLate = /Timeout/.test(String((error as Error).name))
      return { status: isLate ? 504 : 500, verdict: { status: isLate ? 504 : 500 } }
    }
  }

  async #connect(): Promise<Dispatcher> {
    const { Agent } = await import('undici')
    const { ssl_verify: verify, timeout, keepalive_timeout: idle } = this.#asking
    return new Agent({
      connect: { timeout, rejectUnauthorized: verify },
      keepAliveTimeout: idle,
      keepAliveMaxTimeout: idle,
      pipelining: 1,
      maxResponseSize: -1,
    })
  }
}

function failed(status: number, message: string): Outcome {
  return { status, verdict: { status, body: { error_msg: message } } }
}

function targetOf({ request }: Exchange, { provider, override, auth }: Instance, protocol: Protocol) {
  const { host, paths } = providers[provider] as Provider
  const own = protocol === 'passthrough' ? request.path : paths[protocol]!
  const given = override?.endpoint
  const url = new URL(given ?? `https://${host}${own}`)
  // An address that ends with its host leaves the path to the provider.
  if (given !== undefined && /^https?:\/\/[^/?]+$/.test(given)) url.pathname = own
  if (protocol === 'passthrough')
    for (const [name, value] of new URLSearchParams(request.query)) url.searchParams.set(name, value)
  for (const [name, value] of Object.entries(auth.query ?? {})) url.searchParams.set(name, value)
  return { origin: url.origin, path: `${url.pathname}${url.search}` }
}

/** The client's fields, with those of the gateway in place of them. */
function fieldsOf({ request }: Exchange, { auth }: Instance): Record<string, string> {
  const fields: Record<string, string> = {}
  request.headers.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (!notForwarded.has(lower) && !headerName(lower).isReserved) fields[lower] = value
  })
  for (const [name, value] of Object.entries(auth.header ?? {})) fields[name.toLowerCase()] = value
  fields['content-type'] = 'application/json'
  return fields
}

function shaped(body: Json, { options, override, provider }: Instance, protocol: Protocol): Json {
  const { most, dropsModel } = providers[provider] as Provider
  const sent: Json = { ...body }
  if (protocol === 'openai-chat' && sent.stream === true) sent.stream_options = { include_usage: true }
  Object.assign(sent, options)
  const tokens = override?.llm_options?.max_tokens
  if (tokens !== undefined) {
    if (protocol === 'openai-chat') {
      delete sent.max_tokens
      sent[most] = tokens
    } else if (protocol === 'anthropic-messages') sent.max_tokens = tokens
    else if (protocol === 'openai-responses') sent.max_output_tokens = tokens
  }
  if (dropsModel) delete sent.model
  return sent
}

/** A type that can stand in a field; a service that sends another gets none of its own. */
function safeType(type: string): string {
  return /^[\x20-\x7e]{1,200}$/.test(type) ? type : 'application/octet-stream'
}

async function firstBytes(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of body) {
    pieces.push(piece)
    size += piece.length
    if (size > largestError) break
  }
  return Buffer.concat(pieces).subarray(0, largestError).toString()
}

/** The answer on its way to the client; what it cost is read as it passes. */
class Passed implements Relay {
  readonly head: string
  readonly #body: AsyncIterable<Buffer> & { destroy(): void }
  readonly #pieces: AsyncIterator<Buffer>
  readonly #reader: UsageReader
  readonly #call: ModelCall | undefined
  readonly #asking: Asking
  readonly #begun = performance.now()
  #bytes = 0

  constructor(
    status: number,
    type: string,
    body: AsyncIterable<Buffer> & { destroy(): void },
    asking: Asking,
    call: ModelCall | undefined,
  ) {
    this.head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\nContent-Type: ${type}\r\n\r\n`
    this.#body = body
    this.#pieces = body[Symbol.asyncIterator]()
    this.#reader = new UsageReader(type)
    this.#asking = asking
    this.#call = call
  }

  async read(): Promise<Buffer | null> {
    const { max_response_bytes: most, max_stream_duration_ms: longest } = this.#asking
    const { value, done } = await this.#pieces.next()
    if (done) {
      this.#reader.end()
      this.#note()
      return null
    }
    this.#bytes += value.length
    if (most !== undefined && this.#bytes > most)
      throw new Error('the answer of a model is larger than max_response_bytes')
    if (longest !== undefined && performance.now() - this.#begun > longest)
      throw new Error('the answer of a model takes longer than max_stream_duration_ms')
    this.#reader.write(value)
    this.#note()
    return value
  }

  close(): void {
    this.#body.destroy()
  }

  #note(): void {
    if (this.#call !== undefined && this.#reader.usage !== undefined) this.#call.usage = this.#reader.usage
  }
}
