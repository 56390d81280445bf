import { setTimeout as sleep } from 'node:timers/promises'
import {
  conditionFinding,
  definePolicy,
  type Exchange,
  headerName,
  InvalidHeaderError,
  type PolicyHost,
  Type,
} from '../kit/index.ts'

const percentage = Type.Optional(
  Type.Integer({ minimum: 0, maximum: 100, description: 'Share of the requests; absent: all of them.' }),
)
const vars = Type.Optional(
  Type.Array(Type.Array(Type.Unsafe<unknown>({})), {
    maxItems: 20,
    description: 'Requests that it is about, by conditions of which one has to hold; absent: all.',
  }),
)

/** Faults on purpose; configuration and behaviour of APISIX's `fault-injection`. */
export default definePolicy({
  name: 'fault-injection',
  summary: 'Answers or delays a share of the requests, to try what callers make of it.',
  details: 'A delay comes before an abort. Body and header values take variables.',
  stage: 'transform',
  priority: 11_000,
  config: Type.Object(
    {
      abort: Type.Optional(
        Type.Object(
          {
            http_status: Type.Integer({ minimum: 200, maximum: 599, description: 'Status of the answer.' }),
            body: Type.Optional(Type.String({ description: 'Its body.' })),
            headers: Type.Optional(
              Type.Unsafe<Record<string, string | number>>({
                type: 'object',
                minProperties: 1,
                patternProperties: { '^[^:]+$': { oneOf: [{ type: 'string' }, { type: 'number' }] } },
                description: 'Its fields.',
              }),
            ),
            percentage,
            vars,
          },
          { additionalProperties: false, description: 'An answer in place of the upstream’s.' },
        ),
      ),
      delay: Type.Optional(
        Type.Object(
          {
            duration: Type.Number({ minimum: 0, description: 'Seconds.' }),
            percentage,
            vars,
          },
          { additionalProperties: false, description: 'Time before the request goes on.' },
        ),
      ),
    },
    { additionalProperties: false, minProperties: 1 },
  ),
  validate({ abort, delay }) {
    for (const condition of [...(abort?.vars ?? []), ...(delay?.vars ?? [])]) {
      const finding = conditionFinding(condition)
      if (finding !== undefined) return finding
    }
    try {
      for (const name of Object.keys(abort?.headers ?? {})) {
        if (headerName(name).isReserved) return `abort.headers: ${name} is the gateway’s own to write`
      }
    } catch (error) {
      if (error instanceof InvalidHeaderError) return error.message
      throw error
    }
    return undefined
  },
  create({ abort, delay }, host) {
    const delays = delay && chosen(delay, host)
    const aborts = abort && chosen(abort, host)
    const body = abort?.body === undefined ? undefined : host.template(abort.body)
    const fields = Object.entries(abort?.headers ?? {}).map(
      ([name, value]) => [headerName(name), host.template(String(value))] as const,
    )

    function end(exchange: Exchange) {
      for (const [name, value] of fields) exchange.answer.set(name, value(exchange))
      const text = body && Buffer.from(body(exchange), 'latin1').toString()
      return { status: abort!.http_status, ...(text !== undefined && { body: text }) }
    }

    return {
      request(exchange) {
        const isAborted = aborts?.(exchange) === true
        if (!delays?.(exchange)) return isAborted ? end(exchange) : undefined
        return sleep(delay!.duration * 1000).then(() => (isAborted ? end(exchange) : undefined))
      },
    }
  },
})

/** Whether a request is one of those that a fault is for. */
function chosen(
  fault: { percentage?: number; vars?: unknown[][] },
  host: PolicyHost,
): (exchange: Exchange) => boolean {
  const share = fault.percentage ?? 100
  const conditions = fault.vars?.map((condition) => host.condition(condition))
  return (exchange) =>
    (conditions === undefined || conditions.some((holds) => holds(exchange))) && Math.random() * 100 < share
}
