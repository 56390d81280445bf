import {
  compileSubstitution,
  definePolicy,
  type Exchange,
  headerName,
  openInApisix,
  type PolicyHost,
  type Substitution,
  Type,
} from '../kit/index.ts'
import { escapeControls, escapeUri } from './escape.ts'

const location = headerName('Location')

interface RedirectConfig {
  ret_code: number
  uri?: string
  regex_uri?: string[]
  http_to_https?: boolean
  encode_uri: boolean
  append_query_string: boolean
}

/** Somewhere else; configuration and behaviour of APISIX's `redirect`. */
export default definePolicy({
  name: 'redirect',
  summary: 'Sends callers to another URI, or from http to https.',
  details:
    '`uri` takes variables (`$uri`, `$arg_name`). `regex_uri` is matched against the path without its ' +
    'percent-encoding; where it does not match, the request goes on. `http_to_https` answers 301 to GET and HEAD and ' +
    '308 to other methods, and goes to `gateway.https_port`; `X-Forwarded-Proto` counts where the peer is trusted.\n\n' +
    'Unlike in APISIX, control characters in the new URI are always percent-encoded.',
  stage: 'transform',
  priority: 900,
  answers: () => true,
  config: Type.Object(
    {
      ret_code: Type.Integer({
        minimum: 200,
        maximum: 599,
        default: 302,
        description: 'Status of the answer.',
      }),
      uri: Type.Optional(Type.String({ minLength: 2, description: 'Where to; with variables.' })),
      regex_uri: Type.Optional(
        Type.Array(Type.String(), {
          minItems: 2,
          maxItems: 2,
          description: 'A regular expression for the path, and what takes the place of its first match.',
        }),
      ),
      http_to_https: Type.Optional(
        Type.Boolean({ description: 'The same URI with https, for requests that came with http.' }),
      ),
      encode_uri: Type.Boolean({ default: false, description: 'Percent-encode the new path.' }),
      append_query_string: Type.Boolean({
        default: false,
        description: 'Put the query of the request behind the new URI. Excludes `http_to_https`.',
      }),
    },
    {
      ...openInApisix,
      oneOf: [{ required: ['uri'] }, { required: ['regex_uri'] }, { required: ['http_to_https'] }],
    },
  ),
  validate({ regex_uri: pair, http_to_https: toHttps, append_query_string: append }) {
    if (pair !== undefined) {
      const compiled = compileSubstitution(pair[0]!, pair[1]!)
      if ('problem' in compiled) {
        return `invalid regex_uri (${pair[0]}, ${pair[1]}), err:the expression ${compiled.problem}`
      }
    }
    return toHttps && append
      ? 'only one of `http_to_https` and `append_query_string` can be configured.'
      : undefined
  },
  create(config, host) {
    const target = compileTarget(config, host)
    const { ret_code: status, encode_uri: encode, append_query_string: append } = config
    const answer = { status }
    const toHttps = config.http_to_https === true

    return {
      request(exchange) {
        const made = target(exchange)
        if (made === undefined) return undefined
        const mark = made.indexOf('?')
        let uri = made
        if (encode) uri = mark === -1 ? escapeUri(made) : escapeUri(made.slice(0, mark)) + made.slice(mark)
        const { query, method } = exchange.request
        if (append && query !== '') uri += `${mark === -1 ? '?' : '&'}${query}`
        exchange.answer.set(location, escapeControls(uri))
        if (!toHttps) return answer
        return method === 'GET' || method === 'HEAD' ? { status: 301 } : { status: 308 }
      },
    }
  },
})

/** Where an exchange is sent; undefined: it goes on. One character a byte. */
function compileTarget(
  { uri, regex_uri: pair, http_to_https: toHttps }: RedirectConfig,
  host: PolicyHost,
): (exchange: Exchange) => string | undefined {
  // A name ends where APISIX's does, before the point of `$uri.html`.
  if (uri !== undefined) return host.template(uri.replace(/(?<!\\)\$(\w+)/g, '$${$1}'))
  const path = host.variable('uri')
  if (pair !== undefined) {
    const substitution = compileSubstitution(pair[0]!, pair[1]!) as Substitution
    return (exchange) => {
      const current = path(exchange) ?? ''
      return substitution.find(current) === null ? undefined : substitution.apply(current, false)
    }
  }
  const tail = host.template('$request_uri')
  return (exchange) => {
    const { request, client } = exchange
    const scheme = request.headers.get('x-forwarded-proto') ?? client.scheme
    if (toHttps !== true || scheme === 'https') return undefined
    const port = host.httpsPort()
    const authority = port === 443 ? request.host : `${request.host}:${port}`
    return `https://${authority}${tail(exchange)}`
  }
}
