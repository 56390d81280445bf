/** Streams of events that say at their end how bad they were. */
import { isJson, type Protocol, parsedJson } from './chat.ts'
import { EventStream, type ServerEvent } from './event-stream.ts'
import type { StreamReview } from './review.ts'

interface Kinds {
  isData(event: ServerEvent): boolean
  isDone(event: ServerEvent): boolean
}

const kinds: { readonly [name in Protocol]?: Kinds } = {
  'openai-chat': {
    isData: ({ type, data }) => type === 'message' && data !== '[DONE]',
    isDone: ({ data }) => data === '[DONE]',
  },
  'openai-responses': {
    isData: ({ type }) => type === 'response.completed',
    isDone: ({ type }) => type === 'response.completed',
  },
  'anthropic-messages': {
    isData: ({ type }) => type === 'content_block_delta' || type === 'message_delta',
    isDone: ({ type }) => type === 'message_stop',
  },
}

/** The last event with data waits until it is known whether it is the last. */
export class MarkedStream implements StreamReview {
  readonly isOver = false
  readonly #kinds: Kinds | undefined
  readonly #levelOf: () => Promise<string | undefined>
  readonly #events = new EventStream()
  #held: ServerEvent[] = []
  #isJudged = false
  #level: string | undefined

  /** @param levelOf judges what the stream has said; undefined: nobody knows, and nothing is marked */
  constructor(protocol: Protocol, levelOf: () => Promise<string | undefined>) {
    this.#kinds = kinds[protocol]
    this.#levelOf = levelOf
  }

  async write(piece: Buffer): Promise<Buffer | null> {
    if (this.#kinds === undefined) return piece
    let text = ''
    for (const event of this.#events.read(piece)) text += await this.#pass(event, this.#kinds)
    return text === '' ? null : Buffer.from(text)
  }

  async end(): Promise<Buffer | null> {
    await this.#judge()
    return Buffer.from(this.#released())
  }

  async #pass(event: ServerEvent, { isData, isDone }: Kinds): Promise<string> {
    if (isDone(event)) {
      await this.#judge()
      return this.#released() + written(isData(event) ? this.#marked(event) : event)
    }
    if (isData(event)) {
      const before = this.#released()
      this.#held.push(event)
      return before
    }
    if (this.#held.length === 0) return written(event)
    this.#held.push(event)
    return ''
  }

  async #judge(): Promise<void> {
    if (this.#isJudged) return
    this.#isJudged = true
    this.#level = await this.#levelOf()
  }

  #released(): string {
    const [first, ...others] = this.#held
    this.#held = []
    return first === undefined ? '' : written(this.#marked(first)) + others.map(written).join('')
  }

  #marked(event: ServerEvent): ServerEvent {
    const data = this.#level === undefined ? undefined : parsedJson(event.data)
    return isJson(data) ? { ...event, data: JSON.stringify({ ...data, risk_level: this.#level }) } : event
  }
}

function written({ type, data }: ServerEvent): string {
  const lines = data.split('\n').map((line) => `data: ${line}\n`)
  return `${type === 'message' ? '' : `event: ${type}\n`}${lines.join('')}\n`
}
