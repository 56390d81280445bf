import { contentTypeOf, definePolicy, type Exchange, openInApisix, Type, type Verdict } from '../kit/index.ts'
import { compileJsonSchema, type JsonSchema } from '../kit/json-schema.ts'
import { type Reading, readForm, readJson } from './body.ts'
import { headersFor, namesIn } from './headers.ts'

const anySchema = (description: string) =>
  Type.Optional(Type.Unsafe<Record<string, unknown>>({ type: 'object', description }))

/** Requests that have the form they should have; configuration and answers of APISIX's `request-validation`. */
export default definePolicy({
  name: 'request-validation',
  summary: 'Rejects requests whose fields or body do not fit a JSON Schema.',
  details:
    'Schemas may be of draft 4, 6, 7, 2019-09 or 2020-12, as `$schema` says; formats that are checked are `email`, ' +
    '`ipv4`, `ipv6`, `uuid`, `date`, `date-time` and `uri`. A body is a form where its type says so, else JSON. Without ' +
    '`rejected_msg` the answer says what is wrong. A request without a body does not fit any `body_schema`, and ' +
    'neither does one with two types.\n\nJSON goes on as it was read, so that of two equal names only the checked one ' +
    'reaches the upstream; numbers keep their digits. Unlike in APISIX, defaults of a schema are not filled in.',
  stage: 'transform',
  priority: 2800,
  config: Type.Object(
    {
      header_schema: anySchema(
        'What the fields have to fit: a map of texts, or of lists where one comes twice.',
      ),
      body_schema: anySchema('What the body has to fit.'),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a body that is read; a larger one is rejected.',
      }),
      rejected_code: Type.Integer({
        minimum: 200,
        maximum: 599,
        default: 400,
        description: 'Status of a rejection.',
      }),
      rejected_msg: Type.Optional(
        Type.String({ minLength: 1, maxLength: 256, description: 'Body of a rejection.' }),
      ),
    },
    { ...openInApisix, anyOf: [{ required: ['header_schema'] }, { required: ['body_schema'] }] },
  ),
  validate({ header_schema: headers, body_schema: body }) {
    for (const schema of [body, headers]) {
      const compiled = schema && compileJsonSchema(schema)
      if (compiled && 'problem' in compiled) return compiled.problem
    }
    return undefined
  },
  create(config, { log }) {
    const { max_req_body_size: limit, rejected_code: status, rejected_msg: message } = config
    const headerSchema = config.header_schema && (compileJsonSchema(config.header_schema) as JsonSchema)
    const bodySchema = config.body_schema && (compileJsonSchema(config.body_schema) as JsonSchema)
    const headerNames = namesIn(config.header_schema)

    function reject(reason: string | undefined): Verdict {
      log.debug({ reason }, 'request-validation rejected a request')
      const body = message ?? reason
      return body === undefined ? { status } : { status, body }
    }

    async function checkBody({ request }: Exchange, schema: JsonSchema): Promise<Verdict | undefined> {
      const type = contentTypeOf(request)
      const body = type === null ? null : await request.readBody(limit)
      if (body === null || body === '') return reject(undefined)
      const isForm = type?.startsWith('application/x-www-form-urlencoded') === true
      const read: Reading = isForm ? readForm(body) : readJson(body)
      if ('problem' in read) return reject(read.problem)
      const finding = schema.finding(read.value)
      if (finding !== undefined) return reject(finding)
      if (read.text !== undefined) request.setBody(read.text)
      return undefined
    }

    return {
      request(exchange) {
        const finding = headerSchema?.finding(headersFor(exchange.request.headers, headerNames))
        if (finding !== undefined) return reject(finding)
        return bodySchema && checkBody(exchange, bodySchema)
      },
    }
  },
})
