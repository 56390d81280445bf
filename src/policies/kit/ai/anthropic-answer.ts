/** Answers of OpenAI's chat completions in the format of Anthropic's messages, whole or as a stream. */
import { isJson, type Json, listOf, parsedJson, textOf } from './chat.ts'
import { type ServerEvent, writtenEvent } from './event-stream.ts'
import { ConversionProblem } from './problem.ts'

export type AnthropicBlock = 'thinking' | 'text' | 'tool_use'

const reasons: Readonly<Record<string, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  content_filter: 'end_turn',
  tool_calls: 'tool_use',
  function_call: 'tool_use',
}

/** Tools that a stream may call; those beyond are left out. */
const mostTools = 1024

/** @throws ConversionProblem */
export function answerFrom(body: Json, model: string, names: ReadonlyMap<string, string>): Json {
  if (body.error) return { type: 'error', error: errorFrom(body.error) }
  const choice = listOf(body.choices)[0]
  if (!isJson(choice)) throw new ConversionProblem('no choices in response')
  const content: Json[] = []
  if (isJson(choice.message)) {
    const { message } = choice
    const thoughts = thoughtsOf(message)
    if (thoughts !== '') content.push({ type: 'thinking', thinking: thoughts, signature: '' })
    const text = textOf(message.content) ?? ''
    if (text !== '') content.push({ type: 'text', text })
    for (const call of listOf(message.tool_calls).filter(isJson)) {
      const used = isJson(call.function) ? call.function : {}
      const input = parsedJson(textOf(used.arguments) ?? '')
      const name = textOf(used.name) ?? ''
      content.push({
        type: 'tool_use',
        id: textOf(call.id) ?? '',
        name: names.get(name) ?? name,
        input: isJson(input) ? input : {},
      })
    }
  }
  if (content.length === 0) content.push({ type: 'text', text: '' })
  return {
    id: body.id,
    type: 'message',
    role: 'assistant',
    model: model || body.model,
    content,
    stop_reason: reasonOf(choice.finish_reason),
    usage: usageFrom(body.usage),
  }
}

function errorFrom(error: unknown): Json {
  if (!isJson(error)) return { type: 'api_error', message: textOf(error) ?? '' }
  return { type: error.type || error.code || 'api_error', message: textOf(error.message) ?? '' }
}

function thoughtsOf({ reasoning_content: content, reasoning }: Json): string {
  return textOf(content) || textOf(reasoning) || ''
}

function reasonOf(reason: unknown): string {
  return (typeof reason === 'string' && Object.hasOwn(reasons, reason) && reasons[reason]) || 'end_turn'
}

/** Anthropic does not count what came out of a cache among what went in. */
function usageFrom(said: unknown): Json {
  if (!isJson(said)) return { input_tokens: 0, output_tokens: 0 }
  const count = (value: unknown) => (typeof value === 'number' ? value : 0)
  const details = isJson(said.prompt_tokens_details) ? said.prompt_tokens_details : undefined
  const cached = count(details?.cached_tokens)
  return {
    input_tokens: Math.max(0, count(said.prompt_tokens) - cached),
    output_tokens: count(said.completion_tokens),
    ...(details !== undefined && { cache_read_input_tokens: cached }),
    ...(details?.cache_creation_input_tokens !== undefined && {
      cache_creation_input_tokens: count(details.cache_creation_input_tokens),
    }),
  }
}

/** A stream, event by event. */
export class AnswerEvents {
  readonly #names: ReadonlyMap<string, string>
  /** Waits for the answer to begin, for its blocks, for what it cost, or for nothing more. */
  #state: 'start' | 'blocks' | 'cost' | 'done' = 'start'
  #next = 0
  #open: { index: number; type: AnthropicBlock } | null = null
  readonly #tools = new Map<number, number>()
  /** The last event but one, until it is known what to say of the cost. */
  #delta: Json = {}
  #written = ''

  /** @param names of tools, as the service has them, with those of the client */
  constructor(names: ReadonlyMap<string, string>) {
    this.#names = names
  }

  take({ type, data }: ServerEvent): string {
    this.#written = ''
    if (type !== 'message' || this.#state === 'done') return ''
    if (data.trim() === '[DONE]') this.#end()
    else {
      const chunk = parsedJson(data)
      if (isJson(chunk)) this.#read(chunk)
    }
    return this.#written
  }

  #read(chunk: Json): void {
    if (this.#state === 'cost') {
      if (isJson(chunk.usage)) this.#delta.usage ??= usageFrom(chunk.usage)
      this.#end()
      return
    }
    if (this.#state === 'start') this.#begin(chunk)
    const choice = listOf(chunk.choices)[0]
    if (!isJson(choice)) return
    if (isJson(choice.delta)) this.#readDelta(choice.delta)
    const reason = textOf(choice.finish_reason)?.trim() ?? ''
    if (reason === '' || reason === 'null') return
    this.#close()
    this.#delta = {
      type: 'message_delta',
      delta: { stop_reason: reasonOf(reason) },
      ...(isJson(chunk.usage) && { usage: usageFrom(chunk.usage) }),
    }
    // Some services tell the cost in an event of its own behind this one.
    this.#state = 'cost'
  }

  #begin({ id, model }: Json): void {
    this.#state = 'blocks'
    const usage = { input_tokens: 0, output_tokens: 0 }
    const message = { id, type: 'message', role: 'assistant', model, content: [], usage }
    this.#write('message_start', { message })
  }

  #readDelta(delta: Json): void {
    const thoughts = thoughtsOf(delta)
    if (thoughts !== '') {
      const index = this.#block('thinking', { thinking: '' })
      this.#write('content_block_delta', { index, delta: { type: 'thinking_delta', thinking: thoughts } })
    }
    const text = textOf(delta.content) ?? ''
    if (text !== '') {
      const index = this.#block('text', { text: '' })
      this.#write('content_block_delta', { index, delta: { type: 'text_delta', text } })
    }
    for (const call of listOf(delta.tool_calls)) if (isJson(call)) this.#readCall(call)
  }

  #readCall({ index: own, id, function: used }: Json): void {
    if (typeof own !== 'number') return
    const { name, arguments: text } = isJson(used) ? used : {}
    let index = this.#tools.get(own)
    if (index === undefined) {
      if (this.#tools.size >= mostTools) return
      this.#close()
      const called = textOf(name) ?? ''
      index = this.#block('tool_use', {
        id: textOf(id) ?? '',
        name: this.#names.get(called) ?? called,
        input: {},
      })
      this.#tools.set(own, index)
    }
    if (typeof text === 'string' && text !== '')
      this.#write('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json: text } })
  }

  /** @returns the index of the block of that type that is open now */
  #block(type: AnthropicBlock, start: Json): number {
    if (this.#open?.type !== type) {
      this.#close()
      this.#open = { index: this.#next++, type }
      this.#write('content_block_start', { index: this.#open.index, content_block: { type, ...start } })
    }
    return this.#open.index
  }

  #close(): void {
    if (this.#open !== null) this.#write('content_block_stop', { index: this.#open.index })
    this.#open = null
  }

  #end(): void {
    if (this.#state === 'start') return
    if (this.#state === 'blocks') {
      this.#close()
      const usage = { input_tokens: 0, output_tokens: 0 }
      this.#delta = { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage }
    }
    this.#state = 'done'
    this.#write('message_delta', this.#delta)
    this.#write('message_stop', {})
  }

  #write(type: string, data: Json): void {
    this.#written += writtenEvent(type, { type, ...data })
  }
}
