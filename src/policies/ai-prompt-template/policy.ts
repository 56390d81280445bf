import { isJson, type Json, readJson, writeJson } from '../kit/ai/index.ts'
import { definePolicy, openInApisix, Type } from '../kit/index.ts'

const reference = /\{\{\s*([\w.]+)\s*\}\}/g

/** Configuration and answers of APISIX's `ai-prompt-template`. */
export default definePolicy({
  name: 'ai-prompt-template',
  summary: 'Fills templates of requests to language models with what clients send.',
  details:
    'A client names a template in `template_name`; `{{name}}` in its texts stands for what the client sends under that ' +
    'name, `{{a.b}}` for a member of it, and for nothing when it is not there. What is filled in stays text, whatever ' +
    'is in it: it cannot add messages. A template that is missing or unknown, and a body that is no JSON object, are ' +
    'answered with 400 and `{"message":"..."}`. Unlike APISIX it leaves `<`, `>` and `&` as they are.',
  stage: 'transform',
  priority: 1071,
  config: Type.Object(
    {
      templates: Type.Array(
        Type.Object(
          {
            name: Type.String({ minLength: 1, description: 'As clients name it.' }),
            template: Type.Object(
              {
                model: Type.Optional(Type.String({ minLength: 1, description: 'Model that is asked.' })),
                messages: Type.Optional(
                  Type.Array(
                    Type.Object(
                      {
                        role: Type.Enum(['system', 'user', 'assistant'], { description: 'Who says it.' }),
                        content: Type.String({ minLength: 1, description: 'What is said.' }),
                      },
                      openInApisix,
                    ),
                    { minItems: 1, description: 'The conversation.' },
                  ),
                ),
              },
              { additionalProperties: true, description: 'The request.' },
            ),
          },
          openInApisix,
        ),
        { minItems: 1, description: 'What clients can choose from.' },
      ),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a request body.',
      }),
    },
    openInApisix,
  ),
  create({ templates, max_req_body_size: limit }) {
    const byName = new Map(templates.toReversed().map(({ name, template }) => [name, template as Json]))
    const missing = { status: 400, body: { message: 'template name is missing in request.' } }
    return {
      async request(exchange) {
        const read = await readJson(exchange, limit)
        if ('refusal' in read) return read.refusal
        const { template_name: name } = read.body
        if (name === undefined || name === null) return missing
        const template = typeof name === 'string' ? byName.get(name) : undefined
        if (template === undefined)
          return { status: 400, body: { message: `template: ${String(name)} not configured.` } }
        writeJson(exchange, filled(template, read.body) as Json)
      },
    }
  },
})

function filled(value: unknown, values: Json): unknown {
  if (typeof value === 'string') return value.replace(reference, (_, path: string) => textAt(values, path))
  if (Array.isArray(value)) return value.map((item) => filled(item, values))
  if (!isJson(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, filled(item, values)]))
}

function textAt(values: Json, path: string): string {
  let found: unknown = values
  for (const name of path.split('.'))
    found = isJson(found) && Object.hasOwn(found, name) ? found[name] : undefined
  if (found === undefined || found === null) return ''
  return typeof found === 'object' ? JSON.stringify(found) : String(found)
}
