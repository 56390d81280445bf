/** Asks the services of providers, and passes on what they answer piece by piece. */
import { STATUS_CODES } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Exchange, Relay, Verdict } from '../../../proxy/exchange.ts'
import type { PolicyHost } from '../host.ts'
import { enterCall } from './active-calls.ts'
import { AnswerReader, isAwsStream, isEventStream } from './answer.ts'
import type { ModelCall } from './call.ts'
import { isJson, type Protocol, parsedJson } from './chat.ts'
import type { Conversion } from './conversion.ts'
import { EventStream } from './event-stream.ts'
import { googleToken } from './google-token.ts'
import { type ModelRequest, modelRequest } from './model-request.ts'
import { ConversionProblem } from './problem.ts'
import { reviewed } from './review.ts'
import type { Asking, Instance } from './settings.ts'

/** Bytes of the answer to a request that failed, and of one that has to be converted as a whole. */
const largestError = 64 * 1024
const largestConverted = 64 * 1024 * 1024

/** An answer, and whether another instance could be asked instead. */
export interface Outcome {
  readonly status: number
  readonly verdict: Verdict
}

export class ModelClient {
  readonly #asking: Asking
  readonly #host: Pick<PolicyHost, 'now' | 'log' | 'metrics'>
  readonly #token: ReturnType<typeof googleToken>
  readonly #wantsText: boolean
  #dispatcher: Promise<Dispatcher> | undefined

  /** @param wantsText whether what models say is to be remembered */
  constructor(asking: Asking, host: Pick<PolicyHost, 'now' | 'log' | 'metrics'>, wantsText: boolean) {
    this.#asking = asking
    this.#host = host
    this.#wantsText = wantsText
    this.#token = googleToken(asking.timeout, host.now)
  }

  /** What a policy asks of a client's call. */
  async ask(
    exchange: Exchange,
    call: ModelCall,
    instance: Instance,
    retryable: ReadonlySet<number>,
  ): Promise<Outcome> {
    let built: ModelRequest | { refusal: Verdict }
    try {
      const token = await this.#token(instance)
      const { method, path, query, headers } = exchange.request
      const client = { method, path, query, headers }
      built = modelRequest({ ...call, client }, instance, token, this.#host.now())
    } catch (error) {
      this.#host.log.error(
        { instance: instance.name, reason: (error as Error).message },
        'no model was asked',
      )
      return { status: 500, verdict: { status: 500 } }
    }
    if ('refusal' in built) return { status: built.refusal.status, verdict: built.refusal }
    call.sent = built.sent
    call.model = built.model
    call.firstAfter = -1
    call.endAfter = -1
    const { hostname, port, protocol } = built.url
    const attempt = { address: `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`, status: 0 }
    call.attempts.push(attempt)
    call.leave?.()
    // Who has gone in the meantime is observed already.
    call.leave =
      exchange.outcome === 'pending' ? enterCall(this.#host.metrics, exchange, call, instance.name) : null
    const begun = performance.now()
    const outcome = await this.#send(built, call, retryable, begun)
    attempt.status = outcome.status
    return outcome
  }

  async #send(
    built: ModelRequest,
    call: ModelCall,
    retryable: ReadonlySet<number>,
    begun: number,
  ): Promise<Outcome> {
    const { timeout } = this.#asking
    try {
      this.#dispatcher ??= this.#connect()
      const dispatcher = await this.#dispatcher
      const answer = await dispatcher.request({
        origin: built.url.origin,
        path: built.url.pathname + built.url.search,
        method: built.method as 'POST',
        headers: built.headers,
        body: built.body,
        headersTimeout: timeout,
        bodyTimeout: timeout,
        reset: !this.#asking.keepalive,
      })
      // Whoever lets go of it early is not told again.
      answer.body.on('error', () => {})
      const type = String(answer.headers['content-type'] ?? 'application/json')
      const { statusCode: status } = answer
      if (status === 429 || status >= 500 || retryable.has(status)) {
        const body = await firstBytes(answer.body)
        call.firstAfter = call.endAfter = performance.now() - begun
        return { status, verdict: { status, body, contentType: safeType(type) } }
      }
      const length = Number(answer.headers['content-length'] ?? 0)
      const outcome = await this.#pass(built, call, { status, type, length, body: answer.body, begun })
      if (call.reviewers.length === 0 || outcome.status >= 400) return outcome
      const verdict = await reviewed(outcome.verdict, call, isStreamed(type))
      return { status: verdict.status, verdict }
    } catch (error) {
      call.endAfter = performance.now() - begun
      const isLate = /Timeout/.test(String((error as Error).name))
      this.#host.log.warn(
        { service: built.url.host, reason: (error as Error).message },
        'a service of language models does not answer',
      )
      return { status: isLate ? 504 : 500, verdict: { status: isLate ? 504 : 500 } }
    }
  }

  async #pass(built: ModelRequest, call: ModelCall, answer: Answer): Promise<Outcome> {
    const { status, type, body } = answer
    const { conversion } = built
    const most = this.#asking.max_response_bytes
    const wantsText = this.#wantsText || call.reviewers.length > 0
    const reader = (protocol: Protocol) => new AnswerReader(protocol, type, wantsText)
    if (isStreamed(type)) {
      call.answer = reader(built.target as Protocol)
      const passed = new Passed(answer, this.#asking, call, conversion)
      const failure = conversion === null ? null : await passed.begin()
      if (failure === null) return { status, verdict: { status, relay: passed } }
      passed.close()
      return { status: failure.status, verdict: failure }
    }
    call.answer = reader(call.protocol)
    if (conversion === null && most === undefined)
      return { status, verdict: { status, relay: new Passed(answer, this.#asking, call, null) } }
    if (most !== undefined && answer.length > most) {
      body.destroy()
      return tooLarge
    }
    const whole = await wholeBody(body, most ?? largestConverted)
    if (whole === null) return tooLarge
    call.firstAfter = call.endAfter = performance.now() - answer.begun
    return { status, verdict: converted(whole, call, conversion, status, type) }
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

type Body = AsyncIterable<Buffer> & { destroy(): void }

interface Answer {
  readonly status: number
  readonly type: string
  /** As it says; 0: it does not. */
  readonly length: number
  readonly body: Body
  /** When it was asked for; `performance.now`. */
  readonly begun: number
}

const tooLarge: Outcome = { status: 502, verdict: { status: 502, body: 'max_response_bytes exceeded' } }

/** An answer that is there as a whole, in the format of the client. */
function converted(
  whole: Buffer,
  call: ModelCall,
  conversion: Conversion | null,
  status: number,
  type: string,
): Verdict {
  const value = parsedJson(whole.toString())
  const contentType = safeType(type)
  if (!isJson(value)) return { status, body: whole.toString(), contentType }
  let body = value
  try {
    if (conversion !== null) body = conversion.answer(value)
  } catch (error) {
    if (error instanceof ConversionProblem) return { status: 500, body: error.message }
    throw error
  }
  call.answer?.readBody(body)
  return { status, body: conversion === null ? whole.toString() : JSON.stringify(body), contentType }
}

function isStreamed(type: string): boolean {
  return isEventStream(type) || isAwsStream(type)
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

/** Null: it is larger than that, and was let go. */
async function wholeBody(body: Body, most: number): Promise<Buffer | null> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of body) {
    pieces.push(piece)
    size += piece.length
    if (size > most) {
      body.destroy()
      return null
    }
  }
  return Buffer.concat(pieces)
}

/** The answer on its way to the client; what it says and cost is read as it passes. */
class Passed implements Relay {
  readonly head: string
  readonly #answer: Answer
  readonly #pieces: AsyncIterator<Buffer>
  readonly #call: ModelCall
  readonly #asking: Asking
  readonly #conversion: Conversion | null
  readonly #events: EventStream | null
  /** What was read before anybody asked for it. */
  #first: Buffer | null = null
  #bytes = 0

  constructor(answer: Answer, asking: Asking, call: ModelCall, conversion: Conversion | null) {
    const { status, type, body } = answer
    this.head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\nContent-Type: ${safeType(type)}\r\n\r\n`
    this.#answer = answer
    this.#pieces = body[Symbol.asyncIterator]()
    this.#asking = asking
    this.#call = call
    this.#conversion = conversion
    this.#events = conversion === null ? null : new EventStream()
  }

  /** Waits for something to pass on. @returns the answer that takes its place when there is nothing; null: there is */
  async begin(): Promise<Verdict | null> {
    try {
      this.#first = await this.read()
    } catch (error) {
      if (!(error instanceof LimitReached)) throw error
      return { status: error.status, body: `${error.message} exceeded` }
    }
    if (this.#first !== null) return null
    const body =
      'streaming response completed without producing any output; the upstream likely returned a different stream ' +
      'format than the converter expects'
    return { status: 502, body }
  }

  async read(): Promise<Buffer | null> {
    if (this.#first !== null) {
      const first = this.#first
      this.#first = null
      return first
    }
    for (;;) {
      const { value, done } = await this.#pieces.next()
      if (done) {
        this.#call.answer?.end()
        return null
      }
      if (this.#call.firstAfter === -1) this.#call.firstAfter = this.#elapsed()
      this.#call.answer?.write(value)
      this.#hold(value)
      if (this.#events === null) return value
      let text = ''
      for (const event of this.#events.read(value)) text += this.#conversion?.event?.(event) ?? ''
      if (text !== '') return Buffer.from(text)
    }
  }

  close(): void {
    if (this.#call.endAfter === -1) this.#call.endAfter = this.#elapsed()
    this.#answer.body.destroy()
  }

  /** @throws LimitReached */
  #hold(piece: Buffer): void {
    const { max_response_bytes: most, max_stream_duration_ms: longest } = this.#asking
    this.#bytes += piece.length
    if (longest !== undefined && this.#elapsed() >= longest)
      throw new LimitReached('max_stream_duration_ms', 504)
    if (most !== undefined && this.#bytes > most) throw new LimitReached('max_response_bytes', 502)
  }

  #elapsed(): number {
    return performance.now() - this.#answer.begun
  }
}

/** Its message names the setting that ends the answer. */
class LimitReached extends Error {
  readonly status: number

  constructor(setting: string, status: number) {
    super(setting)
    this.status = status
  }
}
