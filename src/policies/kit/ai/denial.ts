/** Answers in place of those of language models, in the format that the client waits for. */
import { randomUUID } from 'node:crypto'
import type { Verdict } from '../../../proxy/exchange.ts'
import type { ModelCall } from './call.ts'
import type { Json } from './chat.ts'
import { writtenEvent } from './event-stream.ts'

/** As if the model had said `text`, so that clients can read it. */
export function denied(call: ModelCall, status: number, text: string): Verdict {
  const contentType = call.isStream ? 'text/event-stream' : 'application/json'
  return { status, body: denial(call, text), contentType }
}

/** The same as a body; of a stream where the client asked for one. */
export function denial(call: ModelCall, text: string): string {
  const { protocol, isStream } = call
  const model = typeof call.body.model === 'string' ? { model: call.body.model } : {}
  const counts = call.answer?.counts ?? {}
  const usage = (names: readonly string[]): Json =>
    Object.keys(counts).length > 0 ? { ...counts } : Object.fromEntries(names.map((name) => [name, 0]))
  switch (protocol) {
    case 'anthropic-messages':
      return anthropic(text, model, usage(['input_tokens', 'output_tokens']), isStream)
    case 'openai-responses':
      return responses(text, model, usage(['input_tokens', 'output_tokens', 'total_tokens']), isStream)
    case 'bedrock-converse':
      return JSON.stringify({
        output: { message: { role: 'assistant', content: [{ text }] } },
        stopReason: 'end_turn',
        usage: usage(['inputTokens', 'outputTokens', 'totalTokens']),
      })
    case 'openai-embeddings':
      return JSON.stringify({ error: { message: text, type: 'content_policy_violation' } })
    case 'passthrough':
      return text
    default:
      return chat(text, model, usage(['prompt_tokens', 'completion_tokens', 'total_tokens']), isStream)
  }
}

function chat(text: string, model: Json, usage: Json, isStream: boolean): string {
  const said = isStream ? { delta: { content: text } } : { message: { role: 'assistant', content: text } }
  const body = JSON.stringify({
    id: randomUUID(),
    object: isStream ? 'chat.completion.chunk' : 'chat.completion',
    ...model,
    choices: [{ index: 0, ...said, finish_reason: 'stop' }],
    usage,
  })
  return isStream ? `data: ${body}\n\ndata: [DONE]\n\n` : body
}

function responses(text: string, model: Json, usage: Json, isStream: boolean): string {
  const response = {
    id: randomUUID(),
    object: 'response',
    status: 'completed',
    ...model,
    output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text }] }],
    usage,
  }
  if (!isStream) return JSON.stringify(response)
  const events = [
    { type: 'response.output_text.delta', delta: text },
    { type: 'response.completed', response },
  ]
  return events.map((event) => writtenEvent(event.type, event)).join('')
}

function anthropic(text: string, model: Json, usage: Json, isStream: boolean): string {
  const message = { id: randomUUID(), type: 'message', role: 'assistant', ...model }
  if (!isStream)
    return JSON.stringify({ ...message, content: [{ type: 'text', text }], stop_reason: 'end_turn', usage })
  const events = [
    { type: 'message_start', message: { ...message, content: [], usage } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage },
    { type: 'message_stop' },
  ]
  return events.map((event) => writtenEvent(event.type, event)).join('')
}
