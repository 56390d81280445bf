import {
  type BodyFilter,
  compileSubstitution,
  conditionFinding,
  decodeContent,
  definePolicy,
  fieldNamesFinding,
  headerName,
  openInApisix,
  operationsOf,
  type Substitution,
  Type,
  wholeBody,
} from '../kit/index.ts'
import { compileHeaders, type HeaderOperations, splitLine } from './headers.ts'

const value = { oneOf: [{ type: 'string' }, { type: 'number' }] }
const set = { type: 'object', minProperties: 1, patternProperties: { '^[^:]+$': value } }

/** Fields about a body that is no longer the one that they were about. */
const ofTheBody = ['Content-Encoding', 'Last-Modified', 'ETag'].map((name) => headerName(name))

/** Status, fields and body of an answer; configuration and behaviour of APISIX's `response-rewrite`. */
export default definePolicy({
  name: 'response-rewrite',
  summary: 'Changes status, header fields and body of answers, also of the gateway’s own.',
  details:
    'Header values take variables. A body that is changed loses its `Content-Encoding`, `ETag` and ' +
    '`Last-Modified`; `filters` read bodies that were compressed with gzip or brotli. What is beyond ' +
    '`max_resp_body_size` is cut off, as in APISIX; a compressed body of more breaks off.\n\nUnlike in APISIX, fields ' +
    'that frame the message cannot be set.',
  stage: 'transform',
  priority: 899,
  config: Type.Object(
    {
      max_resp_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a body that `filters` hold in memory; the rest is cut off.',
      }),
      headers: Type.Optional(
        Type.Unsafe<Record<string, unknown>>({
          description: 'Fields to `add` (as lines), `set` and `remove`; or a map of fields to set.',
          anyOf: [
            set,
            {
              type: 'object',
              properties: {
                add: {
                  type: 'array',
                  minItems: 1,
                  items: { type: 'string', pattern: '^[^:]+:[^:]*[^/]$' },
                },
                set,
                remove: { type: 'array', minItems: 1, items: { type: 'string', pattern: '^[^:]+$' } },
              },
            },
          ],
        }),
      ),
      body: Type.Optional(Type.String({ description: 'The new body. Excludes `filters`.' })),
      body_base64: Type.Boolean({ default: false, description: '`body` is written in base64.' }),
      status_code: Type.Optional(
        Type.Integer({ minimum: 200, maximum: 598, description: 'The new status.' }),
      ),
      vars: Type.Optional(
        Type.Array(Type.Unsafe<unknown>({}), {
          description: 'Answers that are changed, by a condition on variables; absent: all.',
        }),
      ),
      filters: Type.Optional(
        Type.Array(
          Type.Object(
            {
              regex: Type.String({ minLength: 1, description: 'Regular expression.' }),
              scope: Type.Enum(['once', 'global'], {
                default: 'once',
                description: 'Whether the first match is replaced, or every one.',
              }),
              replace: Type.String({ description: 'What takes its place; `$1` is a group.' }),
              options: Type.String({
                default: 'jo',
                description: '`i`: letters of either case are equal. `j` and `o` have no effect.',
              }),
            },
            { additionalProperties: false },
          ),
          { minItems: 1, description: 'Texts of the body to replace, one filter after the other.' },
        ),
      ),
    },
    {
      ...openInApisix,
      dependencies: {
        body: { not: { required: ['filters'] } },
        filters: { not: { required: ['body'] } },
      },
    },
  ),
  validate(config) {
    const { headers, body, body_base64: encoded, vars, filters = [] } = config
    if (encoded && (body === undefined || body === '' || !isBase64(body))) return 'invalid base64 content'
    const condition = vars && conditionFinding(vars)
    if (condition !== undefined) return `failed to validate the 'vars' expression: ${condition}`
    for (const filter of filters) {
      const unknown = /[^ijosmxuaD]/.exec(filter.options)?.[0]
      if (unknown !== undefined)
        return `regex "${filter.regex}" validation failed: unknown flag "${unknown}" (flags "${filter.options}")`
      const compiled = compileFilter(filter)
      if ('problem' in compiled) {
        return `regex "${filter.regex}" validation failed: the expression ${compiled.problem}`
      }
    }
    return headers && headersFinding(headers)
  },
  create(config, host) {
    const matches = config.vars && host.condition(config.vars)
    const headers = config.headers && compileHeaders(operationsOf<HeaderOperations>(config.headers), host)
    const body =
      config.body === undefined ? undefined : Buffer.from(config.body, config.body_base64 ? 'base64' : 'utf8')
    const filters = config.filters?.map((filter) => {
      const compiled = compileFilter(filter)
      if ('problem' in compiled) throw new Error(compiled.problem)
      return { substitution: compiled, every: filter.scope === 'global' }
    })

    function filterFor(encoding: string | undefined): BodyFilter {
      return wholeBody(config.max_resp_body_size, async (whole, isCut) => {
        if (isCut && encoding !== undefined)
          throw new Error('a compressed body is larger than max_resp_body_size')
        if (isCut) host.log.warn({ limit: config.max_resp_body_size }, 'response-rewrite cut off a body')
        const plain = await decodeContent(whole, encoding, config.max_resp_body_size)
        if (plain === undefined) {
          host.log.warn({ encoding }, 'a body of this encoding cannot be read by response-rewrite')
          return whole
        }
        let text = plain.toString('latin1')
        for (const { substitution, every } of filters!) text = substitution.apply(text, every)
        return Buffer.from(text, 'latin1')
      })
    }

    return {
      respond(exchange) {
        if (matches && !matches(exchange)) return undefined
        const { response, answer } = exchange
        if (config.status_code !== undefined) response.setStatus(config.status_code)
        const encoding = response.headers.get('content-encoding')
        if (body || filters) for (const name of ofTheBody) answer.remove(name)
        headers?.(exchange)
        if (filters) return filterFor(encoding)
        return body && { write: () => undefined, end: () => body }
      },
    }
  },
})

function compileFilter({ regex, replace, options }: { regex: string; replace: string; options: string }) {
  const inline = /[smx]/.test(options) ? `(?${options.replace(/[^smx]/g, '')})` : ''
  return compileSubstitution(inline + regex, replace, options.includes('i')) as
    | Substitution
    | { problem: string }
}

function isBase64(text: string): boolean {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) && Buffer.from(text, 'base64').length > 0
}

function headersFinding(headers: Readonly<Record<string, unknown>>): string | undefined {
  const { add = [], set: replaced = {}, remove = [] } = operationsOf<HeaderOperations>(headers)
  const lines = add.map((line) => splitLine(line)?.[0])
  if (lines.includes(undefined)) return 'headers.add: every line is `Name: value`'
  for (const one of Object.values(replaced) as unknown[]) {
    if (typeof one !== 'string' && typeof one !== 'number') return 'invalid type as header value'
  }
  return fieldNamesFinding([...(lines as string[]), ...Object.keys(replaced), ...remove])
}
