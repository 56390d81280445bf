import {
  compileJsonPlaces,
  definePolicy,
  type Exchange,
  headerName,
  headerNameProblem,
  openInApisix,
  Type,
} from '../kit/index.ts'
import { type Change, compileChange } from './change.ts'
import { type JsonRule, maskJson } from './json.ts'
import { maskPairs, type PairRule } from './pairs.ts'

const always = (field: string, value: string, required: string[]) => ({
  if: { properties: { [field]: { const: value } } },
  // biome-ignore lint/suspicious/noThenProperty: the word of JSON Schema
  then: { required },
})

/** Keeps what is secret in requests out of logs; configuration and behaviour of APISIX's `data-mask`. */
export default definePolicy({
  name: 'data-mask',
  summary: 'Removes or changes parts of requests before anything is logged about them.',
  details:
    'The upstream gets the request as it is; policies that write about it afterwards are told what is left of the query, ' +
    'the fields and the body, also through variables such as `$request_line` and `$http_token`. Replacements refer to ' +
    'groups with `$1`.\n\nUnlike in APISIX, a body that is larger than `max_body_size` or cannot be read as ' +
    '`body_format` is not logged at all where a rule is about the body, and neither are the parameters of a form beyond ' +
    '`max_req_post_args`. A parameter or field that comes twice is changed both times.',
  stage: 'transform',
  priority: 1500,
  config: Type.Object(
    {
      request: Type.Optional(
        Type.Array(
          Type.Object(
            {
              type: Type.Enum(['query', 'header', 'body'], { description: 'Where it stands.' }),
              body_format: Type.Optional(
                Type.Enum(['json', 'urlencoded'], { description: 'How a body is read.' }),
              ),
              name: Type.String({
                description: 'Parameter or field; in a body of JSON a path such as `$.users[*].token`.',
              }),
              action: Type.Enum(['regex', 'replace', 'remove'], { description: 'What happens to it.' }),
              regex: Type.Optional(
                Type.String({ description: 'What the action `regex` changes: the first match.' }),
              ),
              value: Type.Optional(Type.String({ description: 'What takes its place.' })),
            },
            {
              ...openInApisix,
              allOf: [
                always('type', 'body', ['body_format']),
                always('action', 'regex', ['regex', 'value']),
                always('action', 'replace', ['value']),
              ],
            },
          ),
          { description: 'What is masked, one rule after the other.' },
        ),
      ),
      max_body_size: Type.Integer({
        exclusiveMinimum: 0,
        default: 1_048_576,
        description: 'Bytes of a body that is masked; a larger one is not logged.',
      }),
      max_req_post_args: Type.Integer({
        minimum: 0,
        default: 100,
        description: 'Parameters of a form that are read; 0: all.',
      }),
    },
    openInApisix,
  ),
  validate({ request = [] }) {
    for (const rule of request) {
      const change = compileChange(rule)
      if ('problem' in change) return `the expression ${rule.regex} ${change.problem}`
      if (rule.type === 'body' && rule.body_format === 'json' && !compileJsonPlaces(rule.name))
        return `${rule.name} is no path into JSON`
      if (rule.type !== 'header') continue
      const problem = headerNameProblem(rule.name)
      if (problem !== undefined) return problem
      if (/[\0-\x08\x0a-\x1f\x7f]/.test(rule.value ?? '')) return `${rule.name}: its value is none of a field`
    }
    return undefined
  },
  create({ request = [], max_body_size: limit, max_req_post_args: mostPairs }, host) {
    const rules = request.map((rule) => ({ ...rule, change: compileChange(rule) as Change }))
    const pairRules = (wanted: typeof rules): PairRule[] =>
      wanted.map(({ name, change }) => ({ name: Buffer.from(name).toString('latin1'), change }))
    const ofBody = (format: string) =>
      rules.filter(({ type, body_format }) => type === 'body' && body_format === format)
    const queryRules = pairRules(rules.filter(({ type }) => type === 'query'))
    const fieldRules = rules
      .filter(({ type }) => type === 'header')
      .map(({ name, change }) => ({ name: headerName(name), change }))
    const formRules = pairRules(ofBody('urlencoded'))
    const jsonRules: JsonRule[] = ofBody('json').map(({ name, change, action }) => ({
      places: compileJsonPlaces(name)!,
      change,
      takesAny: action !== 'regex',
    }))
    const readsBody = formRules.length > 0 || jsonRules.length > 0
    if (readsBody) host.holdBody(limit)

    function maskFields({ request: { headers } }: Exchange): void {
      for (const { name, change } of fieldRules) {
        const values: string[] = []
        headers.forEach((written, value) => {
          if (written.toLowerCase() === name.lower) values.push(value)
        })
        if (values.length === 0) continue
        headers.remove(name)
        for (const value of values) {
          const changed = change(value)
          if (changed !== null) headers.add(name, changed)
        }
      }
    }

    function maskedBody({ request }: Exchange): string | null {
      if (!readsBody || request.contentLength === 0) return null
      const body = request.heldBody(limit)
      if (body === null) return ''
      const type = request.headers.get('content-type')?.toLowerCase() ?? ''
      return jsonRules.length > 0 && (formRules.length === 0 || type.includes('json'))
        ? (maskJson(body, jsonRules) ?? '')
        : maskPairs(body, formRules, mostPairs || Number.POSITIVE_INFINITY)
    }

    return {
      observe(exchange) {
        maskFields(exchange)
        const { query } = exchange.request
        const masked =
          queryRules.length > 0 && query !== ''
            ? maskPairs(query, queryRules, Number.POSITIVE_INFINITY)
            : null
        exchange.request.conceal(masked, maskedBody(exchange))
      },
    }
  },
})
