import {
  definePolicy,
  type Exchange,
  headerName,
  InvalidHeaderError,
  openInApisix,
  Type,
  type Verdict,
} from '../kit/index.ts'
import { type Example, exampleOf, exampleProblem } from './example.ts'
import { toXml } from './xml.ts'

const types = ['application/xml', 'application/json', 'text/plain', 'text/html', 'text/xml']
const mockedBy = headerName('x-mock-by')

/** As many requests wait as may wait in a thread. */
const tooMany: Verdict = { status: 503 }

const mediaType = (contentType: string) => contentType.split(';', 1)[0]!.trim()

/** Answers without an upstream; configuration and behaviour of APISIX's `mocking`. */
export default definePolicy({
  name: 'mocking',
  summary: 'Answers in place of the upstream, with an example or with one made up from a JSON Schema.',
  details:
    'Where there is no `response_example`, each answer holds values made up for `response_schema`; `example` in it ' +
    'gives one. Example and field values take variables. It runs once the caller is known, so that authentication ' +
    'comes first.',
  stage: 'authorize',
  priority: 10_900,
  answers: () => true,
  config: Type.Object(
    {
      delay: Type.Integer({
        minimum: 0,
        maximum: 3600,
        default: 0,
        description: 'Seconds before the answer.',
      }),
      response_status: Type.Integer({
        minimum: 200,
        maximum: 599,
        default: 200,
        description: 'Status of the answer.',
      }),
      content_type: Type.String({
        default: 'application/json;charset=utf8',
        description: `Type of the answer: ${types.join(', ')}, with or without parameters.`,
      }),
      response_example: Type.Optional(Type.String({ description: 'The body; with variables.' })),
      response_schema: Type.Optional(
        Type.Unsafe<Example>({
          type: 'object',
          description: 'What a body looks like that is made up for each answer.',
        }),
      ),
      with_mock_header: Type.Boolean({
        default: true,
        description: 'Whether `x-mock-by: sluice` says that nobody else answered.',
      }),
      response_headers: Type.Optional(
        Type.Unsafe<Record<string, string | number>>({
          type: 'object',
          minProperties: 1,
          patternProperties: { '^[^:]+$': { oneOf: [{ type: 'string' }, { type: 'number' }] } },
          description: 'Fields of the answer; with variables.',
        }),
      ),
    },
    { ...openInApisix, anyOf: [{ required: ['response_example'] }, { required: ['response_schema'] }] },
  ),
  validate({ content_type: type, response_headers: headers = {}, response_schema: schema }) {
    if (!types.includes(mediaType(type)) || /[^\x20-\x7e]/.test(type)) return 'unsupported content type!'
    try {
      for (const name of Object.keys(headers)) {
        if (headerName(name).isReserved) return `response_headers: ${name} is the gateway’s own to write`
      }
    } catch (error) {
      if (error instanceof InvalidHeaderError) return error.message
      throw error
    }
    return schema && exampleProblem(schema)
  },
  create(config, host) {
    const { delay, response_status: status, content_type: contentType, response_schema: schema } = config
    const isXml = mediaType(contentType).endsWith('xml')
    const fixed = config.response_example === undefined ? undefined : host.template(config.response_example)
    const fields = Object.entries(config.response_headers ?? {}).map(
      ([name, value]) => [headerName(name), host.template(String(value))] as const,
    )

    function bodyFor(exchange: Exchange): string {
      if (fixed !== undefined) return Buffer.from(fixed(exchange), 'latin1').toString()
      const made = exampleOf({ ...schema, type: 'object' })
      return isXml ? toXml(made, 'data') : JSON.stringify(made)
    }

    function answer(exchange: Exchange): Verdict {
      if (config.with_mock_header) exchange.answer.set(mockedBy, 'sluice')
      for (const [name, value] of fields) exchange.answer.add(name, value(exchange))
      return { status, contentType, body: bodyFor(exchange) }
    }

    return {
      request(exchange) {
        if (delay === 0) return answer(exchange)
        return host.delays.wait(delay * 1000, exchange)?.then(() => answer(exchange)) ?? tooMany
      },
      ...(delay > 0 && { observe: (exchange) => host.delays.release(exchange) }),
    }
  },
})
