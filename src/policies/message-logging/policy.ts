import { type BindingInfo, type Consumer, definePolicy, type Exchange, Type } from '../kit/index.ts'
import { jsonString, textOfBytes, timestamp } from '../kit/logging/index.ts'
import { variableFinding } from './variables.ts'

/** Names that every line has; `fields` may not take their place. */
const ownFields = [
  '@timestamp',
  'http.request.id',
  'client.address',
  'http.request.method',
  'url.domain',
  'url.path',
  'http.version',
  'http.response.status_code',
  'event.duration',
  'http.request.body.bytes',
  'http.response.body.bytes',
  'sluice.outcome',
  'sluice.route',
  'sluice.service',
  'sluice.consumer',
  'sluice.rejected_by',
  'error.code',
  'upstream.address',
  'upstream.status_code',
  'upstream.attempts',
  'upstream.duration',
]

/** One JSON line for each exchange, with names of the Elastic Common Schema where it has them. */
export default definePolicy({
  name: 'message-logging',
  summary: 'Writes one JSON line about each exchange to standard output or a file.',
  details:
    'Fields have the names of the Elastic Common Schema where it has one; durations are nanoseconds, as ' +
    'it asks for. `sluice.outcome` is `complete`, `client_abort` or `upstream_abort`; `error.code` is ' +
    'the code of an error that the gateway answered itself.\n\nQuery strings and credentials are never ' +
    'logged: a template in `fields` that names `$http_authorization`, `$http_cookie`, `$args`, ' +
    '`$request_uri` and the like is refused when the configuration is checked. Lines are written in ' +
    'batches off the path of requests; what a sink cannot take is dropped and counted.',
  stage: 'transform',
  // In the gap among APISIX's loggers; nothing depends on it, since lines are written after everything else.
  priority: 404,
  config: Type.Object(
    {
      sink: Type.Union(
        [
          Type.Object({ type: Type.Literal('stdout') }, { additionalProperties: false }),
          Type.Object(
            { type: Type.Literal('file'), path: Type.String({ minLength: 1 }) },
            { additionalProperties: false },
          ),
        ],
        {
          default: { type: 'stdout' },
          description: 'Where lines go: `{ type: stdout }` or `{ type: file, path: ... }`.',
        },
      ),
      fields: Type.Optional(
        Type.Record(Type.String({ minLength: 1 }), Type.String(), {
          description:
            'Further fields by name: texts with variables, such as `$http_user_agent`. Credentials are refused.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  validate({ fields = {} }) {
    for (const [name, template] of Object.entries(fields)) {
      if (ownFields.includes(name)) return `fields: every line has '${name}' already`
      const finding = variableFinding(template)
      if (finding !== undefined) return `fields.${name}: ${finding}`
    }
    return undefined
  },
  create({ sink, fields = {} }, host) {
    const lines = host.lines(sink)
    const further = Object.entries(fields).map(([name, template]) => ({
      prefix: `,${jsonString(name)}:`,
      value: host.template(template),
    }))

    return {
      observe(exchange) {
        let line = lineOf(exchange)
        for (const { prefix, value } of further) line += prefix + jsonString(textOfBytes(value(exchange)))
        lines.write(`${line}}`)
      },
    }
  },
})

/**
 * Without the closing brace. Names are constants, numbers need no care, and an address or a method that the engine let pass
 * has nothing in it that JSON would escape: all other texts go through `jsonString`.
 */
function lineOf(exchange: Exchange): string {
  const { request, response, timings, binding, consumer, upstream, errorCode, rejectedBy } = exchange
  let line = `{"@timestamp":"${timestamp(timings.startedAt)}","http.request.id":"${exchange.id}","client.address":"${
    exchange.client.address
  }","http.request.method":"${request.method}","url.domain":${jsonString(request.host)},"url.path":${jsonString(
    request.path,
  )},"http.version":"${request.version}","http.response.status_code":${response.status},"event.duration":${nanoseconds(
    timings.end - timings.start,
  )},"http.request.body.bytes":${request.bodyBytes},"http.response.body.bytes":${response.bodyBytes},"sluice.outcome":"${
    exchange.outcome
  }"`
  if (binding) line += textOf(bindingTexts, binding, describeBinding)
  if (consumer) line += textOf(consumerTexts, consumer, describeConsumer)
  if (rejectedBy !== '') line += `,"sluice.rejected_by":${jsonString(rejectedBy)}`
  if (errorCode !== '') line += `,"error.code":${jsonString(errorCode)}`
  if (upstream) {
    line += `,"upstream.address":${jsonString(upstream.address)},"upstream.status_code":${
      upstream.status
    },"upstream.attempts":${upstream.attempts},"upstream.duration":${nanoseconds(timings.end - timings.upstreamStart)}`
  }
  return line
}

/** What lines say of a route or a consumer is the same each time, so it is written once for each. */
const bindingTexts = new WeakMap<BindingInfo, string>()
const consumerTexts = new WeakMap<Consumer, string>()

function textOf<Subject extends object>(
  texts: WeakMap<Subject, string>,
  subject: Subject,
  describe: (subject: Subject) => string,
): string {
  let text = texts.get(subject)
  if (text === undefined) {
    text = describe(subject)
    texts.set(subject, text)
  }
  return text
}

function describeBinding({ routeId, serviceId }: BindingInfo): string {
  const route = `,"sluice.route":${jsonString(routeId)}`
  return serviceId === '' ? route : `${route},"sluice.service":${jsonString(serviceId)}`
}

function describeConsumer({ username }: Consumer): string {
  return `,"sluice.consumer":${jsonString(username)}`
}

/** The unit of `event.duration`. */
function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6)
}
