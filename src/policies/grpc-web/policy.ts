import {
  type BodyFilter,
  definePolicy,
  type Exchange,
  frame,
  headerName,
  openInApisix,
  Type,
  type Verdict,
} from '../kit/index.ts'

const contentType = headerName('Content-Type')
const allowOrigin = headerName('Access-Control-Allow-Origin')
const allowMethods = headerName('Access-Control-Allow-Methods')
const allowHeaders = headerName('Access-Control-Allow-Headers')
const exposeHeaders = headerName('Access-Control-Expose-Headers')

/** Content types of requests, and whether their bodies are in Base64. */
const isText: ReadonlyMap<string, boolean> = new Map([
  ['application/grpc-web', false],
  ['application/grpc-web-text', true],
  ['application/grpc-web+proto', false],
  ['application/grpc-web-text+proto', true],
])

const trailerFlag = 0x80
const noContent: Verdict = { status: 204 }
const methodNotAllowed: Verdict = { status: 405 }
const badRequest: Verdict = { status: 400 }

/** Calls of browsers, whose bodies hold what stands in trailer fields elsewhere; configuration and answers of APISIX's `grpc-web`. */
export default definePolicy({
  name: 'grpc-web',
  summary: 'Takes calls of gRPC-Web from browsers and passes them on as gRPC.',
  details:
    'Requests are POST with a Content-Type of `application/grpc-web` or `application/grpc-web-text`, both also with ' +
    '`+proto`; the text form is in Base64. Other methods are answered with 405, other types and bodies that are too large or no ' +
    'Base64 with 400, and OPTIONS with 204. Where the path of the route ends with `*`, what it stands for is the path ' +
    'that the upstream gets. Answers go on piece by piece, with the trailer fields of the upstream as last message.\n\n' +
    'Unlike in APISIX, all trailer fields of the upstream stand in that message and not only status and message, and ' +
    'parameters of the Content-Type are left aside.',
  stage: 'authorize',
  priority: 505,
  config: Type.Object(
    {
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a request’s body that is read; a larger one is answered with 400.',
      }),
      cors_allow_headers: Type.String({
        default: 'content-type,x-grpc-web,x-user-agent',
        description: 'What `Access-Control-Allow-Headers` says to OPTIONS, with commas between names.',
      }),
    },
    openInApisix,
  ),
  create({ max_req_body_size: limit, cors_allow_headers: allowedHeaders }, host) {
    /** Requests that are calls, with the type that they came with. */
    const calls = new WeakMap<Exchange, { readonly type: string; readonly isText: boolean }>()

    function refuse(verdict: Verdict, message: string): Verdict {
      host.log.error({}, message)
      return verdict
    }

    async function request(exchange: Exchange): Promise<Verdict | undefined> {
      const { request: incoming } = exchange
      if (incoming.method === 'OPTIONS') return noContent
      if (incoming.method !== 'POST') return refuse(methodNotAllowed, 'the method of a request is not POST')
      const given = incoming.headers.get('content-type')
      const [type = ''] = (given ?? '').toLowerCase().split(/\s*;/, 1)
      const text = isText.get(type)
      if (text === undefined)
        return refuse(badRequest, 'the Content-Type of a request is not that of gRPC-Web')
      const body = await incoming.readBody(limit)
      if (body === null) return refuse(badRequest, 'the body of a request is too large')
      const decoded = text ? fromBase64(body) : body
      if (decoded === undefined) return refuse(badRequest, 'the body of a request is no Base64')
      const path = restOfPath(exchange)
      if (path !== undefined) incoming.setPath(path)
      incoming.headers.set(contentType, 'application/grpc')
      incoming.setBody(decoded)
      calls.set(exchange, { type: given!, isText: text })
      return undefined
    }

    function respond(exchange: Exchange): BodyFilter | undefined {
      const { answer, response } = exchange
      if (exchange.request.method === 'OPTIONS') {
        answer.set(allowMethods, 'POST')
        answer.set(allowHeaders, allowedHeaders)
      }
      if (response.sent('access-control-allow-origin') === undefined) answer.set(allowOrigin, '*')
      answer.set(exposeHeaders, 'grpc-message,grpc-status')
      const call = calls.get(exchange)
      if (call === undefined || !response.fromUpstream) return undefined
      answer.set(contentType, call.type)
      const encode = call.isText ? base64 : same
      // Without a message, everything is said in the head.
      const isSaid = response.headers.has('grpc-status')
      return {
        write: encode,
        end: () => (isSaid ? undefined : encode(frame(trailerFlag, trailerText(response)))),
      }
    }

    return { request, respond }
  },
})

/** What the `*` at the end of the route's path stands for; undefined: it has none, or that is nothing. */
function restOfPath({ request, binding }: Exchange): string | undefined {
  const pattern = binding?.matchedUri ?? ''
  if (!pattern.endsWith('*')) return undefined
  const start = pattern.length - 1
  const rest = request.path.slice(start)
  if (rest === '' || !request.path.startsWith(pattern.slice(0, start))) return undefined
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Pieces may have been encoded one by one, with padding in the middle. Undefined: it is none. */
function fromBase64(text: string): string | undefined {
  const groups = text.replace(/[\r\n]/g, '')
  if (!/^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*$/.test(groups)) return undefined
  let decoded = ''
  for (const part of groups.match(/[^=]+=*/g) ?? []) decoded += Buffer.from(part, 'base64').toString('latin1')
  return decoded
}

const same = (piece: Buffer) => piece

const base64 = (piece: Buffer) => Buffer.from(piece.toString('base64'))

/** Names in lower case, as browsers expect them. */
function trailerText(response: Exchange['response']): Buffer {
  const status = response.trailer('grpc-status')
  let text =
    status === undefined
      ? 'grpc-status:2\r\ngrpc-message:upstream grpc status not received\r\n'
      : `grpc-status:${status}\r\ngrpc-message:${response.trailer('grpc-message') ?? ''}\r\n`
  response.forEachTrailer((name, value) => {
    const lower = name.toLowerCase()
    if (lower !== 'grpc-status' && lower !== 'grpc-message') text += `${lower}:${value}\r\n`
  })
  return Buffer.from(text, 'latin1')
}
