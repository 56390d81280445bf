import { addMessages, protocolOf, readJson, writeJson } from '../kit/ai/index.ts'
import { definePolicy, openInApisix, Type } from '../kit/index.ts'

const messages = (where: string) =>
  Type.Optional(
    Type.Array(
      Type.Object(
        {
          role: Type.Enum(['system', 'user', 'assistant'], { description: 'Who says it.' }),
          content: Type.String({ minLength: 1, description: 'What is said.' }),
        },
        openInApisix,
      ),
      { description: `Messages ${where} those of the client.` },
    ),
  )

/** Configuration and answers of APISIX's `ai-prompt-decorator`. */
export default definePolicy({
  name: 'ai-prompt-decorator',
  summary: 'Puts messages before and behind those that a client sends to a language model.',
  details:
    'A body that is missing or no JSON object is answered with 400, one that is too large with 413, and ' +
    '`{"message":"..."}`. In requests for `/v1/messages` and `/v1/responses`, messages of the role `system` go into ' +
    '`system` and `instructions`.',
  stage: 'transform',
  priority: 1070,
  config: Type.Object(
    {
      prepend: messages('before'),
      append: messages('behind'),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a request body.',
      }),
    },
    {
      'x-apisix': {
        additionalProperties: undefined,
        anyOf: [{ required: ['prepend'] }, { required: ['append'] }],
      },
    },
  ),
  validate({ prepend, append }) {
    return prepend === undefined && append === undefined
      ? "one of 'prepend' and 'append' is needed"
      : undefined
  },
  create({ prepend = [], append = [], max_req_body_size: limit }) {
    return {
      async request(exchange) {
        const read = await readJson(exchange, limit)
        if ('refusal' in read) return read.refusal
        const protocol = protocolOf(read.body, exchange.request.path) ?? 'openai-chat'
        addMessages(read.body, protocol, prepend, append)
        writeJson(exchange, read.body)
      },
    }
  },
})
