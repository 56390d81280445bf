import {
  CallError,
  callFields,
  callOptions,
  definePolicy,
  type Exchange,
  headerBlock,
  headerName,
  headerNameProblem,
  InvalidHeaderError,
  jsonOf,
  openInApisix,
  serviceUrlProblem,
  Type,
  type Verdict,
} from '../kit/index.ts'
import { compileInput } from './input.ts'

/** What a policy of Open Policy Agent decides. */
interface Decision {
  allow?: unknown
  headers?: unknown
  status_code?: unknown
  reason?: unknown
}

/** Open Policy Agent decides; configuration and answers of APISIX's `opa`. */
export default definePolicy({
  name: 'opa',
  summary: 'Asks Open Policy Agent whether a request may pass.',
  details:
    'The agent is asked at `HOST/v1/data/POLICY` with `{"input":{"type":"http","request":...,"var":...}}` and, where ' +
    'it is asked for, `route`, `service` and `consumer`; unlike in APISIX, without their `plugins` and credentials. Its ' +
    '`result` has `allow` and may have `reason`, `headers` and `status_code` for a rejection, which is 403 by default. ' +
    'With `send_headers_upstream`, fields of these names come from `headers` of the result, never from the client.\n\n' +
    'Without an answer the client gets 403, with one that is no decision 503. A connection is one of at most 64 of its ' +
    'binding; `keepalive_pool` has no effect. Answers are read up to 1 MiB.',
  stage: 'authorize',
  priority: 2001,
  config: Type.Object(
    {
      host: Type.String({ description: 'URL of the agent.' }),
      policy: Type.String({ description: 'Path of the decision, such as `example1`.' }),
      ...callFields(),
      send_headers_upstream: Type.Optional(
        Type.Array(Type.String(), {
          minItems: 1,
          description: 'Fields of the decision that the upstream gets.',
        }),
      ),
      with_route: Type.Boolean({ default: false, description: 'Tell it of the route.' }),
      with_service: Type.Boolean({ default: false, description: 'Tell it of the service.' }),
      with_consumer: Type.Boolean({ default: false, description: 'Tell it of the consumer.' }),
    },
    openInApisix,
  ),
  validate({ host, send_headers_upstream: names = [] }) {
    const problem = serviceUrlProblem(host)
    if (problem !== undefined) return `host ${problem}`
    for (const name of names) {
      const wrong = headerNameProblem(name)
      if (wrong !== undefined) return wrong
    }
    return undefined
  },
  create(config, host) {
    const agent = host.calls(callOptions(config))
    const url = `${config.host}/v1/data/${config.policy}`
    const headers = { 'Content-Type': 'application/json' }
    const inputOf = compileInput(
      { route: config.with_route, service: config.with_service, consumer: config.with_consumer },
      host,
    )
    const toUpstream = config.send_headers_upstream?.map(headerName) ?? []
    const undecided = { status: 403 }
    const noDecision = { status: 503 }

    return { request: ask }

    async function ask(exchange: Exchange): Promise<Verdict | undefined> {
      let result: unknown
      try {
        const body = JSON.stringify({ input: inputOf(exchange) })
        const answer = await agent.call({ method: 'POST', url, headers, body })
        result = (jsonOf(answer) as { result?: unknown } | null | undefined)?.result
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        host.log.error({ reason: error.message }, 'Open Policy Agent gave no answer')
        return undecided
      }
      if (typeof result !== 'object' || result === null) {
        host.log.error({}, 'the answer of Open Policy Agent is no decision')
        return noDecision
      }
      const decision = result as Decision
      if (decision.allow !== true) return rejection(decision)
      const given = new Map(fieldsOf(decision.headers).map(([name, value]) => [name.toLowerCase(), value]))
      for (const name of toUpstream) {
        const value = given.get(name.lower)
        if (value === undefined) exchange.request.headers.remove(name)
        else exchange.request.headers.set(name, value)
      }
      return undefined
    }

    function rejection({ headers: given, status_code: status, reason }: Decision): Verdict {
      const isStatus = Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599
      const block = blockOf(fieldsOf(given))
      return {
        status: isStatus ? (status as number) : 403,
        ...(reason !== undefined &&
          reason !== null && {
            body: typeof reason === 'object' ? JSON.stringify(reason) : String(reason),
          }),
        ...(block && { headers: block }),
      }
    }

    /** Fields that would break the answer are left out, all of them. */
    function blockOf(fields: readonly (readonly [string, string])[]) {
      if (fields.length === 0) return undefined
      try {
        return headerBlock(fields)
      } catch (error) {
        if (!(error instanceof InvalidHeaderError)) throw error
        host.log.error({ reason: error.message }, 'a field of Open Policy Agent cannot be sent')
        return undefined
      }
    }
  },
})

function fieldsOf(headers: unknown): (readonly [name: string, value: string])[] {
  if (typeof headers !== 'object' || headers === null) return []
  return Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    Array.isArray(value)
      ? value.map((item): [string, string] => [name, bytes(item)])
      : [[name, bytes(value)]],
  )
}

const bytes = (value: unknown) => Buffer.from(String(value)).toString('latin1')
