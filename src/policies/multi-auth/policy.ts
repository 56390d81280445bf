import {
  definePolicy,
  type Exchange,
  openInApisix,
  type PolicyHandlers,
  Type,
  type Verdict,
} from '../kit/index.ts'

type Ask = NonNullable<PolicyHandlers['request']>

/** Several ways to identify; configuration and answers of APISIX's `multi-auth`. */
export default definePolicy({
  name: 'multi-auth',
  summary: 'Identifies a consumer by the first of several authentication policies that takes the request.',
  details:
    'The policies are asked in their order. When none takes the request it is rejected with 401, `{"message":' +
    '"Authorization Failed"}` and the challenge of the last one.',
  stage: 'identify',
  priority: 2600,
  config: Type.Object(
    {
      auth_plugins: Type.Array(
        Type.Record(Type.String(), Type.Unsafe<Record<string, unknown>>({}), {
          'x-apisix': { type: undefined, patternProperties: undefined },
        }),
        {
          minItems: 2,
          description: 'Maps of a policy and its configuration, in the order of their turn.',
          'x-apisix': { items: undefined },
        },
      ),
    },
    { 'x-apisix': { ...openInApisix['x-apisix'], title: 'work with route or service object' } },
  ),
  nested: ({ auth_plugins: maps }) =>
    maps.map((plugins, index) => ({ path: ['auth_plugins', index], plugins, identify: true })),
  create({ auth_plugins: maps }, host) {
    const asked = maps
      .flatMap((plugins) => Object.entries(plugins))
      .flatMap(([name, config]) => {
        const handlers = host.bind(name, config)
        return handlers.request ? [{ name, ask: handlers.request.bind(handlers) as Ask }] : []
      })
    const body = { message: 'Authorization Failed' }

    return { request: (exchange) => askFrom(0, exchange, undefined) }

    function askFrom(
      start: number,
      exchange: Exchange,
      refusal: Verdict | undefined,
    ): Verdict | undefined | Promise<Verdict | undefined> {
      let last = refusal
      for (let i = start; i < asked.length; i++) {
        const { name, ask } = asked[i]!
        const answer = ask(exchange)
        if (answer instanceof Promise) return answer.then((later) => goOn(i, exchange, later))
        if (!answer) return undefined
        host.log.debug(
          { policy: name, status: answer.status },
          'a policy of multi-auth does not know the caller',
        )
        last = answer
      }
      return { status: 401, body, ...(last?.headers && { headers: last.headers }) }
    }

    function goOn(at: number, exchange: Exchange, answer: Verdict | undefined | void) {
      return answer ? askFrom(at + 1, exchange, answer) : undefined
    }
  },
})
