/** What an answer of a language model cost, out of its body or its stream. */
import { isJson, type Json } from './chat.ts'

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
}

/** Bytes of an answer, or of one event of a stream, that are looked through. */
const longest = 4 * 1024 * 1024

/** Takes pieces of a body as they come. */
export class UsageReader {
  readonly #isStream: boolean
  #text = ''
  #skips = false
  readonly #decoder = new TextDecoder()
  usage: Usage | undefined

  constructor(contentType: string) {
    this.#isStream = contentType.startsWith('text/event-stream')
  }

  write(piece: Buffer): void {
    if (this.#skips) return
    this.#text += this.#decoder.decode(piece, { stream: true })
    if (this.#isStream) this.#lines()
    if (this.#text.length > longest) {
      this.#skips = true
      this.#text = ''
    }
  }

  end(): void {
    if (this.#skips) return
    if (this.#isStream) {
      this.#text += '\n'
      this.#lines()
    } else this.#read(this.#text)
    this.#text = ''
  }

  #lines(): void {
    let from = 0
    for (let end = this.#text.indexOf('\n'); end !== -1; end = this.#text.indexOf('\n', from)) {
      // Most events are about a few letters of text.
      const line = this.#text.slice(from, end)
      if (line.startsWith('data:') && line.includes('"usage"')) this.#read(line.slice(5))
      from = end + 1
    }
    this.#text = this.#text.slice(from)
  }

  #read(text: string): void {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return
    }
    if (!isJson(value)) return
    for (const holder of [value, value.message, value.response]) {
      if (isJson(holder) && isJson(holder.usage)) this.#add(holder.usage)
    }
  }

  /** Some streams say what went in at their beginning, and what came out at their end. */
  #add(said: Json): void {
    const prompt = count(said.prompt_tokens) || count(said.input_tokens) || (this.usage?.prompt_tokens ?? 0)
    const completion =
      count(said.completion_tokens) || count(said.output_tokens) || (this.usage?.completion_tokens ?? 0)
    this.usage = {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: Math.max(count(said.total_tokens), prompt + completion),
    }
  }
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.min(value, 2 ** 40) : 0
}
