import {
  type CircuitRule,
  definePolicy,
  type Exchange,
  fieldNamesFinding,
  headerName,
  openInApisix,
  type PolicyHost,
  Type,
} from '../kit/index.ts'

/** Answers in place of an upstream that fails; configuration and behaviour of APISIX's `api-breaker`. */
export default definePolicy({
  name: 'api-breaker',
  summary: 'Spares an upstream that answers with errors: for a while, the gateway answers in its place.',
  details:
    'It judges each host and path by what the upstream answers, an attempt that failed being a 502 or a 504. After ' +
    '`unhealthy.failures` bad answers it breaks for 2 seconds, after as many again for 4, then 8, up to ' +
    '`max_breaker_sec`; `healthy.successes` good answers without a bad one among them end that. All threads know.\n\nUnlike in APISIX, ' +
    'each configuration judges by itself, and of many thousands of bad paths the oldest are forgotten.',
  stage: 'limit',
  priority: 1005,
  config: Type.Object(
    {
      break_response_code: Type.Integer({
        minimum: 200,
        maximum: 599,
        description: 'Status of the answers while it breaks.',
      }),
      break_response_body: Type.Optional(Type.String({ description: 'Their body.' })),
      break_response_headers: Type.Optional(
        Type.Array(
          Type.Object(
            {
              key: Type.String({ minLength: 1, description: 'Name of the field.' }),
              value: Type.String({ minLength: 1, description: 'Its value; takes variables.' }),
            },
            openInApisix,
          ),
          { description: 'Their fields; sent with a body only.' },
        ),
      ),
      max_breaker_sec: Type.Integer({
        minimum: 3,
        default: 300,
        description: 'Longest time for which it breaks, in seconds.',
      }),
      unhealthy: Type.Object(
        {
          http_statuses: Type.Array(Type.Integer({ minimum: 500, maximum: 599 }), {
            minItems: 1,
            uniqueItems: true,
            default: [500],
            description: 'Statuses of bad answers.',
          }),
          failures: Type.Integer({ minimum: 1, default: 3, description: 'Bad answers until it breaks.' }),
        },
        { ...openInApisix, default: { http_statuses: [500], failures: 3 }, description: 'When it breaks.' },
      ),
      healthy: Type.Object(
        {
          http_statuses: Type.Array(Type.Integer({ minimum: 200, maximum: 499 }), {
            minItems: 1,
            uniqueItems: true,
            default: [200],
            description: 'Statuses of good answers.',
          }),
          successes: Type.Integer({
            minimum: 1,
            default: 3,
            description: 'Good answers until it is forgotten.',
          }),
        },
        {
          ...openInApisix,
          default: { http_statuses: [200], successes: 3 },
          description: 'When it recovers.',
        },
      ),
    },
    openInApisix,
  ),
  validate({ break_response_headers: fields = [] }) {
    return fieldNamesFinding(
      fields.map(({ key }) => key),
      'break_response_headers',
    )
  },
  create({ unhealthy, healthy, max_breaker_sec: longest, ...answer }, host) {
    const { failures } = unhealthy
    const rule: CircuitRule = { failures, successes: healthy.successes, longest }
    const prefix = `api-breaker:${host.binding.owner}:`
    const keyOf = ({ request }: Exchange) => `${prefix}${request.host} ${request.path}`
    const instead = compileAnswer(answer, host)
    return {
      request(exchange) {
        return host.circuits.isBroken(keyOf(exchange), rule) ? instead(exchange) : undefined
      },
      observe(exchange) {
        const status = lastStatus(exchange)
        if (unhealthy.http_statuses.includes(status)) host.circuits.failed(keyOf(exchange), rule)
        else if (healthy.http_statuses.includes(status)) host.circuits.succeeded(keyOf(exchange), rule)
      },
    }
  },
})

/** Of the last attempt, also where the upstream had no answer; 0: none was made. */
function lastStatus({ upstream }: Exchange): number {
  if (upstream === null) return 0
  return Number(upstream.statuses.slice(upstream.statuses.lastIndexOf(' ') + 1))
}

interface AnswerSettings {
  break_response_code: number
  break_response_body?: string
  break_response_headers?: readonly { key: string; value: string }[]
}

function compileAnswer(
  {
    break_response_code: status,
    break_response_body: body,
    break_response_headers: fields = [],
  }: AnswerSettings,
  host: PolicyHost,
) {
  // As in APISIX, fields without a body are not sent.
  if (body === undefined) return () => ({ status })
  const compiled = fields.map(({ key, value }) => ({ name: headerName(key), value: host.template(value) }))
  return (exchange: Exchange) => {
    for (const { name, value } of compiled) {
      if (name.lower === 'content-type') exchange.answer.set(name, value(exchange))
      else exchange.answer.add(name, value(exchange))
    }
    return { status, body }
  }
}
