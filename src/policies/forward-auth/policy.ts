import {
  type CallAnswer,
  CallError,
  callFields,
  callOptions,
  definePolicy,
  type Exchange,
  headerBlock,
  headerName,
  headerNameProblem,
  openInApisix,
  serviceUrlProblem,
  Type,
  type Verdict,
} from '../kit/index.ts'

const names = (description: string) => Type.Array(Type.String(), { default: [], description })

/** Fields that say how a message is framed or where it goes, which are made anew for each. */
const ownFields = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'expect',
  'upgrade',
  'te',
  'trailer',
  'keep-alive',
  'proxy-connection',
])

/** Another service decides; configuration and answers of APISIX's `forward-auth`. */
export default definePolicy({
  name: 'forward-auth',
  summary: 'Asks another service whether a request may pass.',
  details:
    'The service gets `X-Forwarded-Proto`, `-Method`, `-Host`, `-Uri` and `-For`, the fields that `request_headers` and ' +
    '`extra_headers` name and, with the method POST, the body. An answer below 300 lets the request pass, with the ' +
    'fields of `upstream_headers`, which take the place of the client’s own. Any other answer goes to the client, with ' +
    'the fields of `client_headers`. When there is none, the client gets `status_on_error`, or passes where ' +
    '`allow_degradation` is on; then, unlike in APISIX, without its own fields of the names in `upstream_headers`.\n\nA ' +
    'connection is one of at most 64 of its binding; `keepalive_pool` has no effect. Answers are read up to 1 MiB.',
  stage: 'authorize',
  priority: 2002,
  config: Type.Object(
    {
      uri: Type.String({ description: 'URL of the service.' }),
      allow_degradation: Type.Boolean({
        default: false,
        description: 'Let requests pass when the service does not answer.',
      }),
      status_on_error: Type.Integer({
        minimum: 200,
        maximum: 599,
        default: 403,
        description: 'Status when the service does not answer.',
      }),
      request_method: Type.Enum(['GET', 'POST'], {
        default: 'GET',
        description: 'Method that it is asked with.',
      }),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Largest body, in bytes, that is sent to it with POST; a larger one is 413.',
      }),
      request_headers: names('Fields of the client that it gets.'),
      extra_headers: Type.Optional(
        Type.Unsafe<Record<string, string>>({
          type: 'object',
          minProperties: 1,
          patternProperties: { '^[^:]+$': { type: 'string' } },
          description: 'Further fields that it gets; values may hold variables.',
        }),
      ),
      upstream_headers: names('Fields of its answer that the upstream gets.'),
      client_headers: names('Fields of its answer that the client gets with a rejection.'),
      ...callFields(),
    },
    openInApisix,
  ),
  validate({
    uri,
    request_headers: sent,
    extra_headers: extra = {},
    upstream_headers: upstream,
    client_headers: client,
  }) {
    const problem = serviceUrlProblem(uri)
    if (problem !== undefined) return `uri ${problem}`
    for (const name of [...sent, ...Object.keys(extra)]) {
      const wrong = headerNameProblem(name, true)
      if (wrong !== undefined) return wrong
    }
    for (const name of [...upstream, ...client]) {
      const wrong = headerNameProblem(name)
      if (wrong !== undefined) return wrong
    }
    return undefined
  },
  create(config, host) {
    const service = host.calls(callOptions(config))
    const uri = host.variable('request_uri')
    const extra = Object.entries(config.extra_headers ?? {}).map(([name, value]) => ({
      name,
      fill: host.template(value),
    }))
    const passed = config.request_headers.filter((name) => !ownFields.has(name.toLowerCase()))
    const toUpstream = config.upstream_headers.map(headerName)
    const toClient = config.client_headers.map(headerName)
    const failed: Verdict = { status: config.status_on_error }
    const tooLarge: Verdict = { status: 413 }

    return { request: ask }

    async function ask(exchange: Exchange): Promise<Verdict | undefined> {
      const headers = fieldsFor(exchange)
      let body: Buffer | undefined
      if (config.request_method === 'POST') {
        const text = await exchange.request.readBody(config.max_req_body_size)
        if (text === null) return tooLarge
        body = Buffer.from(text, 'latin1')
      }
      let answer: CallAnswer
      try {
        answer = await service.call({
          method: config.request_method,
          url: config.uri,
          headers,
          ...(body && { body }),
        })
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        host.log.warn({ reason: error.message }, 'the service of forward-auth gave no answer')
        if (!config.allow_degradation) return failed
        for (const name of toUpstream) exchange.request.headers.remove(name)
        return undefined
      }
      if (answer.status >= 300) return rejection(answer)
      for (const name of toUpstream) {
        exchange.request.headers.remove(name)
        for (const value of valuesOf(answer, name.lower)) exchange.request.headers.add(name, value)
      }
      return undefined
    }

    function fieldsFor(exchange: Exchange): Record<string, string> {
      const { request, client } = exchange
      const headers: Record<string, string> = {
        'X-Forwarded-Proto': client.scheme,
        'X-Forwarded-Method': request.method,
        'X-Forwarded-Host': request.host,
        'X-Forwarded-Uri': uri(exchange) ?? '',
        'X-Forwarded-For': client.address,
      }
      const known = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
      const add = (name: string, value: string | undefined) => {
        if (value === undefined || known.has(name.toLowerCase())) return
        known.add(name.toLowerCase())
        headers[name] = value
      }
      if (config.request_method === 'POST')
        add('Content-Encoding', request.headers.getAll('content-encoding'))
      for (const { name, fill } of extra) {
        // What the operator writes wins over what is told of the client.
        const own = Object.keys(headers).find((other) => other.toLowerCase() === name.toLowerCase())
        if (own === undefined) add(name, fill(exchange))
        else headers[own] = fill(exchange)
      }
      for (const name of passed) add(name, request.headers.getAll(name.toLowerCase()))
      return headers
    }

    function rejection(answer: CallAnswer): Verdict {
      const fields = toClient.flatMap((name) =>
        valuesOf(answer, name.lower).map((value) => [name.text, value] as const),
      )
      return {
        status: answer.status,
        body: answer.body.toString(),
        ...(fields.length > 0 && { headers: headerBlock(fields) }),
      }
    }
  },
})

function valuesOf({ headers }: CallAnswer, name: string): readonly string[] {
  const value = headers[name]
  return value === undefined ? [] : Array.isArray(value) ? value : [value]
}
