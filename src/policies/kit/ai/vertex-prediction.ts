/** Embeddings in the format of OpenAI, asked of Vertex AI's `predict`. */

import { isJson, type Json, listOf } from './chat.ts'
import type { Conversion } from './conversion.ts'
import { ConversionProblem } from './problem.ts'

export class VertexPrediction implements Conversion {
  readonly #model: string

  constructor(model: string) {
    this.#model = model
  }

  request({ input }: Json): Json {
    const inputs = typeof input === 'string' ? [input] : input
    if (!Array.isArray(inputs)) throw new ConversionProblem('`input` must be string or array')
    const instances = inputs.map((one: unknown, index) => {
      if (Array.isArray(one)) return { content: one.join(' ') }
      if (typeof one !== 'string') throw new ConversionProblem(`unsupported input type at index ${index + 1}`)
      return { content: one }
    })
    return { instances }
  }

  answer({ predictions }: Json): Json {
    if (!Array.isArray(predictions)) throw new ConversionProblem('vertex response missing predictions')
    let tokens = 0
    const data = predictions.map((prediction: unknown, index) => {
      const found = isJson(prediction) ? prediction.embeddings : undefined
      if (!isJson(found) || !Array.isArray(found.values))
        throw new ConversionProblem(`invalid embedding at index ${index + 1}`)
      const { statistics } = found
      if (isJson(statistics) && typeof statistics.token_count === 'number') tokens += statistics.token_count
      return { object: 'embedding', index, embedding: listOf(found.values) }
    })
    return {
      object: 'list',
      data,
      model: this.#model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    }
  }
}
