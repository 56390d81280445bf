/** What an answer of a language model says: its text, whether it calls tools, and what it cost. */
import { type AwsEvent, AwsEventStream } from './aws-event-stream.ts'
import { isJson, type Json, listOf, type Protocol, parsedJson, textOf } from './chat.ts'
import { EventStream, type ServerEvent } from './event-stream.ts'

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  cache_read_input_tokens: number
  cache_creation_input_tokens: number
  reasoning_tokens: number
}

/** Bytes of an answer that is no stream, and characters of text, that are looked at. */
const largestBody = 4 * 1024 * 1024
const longestText = 1024 * 1024

/** Takes pieces of an answer as they come. */
export class AnswerReader {
  readonly #protocol: Protocol
  readonly #wantsText: boolean
  readonly #events: EventStream | null
  readonly #frames: AwsEventStream | null
  #pieces: Buffer[] | null = []
  #size = 0
  #text: string[] = []
  #length = 0
  #taken = 0
  /** It said more than is remembered. */
  isCut = false
  usage: Usage | undefined
  /** The numbers that the answer has for it, as they are named there. */
  readonly counts: Record<string, number> = {}
  callsTools = false

  /** @param wantsText whether anybody wants to know what was said, not only what it cost */
  constructor(protocol: Protocol, contentType: string, wantsText: boolean) {
    this.#protocol = protocol
    this.#wantsText = wantsText
    this.#events = isEventStream(contentType) ? new EventStream() : null
    this.#frames = isAwsStream(contentType) ? new AwsEventStream() : null
  }

  get text(): string {
    return this.#text.join(this.#events === null && this.#frames === null ? ' ' : '')
  }

  /** What was said since this was asked last. */
  takeText(): string {
    const text = this.#text.slice(this.#taken).join('')
    this.#taken = this.#text.length
    return text
  }

  write(piece: Buffer): void {
    if (this.#events !== null) for (const event of this.#events.read(piece)) this.readEvent(event)
    else if (this.#frames !== null) for (const frame of this.#frames.read(piece)) this.#readFrame(frame)
    else if (this.#pieces !== null) {
      this.#size += piece.length
      if (this.#size > largestBody) this.#pieces = null
      else this.#pieces.push(piece)
    }
  }

  end(): void {
    if (this.#events !== null || this.#frames !== null || this.#pieces === null) return
    const body = parsedJson(Buffer.concat(this.#pieces).toString())
    this.#pieces = null
    if (isJson(body)) this.readBody(body)
  }

  /** The whole answer. */
  readBody(body: Json): void {
    if (this.#protocol === 'passthrough') return
    this.#count(body.usage)
    this.#say(textsOf(body, this.#protocol))
    if (hasToolCall(body, this.#protocol)) this.callsTools = true
  }

  /** One event of a stream. @returns what it holds, where that had to be read */
  readEvent({ type, data }: ServerEvent): void {
    if (this.#protocol === 'passthrough') return
    // Most events are about a few letters of text.
    const matters = this.#wantsText || /"usage"|tool|function_call/.test(data)
    const value = matters ? parsedJson(data) : undefined
    if (!isJson(value)) return
    const { delta, message, response, content_block: block } = value
    for (const holder of [value, message, response]) if (isJson(holder)) this.#count(holder.usage)
    const choices = listOf(value.choices).filter(isJson)
    for (const { delta: said } of choices) {
      if (!isJson(said)) continue
      this.#say([textOf(said.content)])
      if (listOf(said.tool_calls).length > 0) this.callsTools = true
    }
    if (isJson(delta) && delta.type === 'text_delta') this.#say([textOf(delta.text)])
    if (type === 'response.output_text.delta') this.#say([textOf(delta)])
    if (isJson(block) && block.type === 'tool_use') this.callsTools = true
    if (isJson(response) && hasToolCall(response, 'openai-responses')) this.callsTools = true
  }

  #readFrame({ headers, payload }: AwsEvent): void {
    const type = headers[':event-type']
    if (headers[':message-type'] !== 'event' || (type !== 'metadata' && type !== 'contentBlockDelta')) return
    const value = parsedJson(payload.toString())
    if (!isJson(value)) return
    if (type === 'metadata') this.#count(value.usage)
    else if (isJson(value.delta)) this.#say([textOf(value.delta.text)])
  }

  #say(texts: readonly (string | undefined)[]): void {
    if (!this.#wantsText) return
    for (const text of texts) {
      if (text === undefined || text === '') continue
      if (this.#length + text.length > longestText) this.isCut = true
      if (this.#length >= longestText) continue
      this.#text.push(text.slice(0, longestText - this.#length))
      this.#length += text.length
    }
  }

  /** Some streams say what went in at their beginning, and what came out at their end. */
  #count(said: unknown): void {
    if (!isJson(said)) return
    const before = this.usage
    const { counts } = this
    for (const [name, value] of Object.entries(said)) {
      if (typeof value === 'number' && (amount(value) > 0 || !Object.hasOwn(counts, name)))
        counts[name] = amount(value)
    }
    const input = isJson(said.prompt_tokens_details) ? said.prompt_tokens_details : said.input_tokens_details
    const output = isJson(said.completion_tokens_details)
      ? said.completion_tokens_details
      : said.output_tokens_details
    const of = (holder: unknown, name: string) => (isJson(holder) ? amount(holder[name]) : 0)
    const prompt = firstAmount(said.prompt_tokens, said.input_tokens, said.inputTokens, before?.prompt_tokens)
    const completion = firstAmount(
      said.completion_tokens,
      said.output_tokens,
      said.outputTokens,
      before?.completion_tokens,
    )
    const total = this.#protocol === 'anthropic-messages' ? 0 : (said.total_tokens ?? said.totalTokens)
    this.usage = {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens:
        before === undefined
          ? firstAmount(total, prompt + completion)
          : Math.max(firstAmount(total, before.total_tokens), prompt + completion),
      cache_read_input_tokens: firstAmount(
        of(input, 'cached_tokens'),
        said.prompt_cache_hit_tokens,
        said.cache_read_input_tokens,
        before?.cache_read_input_tokens,
      ),
      cache_creation_input_tokens: firstAmount(
        of(input, 'cache_creation_input_tokens'),
        said.cache_creation_input_tokens,
        before?.cache_creation_input_tokens,
      ),
      reasoning_tokens: firstAmount(of(output, 'reasoning_tokens'), before?.reasoning_tokens),
    }
  }
}

export function isEventStream(contentType: string): boolean {
  return contentType.includes('text/event-stream')
}

export function isAwsStream(contentType: string): boolean {
  return contentType.includes('application/vnd.amazon.eventstream')
}

/** What an answer says. */
export function textsOf(body: Json, protocol: Protocol): string[] {
  const found: unknown[] = []
  const parts = (list: unknown, type?: string) => {
    for (const part of listOf(list))
      if (isJson(part) && (type === undefined || part.type === type)) found.push(part.text)
  }
  if (protocol === 'openai-responses') {
    for (const item of listOf(body.output))
      if (isJson(item) && item.type === 'message') parts(item.content, 'output_text')
  } else if (protocol === 'anthropic-messages') parts(body.content, 'text')
  else if (protocol === 'bedrock-converse') {
    const { output } = body
    if (isJson(output) && isJson(output.message)) parts(output.message.content)
  } else {
    for (const choice of listOf(body.choices))
      if (isJson(choice) && isJson(choice.message)) found.push(choice.message.content)
  }
  return found.filter((text): text is string => typeof text === 'string')
}

function hasToolCall(body: Json, protocol: Protocol): boolean {
  if (protocol === 'openai-responses')
    return listOf(body.output).some((item) => isJson(item) && item.type === 'function_call')
  if (protocol === 'anthropic-messages')
    return listOf(body.content).some((block) => isJson(block) && block.type === 'tool_use')
  return listOf(body.choices).some(
    (choice) => isJson(choice) && isJson(choice.message) && listOf(choice.message.tool_calls).length > 0,
  )
}

/** What a service says may be anything: no number of tokens, one below zero, or one that no window could hold. */
function amount(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.min(value, 2 ** 40) : 0
}

function firstAmount(...values: unknown[]): number {
  for (const value of values) if (amount(value) > 0) return amount(value)
  return 0
}
