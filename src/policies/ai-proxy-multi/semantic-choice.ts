/** The instance whose examples are nearest in meaning to what the client says. */
import { type Embeddings, similarity, vectorsOf } from '../kit/ai/embedding.ts'
import { type ModelCall, messagesOf } from '../kit/ai/index.ts'
import type { CallClient, Exchange, PolicyHost } from '../kit/index.ts'

export interface SemanticInstance {
  readonly name: string
  readonly examples?: readonly string[]
  readonly threshold?: number
}

export interface SemanticOptions {
  readonly embeddings: Embeddings
  readonly threshold: number
  readonly fallback?: string
  readonly debugging: boolean
}

/** Bytes of what is compared: services of embeddings take some thousand tokens. */
const longestText = 16 * 1024

export class SemanticChoice {
  readonly #instances: readonly SemanticInstance[]
  readonly #options: SemanticOptions
  readonly #calls: CallClient
  readonly #host: Pick<PolicyHost, 'now' | 'log'>
  /** Of all examples, by instance; undefined: they are still to be asked for. */
  #examples: Promise<Float64Array[][]> | undefined

  constructor(
    instances: readonly SemanticInstance[],
    options: SemanticOptions,
    calls: CallClient,
    host: Pick<PolicyHost, 'now' | 'log'>,
  ) {
    this.#instances = instances
    this.#options = options
    this.#calls = calls
    this.#host = host
  }

  /** Always gives one: where nothing can be compared or nothing is near, the one that stands in. */
  async choose(exchange: Exchange, call: ModelCall): Promise<string> {
    const { fallback = this.#instances[0]!.name, debugging, threshold } = this.#options
    const said = messagesOf(call.body, call.protocol).findLast(
      ({ role, content }) => role === 'user' && content !== '',
    )
    if (said === undefined) return fallback
    let scores: { name: string; score: number; threshold: number }[]
    try {
      scores = await this.#scores(start(said.content), threshold)
    } catch (error) {
      this.#host.log.warn({ reason: (error as Error).message }, 'the meaning of a request is not known')
      return fallback
    }
    scores.sort((a, b) => b.score - a.score)
    const chosen = scores.find(({ score, threshold }) => score >= threshold)?.name
    if (debugging) {
      const list = scores.map(({ name, score }) => `${fieldText(name)}:${score.toFixed(4)}`).join(',')
      exchange.answer.set('X-AI-Semantic-Scores', list)
      exchange.answer.set('X-AI-Semantic-Picked-Instance', fieldText(chosen ?? 'fallback'))
    }
    return chosen ?? fallback
  }

  async #scores(text: string, threshold: number) {
    this.#examples ??= this.#ask().catch((error: unknown) => {
      // Asked for again with the next request.
      this.#examples = undefined
      throw error
    })
    const examples = await this.#examples
    const [vector] = await vectorsOf([text], this.#options.embeddings, this.#calls, this.#host)
    return this.#instances.map((instance, at) => {
      const score = Math.max(...examples[at]!.map((example) => similarity(vector!, example)))
      if (Number.isNaN(score))
        throw new Error('vectors of requests and of examples differ in their dimensions')
      return { name: instance.name, score, threshold: instance.threshold ?? threshold }
    })
  }

  async #ask(): Promise<Float64Array[][]> {
    const texts = this.#instances.flatMap(({ examples = [] }) => examples)
    const vectors = await vectorsOf(texts, this.#options.embeddings, this.#calls, this.#host)
    let at = 0
    return this.#instances.map(({ examples = [] }) => {
      at += examples.length
      return vectors.slice(at - examples.length, at)
    })
  }
}

/** Its first bytes, as far as they are whole characters. */
function start(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= longestText) return text
  return new TextDecoder().decode(bytes.subarray(0, longestText), { stream: true })
}

function fieldText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
