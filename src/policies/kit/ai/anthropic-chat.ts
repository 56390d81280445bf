/** Messages in the format of Anthropic, asked of a service that speaks OpenAI's chat completions. */
import { AnswerEvents, type AnthropicBlock, answerFrom } from './anthropic-answer.ts'
import { chatFrom } from './anthropic-request.ts'
import type { Json } from './chat.ts'
import type { Conversion } from './conversion.ts'
import type { ServerEvent } from './event-stream.ts'

export type { AnthropicBlock }

export class AnthropicChat implements Conversion {
  readonly #model: string
  /** Names of tools that OpenAI does not take: those that took their place, and the client's own. */
  readonly #names = new Map<string, string>()
  readonly #events = new AnswerEvents(this.#names)

  constructor(model: string) {
    this.#model = model
  }

  request(body: Json): Json {
    return chatFrom(body, this.#names)
  }

  /** The client's key goes where OpenAI looks for it; what only Anthropic's own service reads is left out. */
  fields(fields: Record<string, string>): void {
    const key = fields['x-api-key']
    if (key !== undefined && key !== '') {
      fields.authorization ??= `Bearer ${key}`
      delete fields['x-api-key']
    }
    for (const name of Object.keys(fields))
      if (name.startsWith('anthropic-') || name.startsWith('x-stainless-')) delete fields[name]
  }

  answer(body: Json): Json {
    return answerFrom(body, this.#model, this.#names)
  }

  event(event: ServerEvent): string {
    return this.#events.take(event)
  }
}
