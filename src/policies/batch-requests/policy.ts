import {
  definePolicy,
  type Exchange,
  openInApisix,
  type PolicyHost,
  type SubrequestAnswer,
  type SubrequestFailure,
  Type,
  type Verdict,
} from '../kit/index.ts'
import { type Batch, readBatch } from './batch.ts'

/** Bytes of all bodies that one batch collects. */
const largestAnswers = 16 * 1024 * 1024

/** What stands for a request of a batch that has no answer. */
const failures: Readonly<Record<SubrequestFailure, object>> = {
  timeout: { status: 504, reason: 'upstream timeout' },
  too_large: { status: 502, reason: 'response too large' },
  closed: { status: 502, reason: 'no response' },
}

const refusal = (status: number, text: string): Verdict => ({ status, body: { error_msg: text } })
const notFound: Verdict = { status: 404 }
const nested = refusal(400, 'a batch must not contain another one')
const noBody = refusal(400, 'no request body, you should give at least one pipeline setting')

const metadata = Type.Object({
  max_body_size: Type.Integer({
    exclusiveMinimum: 0,
    default: 1_048_576,
    description: 'Bytes of a batch.',
  }),
  max_pipeline_items: Type.Integer({
    exclusiveMinimum: 0,
    default: 1000,
    description: 'Requests of a batch.',
  }),
})

/** Several requests in one; metadata and answers of APISIX's `batch-requests`. */
export default definePolicy({
  name: 'batch-requests',
  summary: 'Takes several requests in one and answers with all of their answers.',
  details:
    'The endpoint is `POST /apisix/batch-requests` (`gateway.batch_requests.path`) on a route with ' +
    '[public-api](#public-api); bound to a route itself, the policy does nothing. The body has `pipeline`, a list of ' +
    'requests with `path` and optionally `method`, `query`, `headers`, `body` and `version`; `query` and `headers` ' +
    'beside it hold for all of them, `timeout` (milliseconds, 30000) for each. Fields of the batch itself go with each ' +
    'request too, unless it has its own: all but `Content-*` and `Accept-Encoding`. The answer is a list with `status`, ' +
    '`reason`, `headers` and `body` in the order of the requests, bodies as UTF-8 text.\n\n' +
    'Each request is one of the client that sent the batch: it is routed, authenticated, limited and logged like any ' +
    'other, and has the address, TLS session and certificate of that client, whatever its fields say. They are sent ' +
    'one after another, until the client leaves. After one without an answer (504 when it took too long, 502 where ' +
    'bodies exceed 16 MiB in all) the others are not sent and get the same entry.\n\n' +
    'Where it differs from APISIX: a batch in a batch is answered with 400, and so is one with a field or a path that ' +
    'cannot be sent, of which then nothing is sent; `timeout` ends at five minutes; `ssl_verify` has no meaning.',
  stage: 'transform',
  priority: 4010,
  config: Type.Object({}, openInApisix),
  metadata,
  create: () => ({}),
  async publicApi(exchange, host) {
    const { request, client } = exchange
    if (request.method !== 'POST') return notFound
    if (client.isSubrequest) return nested
    const { max_body_size: largest = 1_048_576, max_pipeline_items: most = 1000 } = host.metadata ?? {}
    const text = request.contentLength > largest ? null : await request.readBody(largest)
    if (text === null) {
      const size = Math.max(request.contentLength, request.bodyBytes)
      return refusal(413, `request size ${size} is greater than the maximum size ${largest} allowed`)
    }
    if (text === '') return noBody
    const batch = readBatch(text, most, exchange)
    if (typeof batch === 'string') return refusal(400, batch)
    return {
      status: 200,
      contentType: 'application/json',
      body: JSON.stringify(await sendAll(batch, exchange, host)),
    }
  },
})

async function sendAll(
  { requests, timeout }: Batch,
  exchange: Exchange,
  host: Pick<PolicyHost, 'subrequest'>,
): Promise<object[]> {
  const entries: object[] = []
  let left = largestAnswers
  for (const request of requests) {
    const answer = await host.subrequest(exchange, { ...request, timeout, largestBody: left })
    if (typeof answer === 'string') {
      while (entries.length < requests.length) entries.push(failures[answer])
      break
    }
    left -= answer.body.length
    entries.push(entryOf(answer, request.method))
  }
  return entries
}

function entryOf({ status, reason, fields, body, isComplete }: SubrequestAnswer, method: string): object {
  const headers: Record<string, string | string[]> = Object.create(null)
  for (const [name, value] of fields) {
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  if (!isComplete) return { status, reason, headers, read_body_err: 'closed' }
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304
  return { status, reason, headers, ...(hasBody && { body: body.toString() }) }
}
