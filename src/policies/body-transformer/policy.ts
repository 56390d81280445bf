import {
  decodeContent,
  definePolicy,
  type Exchange,
  headerName,
  openInApisix,
  Type,
  type Verdict,
  wholeBody,
} from '../kit/index.ts'
import { decodeBody, type Format, formatOf } from './decoders.ts'
import { TemplateError } from './lexer.ts'
import { compileTemplate, type Scene, type Template } from './parser.ts'
import type { Value } from './values.ts'

/** Fields about a body that is no longer the one that they were about. */
const ofTheBody = ['Content-Encoding', 'Last-Modified', 'ETag'].map((name) => headerName(name))

const transformation = (what: string) =>
  Type.Optional(
    Type.Object(
      {
        input_format: Type.Optional(
          Type.Enum(['xml', 'json', 'encoded', 'args', 'plain', 'multipart'], {
            description: 'How the body is read; absent: as its Content-Type says.',
          }),
        ),
        template: Type.String({ description: 'What the new body is made of.' }),
        template_is_base64: Type.Optional(
          Type.Boolean({ description: 'Whether the template is written in base64.' }),
        ),
      },
      { ...openInApisix, description: `The body of ${what}.` },
    ),
  )

interface Transformation {
  readonly input_format?: Format
  readonly template: string
  readonly template_is_base64?: boolean
}

/** Bodies that are made from templates; configuration and answers of APISIX's `body-transformer`. */
export default definePolicy({
  name: 'body-transformer',
  summary: 'Makes new bodies of requests and answers from templates.',
  details:
    'Templates have the marks of lua-resty-template: `{{x}}` writes a value and escapes HTML, `{*x*}` writes it as it ' +
    'is, `{% %}` holds statements, `{# #}` remarks; a backslash before a mark takes its meaning away. Members of the ' +
    'body stand under their names, `_body` is its text, `_ctx.var.NAME` a variable, `_ctx.consumer` the caller; ' +
    '`_escape_json` and `_escape_xml` escape texts.\n\n' +
    'Lua is not run: templates are compiled when the configuration is read, and know paths, `and`, `or`, `not`, ' +
    'comparisons, arithmetic, `..`, `#`, `local`, assignment to locals and to members, `if`, `for` over numbers, `pairs` and ' +
    '`ipairs`, and `break`; `tonumber`, `tostring`, `type`, the functions of `string` on patterns that are written ' +
    'out, `table.concat`, `math.floor`, `math.ceil`, `math.abs`, `ngx.encode_base64` and `ngx.decode_base64`; from ' +
    '`require`, `cjson`, `apisix.core` (`json`), `tinyyaml` and `lyaml`; of a body in parts, `_multipart:set_simple`, ' +
    '`:delete` and `:tostring`. Anything else is a finding that says where it stands.\n\n' +
    'A template is read as base64 when `template_is_base64` says so, and, as in APISIX, also when it is base64 and the ' +
    'format is none of forms or parameters. Of a GET the query is read in place of the body. A request that cannot be ' +
    'read is answered with 400, one that is too large with 413, and a template that fails with 503, with a `message`.\n\n' +
    'Unlike in APISIX, an answer that cannot be transformed breaks off, so that what the template would have left out ' +
    'does not get through; XML has to be well-formed and without a document type; compressed answers are read. Whole ' +
    'numbers keep all their digits.',
  stage: 'transform',
  priority: 1080,
  config: Type.Object(
    {
      request: transformation('requests'),
      response: transformation('answers'),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a request’s body that is read; a larger one is answered with 413.',
      }),
      max_resp_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of an answer’s body that is read; the rest is cut off.',
      }),
    },
    {
      ...openInApisix,
      anyOf: [{ required: ['request'] }, { required: ['response'] }, { required: ['request', 'response'] }],
    },
  ),
  validate({ request, response }) {
    for (const [where, transformed] of Object.entries({ request, response })) {
      const problem = transformed && templateProblem(transformed)
      if (problem !== undefined) return `${where}.template ${problem}`
    }
    return undefined
  },
  create(config, host) {
    const request = config.request && transformer(config.request)
    const response = config.response && transformer(config.response)
    const variables = new Map(
      [request, response].flatMap((each) =>
        [...(each?.asked ?? [])]
          .filter((path) => path.startsWith('var.'))
          .map((path) => [path, host.variable(path.slice(4))] as const),
      ),
    )

    function lookUp(exchange: Exchange, path: string): Value {
      switch (path) {
        case 'consumer':
          return consumerOf(exchange)
        case 'consumer_name':
          return exchange.consumer?.username
        case 'route_id':
          return exchange.binding?.routeId
        case 'service_id':
          return exchange.binding?.serviceId
        default:
          return variables.get(path)?.(exchange)
      }
    }

    const sceneOf = (exchange: Exchange) => (path: string) => lookUp(exchange, path)

    async function transformRequest(exchange: Exchange): Promise<Verdict | undefined> {
      const { request: incoming } = exchange
      const body = await incoming.readBody(config.max_req_body_size)
      if (body === null) return { status: 413 }
      const type = incoming.headers.get('content-type')
      const isGet = incoming.method === 'GET'
      const format = isGet ? 'args' : (request!.format ?? formatOf(type))
      const source: Source = { body: body === '' ? undefined : body, query: incoming.query, type, isGet }
      const made = request!.transform(format, source, sceneOf(exchange))
      if ('problem' in made) {
        const message = `request ${made.problem}`
        host.log.error({ reason: message }, 'a request could not be transformed')
        return { status: made.status, body: { message } }
      }
      incoming.setBody(made.text)
      return undefined
    }

    return {
      ...(request && { request: transformRequest }),
      ...(response && {
        respond(exchange: Exchange) {
          const type = exchange.response.sent('content-type')
          const encoding = exchange.response.headers.get('content-encoding')
          const { query } = exchange.request
          const format = response.format ?? formatOf(type)
          for (const name of ofTheBody) exchange.answer.remove(name)
          return wholeBody(config.max_resp_body_size, async (whole) => {
            const plain = await decodeContent(whole, encoding, config.max_resp_body_size)
            if (plain === undefined) throw new Error('an answer of this encoding cannot be transformed')
            const source: Source = { body: plain.toString('latin1'), query, type, isGet: false }
            const made = response.transform(format, source, sceneOf(exchange))
            if ('text' in made) return Buffer.from(made.text, 'latin1')
            throw new Error(`response ${made.problem}`)
          })
        },
      }),
    }
  },
})

/** What a template is filled in from. */
interface Source {
  readonly body: string | undefined
  readonly query: string
  readonly type: string | undefined
  readonly isGet: boolean
}

type Made = { readonly text: string } | { readonly status: number; readonly problem: string }

function transformer({
  input_format: format,
  template,
  template_is_base64: isBase64 = false,
}: Transformation) {
  const decoded = decodedTemplate(template, isBase64)
  const coded = decoded === undefined ? undefined : compileTemplate(decoded)
  const plain = decoded !== undefined && isBase64 ? undefined : compileTemplate(bytesOf(template))

  /** As APISIX chooses between the two readings. */
  function templateFor(actual: Format | undefined): Template {
    const isCoded = isBase64 || (actual !== undefined && actual !== 'encoded' && actual !== 'args')
    return (isCoded ? coded : undefined) ?? plain ?? coded!
  }

  return {
    format,
    asked: new Set([...(coded?.asked ?? []), ...(plain?.asked ?? [])]),
    transform(actual: Format | undefined, source: Source, lookUp: Scene['lookUp']): Made {
      const { body, query, type = '', isGet } = source
      try {
        const decodes = actual !== undefined && (body !== undefined || isGet)
        const read = decodes ? decodeBody(actual, body ?? '', query, type) : { context: {} }
        if ('problem' in read) return { status: 400, problem: `body decode: ${read.problem}` }
        const { context, multipart } = read
        return { text: templateFor(actual).render({ context, body, multipart, lookUp }) }
      } catch (error) {
        // Beside what templates do wrong: a body that is nested more deeply than the stack is.
        return { status: 503, problem: `template rendering: ${(error as Error).message}` }
      }
    },
  }
}

function templateProblem({
  template,
  template_is_base64: isBase64 = false,
}: Transformation): string | undefined {
  const decoded = decodedTemplate(template, isBase64)
  const text = decoded ?? bytesOf(template)
  try {
    compileTemplate(text)
    return undefined
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    const before = text.slice(0, error.at).split('\n')
    const column = before.at(-1)!.length + 1
    return `cannot be used: line ${before.length}, character ${column}: ${error.message}`
  }
}

/** One character a byte; undefined: it is no base64, or, where nothing says that it is, no text. */
function decodedTemplate(template: string, isBase64: boolean): string | undefined {
  const bare = template.replace(/={0,2}$/, '')
  if (bare === '' || /[^A-Za-z0-9+/]/.test(bare) || bare.length % 4 === 1) return undefined
  const bytes = Buffer.from(template, 'base64')
  if (!isBase64 && bytes.toString().includes('\ufffd')) return undefined
  return bytes.toString('latin1')
}

const bytesOf = (text: string) => Buffer.from(text).toString('latin1')

function consumerOf({ consumer }: Exchange): Value {
  if (consumer === null) return undefined
  const { username, customId, spec } = consumer
  const labels = Object.fromEntries(
    Object.entries(spec.labels ?? {}).map(([name, value]) => [name, bytesOf(String(value))]),
  )
  return {
    username,
    consumer_name: username,
    ...(customId !== undefined && { custom_id: customId }),
    ...(spec.group_id !== undefined && { group_id: String(spec.group_id) }),
    labels,
  }
}
