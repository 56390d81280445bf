/** Formats that a provider does not take, put into one that it takes, and its answers back. */
import { AnthropicChat } from './anthropic-chat.ts'
import type { Json, Protocol } from './chat.ts'
import type { ServerEvent } from './event-stream.ts'
import { VertexPrediction } from './vertex-prediction.ts'

/** Formats that services take; one of them no client speaks. */
export type ServiceProtocol = Protocol | 'vertex-predict'

/** One request and its answer. */
export interface Conversion {
  /** @throws ConversionProblem */
  request(body: Json): Json
  /** Changes the fields that go with it, in place. */
  fields?(fields: Record<string, string>): void
  /** @throws ConversionProblem */
  answer(body: Json): Json
  /** What the client gets for an event of a stream; empty: nothing. */
  event?(event: ServerEvent): string
}

/** @param model that is asked; empty: the client's */
export function conversionOf(from: Protocol, to: ServiceProtocol, model: string): Conversion | null {
  if (from === 'anthropic-messages' && to === 'openai-chat') return new AnthropicChat(model)
  if (from === 'openai-embeddings' && to === 'vertex-predict') return new VertexPrediction(model)
  return null
}

/** The format that a request is sent in; undefined: the service has none that fits. */
export function targetOf(from: Protocol, taken: readonly ServiceProtocol[]): ServiceProtocol | undefined {
  if (from === 'passthrough' || taken.includes(from)) return from
  return taken.find((to) => conversionOf(from, to, '') !== null)
}
