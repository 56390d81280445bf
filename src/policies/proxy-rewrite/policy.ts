import {
  compileSubstitution,
  definePolicy,
  type Exchange,
  fieldNamesFinding,
  openInApisix,
  operationsOf,
  type PolicyHost,
  type Substitution,
  Type,
} from '../kit/index.ts'
import { type Captures, compileHeaders, type HeaderOperations } from './headers.ts'
import { escapePath, escapeQuery } from './uri.ts'

const methods = [
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'MKCOL',
  'COPY',
  'MOVE',
  'PROPFIND',
  'LOCK',
  'UNLOCK',
  'PATCH',
  'TRACE',
] as const

const value = { oneOf: [{ type: 'string' }, { type: 'number' }] }
const values = {
  oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'array', minItems: 1, items: value }],
}
const byName = (items: object, description: string) => ({
  type: 'object',
  minProperties: 1,
  patternProperties: { '^[^:]+$': items },
  description,
})

/** The upstream's copy of a request; configuration and behaviour of APISIX's `proxy-rewrite`. */
export default definePolicy({
  name: 'proxy-rewrite',
  summary: 'Changes path, method, host and header fields of the request that the upstream gets.',
  details:
    'Texts take variables (`$arg_name`), with `??` and a default inside braces; header values also the groups of ' +
    '`regex_uri` (`$1`). `uri` comes before `regex_uri`, of whose pairs the first that matches is used; both ' +
    'see the path without its percent-encoding, and what they make is encoded again. The query stays, behind ' +
    'one that the new path brings.\n\nUnlike APISIX, a request whose path is not changed keeps the bytes of its ' +
    'target, and fields that frame the message (`Content-Length`, `Connection` and the like) cannot be set.',
  stage: 'transform',
  priority: 1008,
  config: Type.Object(
    {
      uri: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 4096,
          pattern: '^\\/.*',
          description: 'The new path, and query if it has one.',
        }),
      ),
      method: Type.Optional(Type.Enum(methods, { description: 'The new method.' })),
      regex_uri: Type.Optional(
        Type.Array(Type.String(), {
          minItems: 2,
          description: 'Pairs of a regular expression for the path and what takes the place of the match.',
        }),
      ),
      host: Type.Optional(
        Type.String({
          pattern: '^[0-9a-zA-Z-.]+(:\\d{1,5})?$',
          description: 'The new Host field, where the upstream would get the client’s.',
        }),
      ),
      headers: Type.Optional(
        Type.Unsafe<Record<string, unknown>>({
          description: 'Fields to `add`, `set` and `remove`; or a map of fields to set.',
          oneOf: [
            {
              type: 'object',
              minProperties: 1,
              additionalProperties: false,
              properties: {
                add: byName(values, 'Fields to add beside those that are there.'),
                set: byName(values, 'Fields to put in place of those that are there.'),
                remove: {
                  type: 'array',
                  minItems: 1,
                  items: { type: 'string', pattern: '^[^:]+$' },
                  description: 'Names of fields to remove.',
                },
              },
            },
            byName(value, 'Fields to set.'),
          ],
        }),
      ),
      use_real_request_uri_unsafe: Type.Boolean({
        default: false,
        description: 'Take the path as the client wrote it, not its canonical form. Unsafe.',
      }),
    },
    { ...openInApisix, minProperties: 1 },
  ),
  validate({ regex_uri: pairs = [], headers }) {
    if (pairs.length % 2 !== 0) return 'The length of regex_uri should be an even number'
    for (let i = 0; i < pairs.length; i += 2) {
      const compiled = compileSubstitution(pairs[i]!, pairs[i + 1]!)
      if ('problem' in compiled) {
        return `invalid regex_uri(${pairs[i]}, ${pairs[i + 1]}): the expression ${compiled.problem}`
      }
    }
    return headers && headersFinding(headers)
  },
  create(config, host) {
    const target = compileTarget(config, host)
    const headers = config.headers && compileHeaders(operationsOf<HeaderOperations>(config.headers), host)
    return {
      request(exchange) {
        const { request } = exchange
        if (config.host !== undefined) request.setHost(config.host)
        const captures = target?.(exchange) ?? null
        headers?.(exchange, captures)
        if (config.method !== undefined) request.setMethod(config.method)
      },
    }
  },
})

function headersFinding(headers: Readonly<Record<string, unknown>>): string | undefined {
  const { add = {}, set = {}, remove = [] } = operationsOf<HeaderOperations>(headers)
  const names = [...Object.keys(add), ...Object.keys(set), ...remove]
  const finding = fieldNamesFinding(names, 'headers', ['host'])
  if (finding !== undefined) return finding
  const values = [...Object.values(add), ...Object.values(set)].flat()
  return values.some((one) => /[^\x20-\x7e]/.test(String(one)))
    ? 'invalid value character in header'
    : undefined
}

interface TargetConfig {
  uri?: string
  regex_uri?: string[]
  use_real_request_uri_unsafe: boolean
}

/** Sets the new target of an exchange; gives back the groups of the expression that matched. */
function compileTarget(
  { uri, regex_uri: pairs, use_real_request_uri_unsafe: unsafe }: TargetConfig,
  host: PolicyHost,
): ((exchange: Exchange) => Captures) | undefined {
  if (uri !== undefined) {
    const text = host.template(uri, escapeValue)
    return (exchange) => {
      setTarget(exchange, text(exchange), true, unsafe)
      return null
    }
  }
  const substitutions: Substitution[] = []
  for (let i = 0; i < (pairs?.length ?? 0); i += 2) {
    const compiled = compileSubstitution(pairs![i]!, pairs![i + 1]!)
    if ('problem' in compiled) throw new Error(compiled.problem)
    substitutions.push(compiled)
  }
  if (substitutions.length === 0 && !unsafe) return undefined
  const decodedPath = host.variable('uri')
  return (exchange) => {
    const { request } = exchange
    const current = unsafe ? rawPath(request.target) : decodedPath(exchange)!
    for (const substitution of substitutions) {
      const captures = substitution.find(current)
      if (captures === null) continue
      // A question mark that the client encoded is part of the path; one that the replacement brings begins a query.
      setTarget(exchange, substitution.apply(current, false), !current.includes('?'), unsafe)
      return captures
    }
    if (unsafe) request.setPath(current)
    return null
  }
}

function setTarget({ request }: Exchange, made: string, mayHaveQuery: boolean, unsafe: boolean): void {
  const mark = mayHaveQuery ? made.indexOf('?') : -1
  const path = mark === -1 ? made : made.slice(0, mark)
  request.setPath(unsafe ? path : escapePath(path))
  if (mark === -1) return
  const brought = escapeQuery(made.slice(mark + 1))
  request.setQuery(request.query === '' ? brought : `${brought}&${request.query}`)
}

/** A value may not begin a query. */
function escapeValue(value: string): string {
  return value.replaceAll('?', '%3F')
}

function rawPath(target: string): string {
  const mark = target.indexOf('?')
  return mark === -1 ? target : target.slice(0, mark)
}
