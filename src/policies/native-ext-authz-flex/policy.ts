import { rejection } from '../kit/flex/rejection.ts'
import {
  type CallAnswer,
  CallError,
  definePolicy,
  type Exchange,
  type HeaderName,
  headerBlock,
  headerName,
  headerNameProblem,
  serviceUrlProblem,
  Type,
  type Verdict,
} from '../kit/index.ts'

const names = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { default: [], maxItems: 100, description })
const lists = [
  'serviceResponseUpstreamHeaders',
  'serviceResponseUpstreamHeadersToAppend',
  'serviceResponseClientHeaders',
  'serviceResponseClientHeadersOnSuccess',
] as const
const plain = /^[\x20-\x7e]*$/
/** Methods that HTTP calls safe or that every service knows; any other goes as POST, named in a field. */
const methods: ReadonlySet<string> = new Set(['GET', 'POST'])

/** Another service decides, over HTTP; configuration and behaviour of the Flex policy of that name. */
export default definePolicy({
  name: 'native-ext-authz-flex',
  summary: 'Asks another service whether a request may pass (external authorization over HTTP).',
  details:
    'The service gets the path and query of the request behind its own path and `pathPrefix`, with `GET` or, for methods that ' +
    'are not safe, `POST` without a body, the method in `X-Forwarded-Method`, and the fields `Authorization`, `Cookie`, ' +
    '`X-Forwarded-For`, those of `allowedHeaders` and of `serviceRequestHeadersToAdd`. With 200 the request passes; any other ' +
    'answer goes to the client with its status, its body and the fields of `serviceResponseClientHeaders`. Without an answer ' +
    'it is 403 with `{"error":"..."}`. Fields of the client with the names of `serviceResponseUpstreamHeaders` do not ' +
    'reach the upstream.\n\n`serverType: grpc` and `includePeerCertificate` are refused: they are not spoken here yet.',
  stage: 'authorize',
  priority: 2003,
  config: Type.Object(
    {
      uri: Type.String({ description: 'URL of the service.' }),
      serverType: Type.Enum(['http', 'grpc'], { default: 'http', description: 'What it speaks.' }),
      serverVersion: Type.Enum(['v3'], { default: 'v3', description: 'Has no effect over HTTP.' }),
      serverApiVersion: Type.Optional(Type.Enum(['v3'], { description: 'The same.' })),
      requestTimeout: Type.Integer({
        minimum: 1,
        maximum: 60_000,
        default: 5000,
        description: 'Milliseconds for an answer.',
      }),
      includePeerCertificate: Type.Boolean({ default: false, description: 'Only with `grpc`.' }),
      allowedHeaders: names('Fields of the client that it gets.'),
      serviceRequestHeadersToAdd: Type.Array(
        Type.Object(
          {
            key: Type.String({ minLength: 1, description: 'Name of the field.' }),
            value: Type.String({
              pattern: '^[\\x20-\\x7e]*$',
              description: 'Its value.',
              'x-form': 'printable ASCII',
            }),
          },
          { additionalProperties: false },
        ),
        { default: [], maxItems: 100, description: 'Further fields that it gets.' },
      ),
      serviceResponseUpstreamHeaders: names(
        'Fields of its answer that the upstream gets, in place of the client’s.',
      ),
      serviceResponseUpstreamHeadersToAppend: names('The same, beside the client’s.'),
      serviceResponseClientHeaders: names('Fields of its answer that the client gets with a rejection.'),
      serviceResponseClientHeadersOnSuccess: names('Fields that the client gets where the request passes.'),
      pathPrefix: Type.String({
        default: '',
        pattern: '^(/[!-~]*)?$',
        description: 'In front of the path that it gets.',
        'x-form': 'a path',
      }),
      ssl_verify: Type.Boolean({ default: true, description: 'Check the certificate of the service.' }),
    },
    { additionalProperties: false },
  ),
  validate(config) {
    const problem = serviceUrlProblem(config.uri)
    if (problem !== undefined) return `uri ${problem}`
    if (config.serverType === 'grpc')
      return 'serverType: gRPC is not spoken with such services yet; write http'
    if (config.includePeerCertificate) return 'includePeerCertificate: is for grpc, which is not spoken yet'
    for (const [field, all, isRead] of [
      ['allowedHeaders', config.allowedHeaders, true],
      ['serviceRequestHeadersToAdd', config.serviceRequestHeadersToAdd.map(({ key }) => key), false],
      ...lists.map((name) => [name, config[name], false] as const),
    ] as const) {
      for (const [index, name] of all.entries()) {
        const wrong = headerNameProblem(name, isRead)
        if (wrong !== undefined) return `${field}.${index}: ${wrong}`
      }
    }
    return undefined
  },
  create(config, host) {
    const calls = host.calls({ timeout: config.requestTimeout, verify: config.ssl_verify })
    const { origin, pathname } = new URL(config.uri)
    const base = `${origin}${pathname.replace(/\/$/, '')}${config.pathPrefix.replace(/\/$/, '')}`
    const sent = ['authorization', 'cookie', ...config.allowedHeaders.map((name) => name.toLowerCase())]
    const added = config.serviceRequestHeadersToAdd.map(
      ({ key, value }) => [key.toLowerCase(), value] as const,
    )
    const [replaced = [], appended = [], onRejection = [], onSuccess = []] = lists.map((name) =>
      config[name].map((one) => headerName(one)),
    )
    const failed = rejection(403, 'The authorization service gave no answer')

    return {
      async request(exchange) {
        let answer: CallAnswer
        try {
          answer = await calls.call(callFor(exchange))
        } catch (error) {
          if (!(error instanceof CallError)) throw error
          host.log.warn({ reason: error.message }, 'the service of native-ext-authz-flex gave no answer')
          return failed
        }
        if (answer.status !== 200) return relayed(answer)
        const { headers } = exchange.request
        for (const name of replaced) headers.remove(name)
        for (const name of [...replaced, ...appended]) each(answer, name, (value) => headers.add(name, value))
        for (const name of onSuccess) each(answer, name, (value) => exchange.answer.add(name, value))
        return undefined
      },
    }

    function callFor({ request, client }: Exchange) {
      const fields: Record<string, string> = {
        'x-forwarded-for': client.address,
        'x-forwarded-method': request.method,
        'x-forwarded-host': request.host,
      }
      for (const name of sent) {
        const value = request.headers.getAll(name)
        if (value !== undefined) fields[name] ??= value
      }
      for (const [name, value] of added) fields[name] = value
      const target = request.query === '' ? request.path : `${request.path}?${request.query}`
      const isSafe = request.method === 'HEAD' || request.method === 'OPTIONS' || request.method === 'GET'
      const method = methods.has(request.method)
        ? (request.method as 'GET' | 'POST')
        : isSafe
          ? 'GET'
          : 'POST'
      return { method, url: `${base}${target}`, headers: fields }
    }

    function relayed(answer: CallAnswer): Verdict {
      const fields: [HeaderName, string][] = []
      for (const name of onRejection) each(answer, name, (value) => fields.push([name, value]))
      const type = answer.headers['content-type']
      return {
        status: answer.status >= 200 && answer.status <= 599 ? answer.status : 403,
        body: answer.body.toString(),
        ...(typeof type === 'string' && plain.test(type) && { contentType: type }),
        ...(fields.length > 0 && { headers: headerBlock(fields.map(([name, value]) => [name.text, value])) }),
      }
    }
  },
})

function each({ headers }: CallAnswer, { lower }: HeaderName, visit: (value: string) => void): void {
  for (const value of [headers[lower] ?? []].flat()) visit(value)
}
