import {
  conditionFinding,
  definePolicy,
  type Exchange,
  openInApisix,
  type PolicyHandlers,
  type PolicyHost,
  Type,
} from '../kit/index.ts'

/** What an action may run beside `return`. */
const limits = ['limit-count', 'limit-conn', 'limit-req']

type Action = readonly unknown[]

/** Actions by condition; configuration and answers of APISIX's `workflow`. */
export default definePolicy({
  name: 'workflow',
  summary: 'Rejects or limits requests by conditions: the first case that holds decides.',
  details:
    'A rule is a `case`, a condition on variables, and one action: `[return, { code: 403 }]`, which answers with ' +
    '`{"error_msg":"rejected by workflow"}`, or `[limit-count, {...}]`, `[limit-conn, {...}]` or `[limit-req, {...}]` ' +
    'with the configuration of that policy. Each rule counts on its own, ' +
    'and a policy of that name that comes later in the chain is left out for the request.\n\nUnlike in APISIX, an ' +
    'action may be `limit-req`.',
  stage: 'limit',
  priority: 1006,
  config: Type.Object(
    {
      rules: Type.Array(
        Type.Object(
          {
            case: Type.Optional(
              Type.Array(Type.Unsafe<unknown>({ anyOf: [{ type: 'array' }, { type: 'string' }] }), {
                minItems: 1,
                description: 'A condition on variables; absent: it holds for every request.',
              }),
            ),
            actions: Type.Array(Type.Array(Type.Unsafe<unknown>({}), { minItems: 1 }), {
              description: 'The name of an action and its configuration; the first one counts.',
            }),
          },
          openInApisix,
        ),
        { description: 'Asked one after the other.' },
      ),
    },
    openInApisix,
  ),
  validate({ rules }) {
    for (const { case: condition, actions } of rules) {
      const finding = condition && conditionFinding(condition)
      if (finding !== undefined) return `failed to validate the 'case' expression: ${finding}`
      for (const action of actions) {
        const problem = actionProblem(action)
        if (problem !== undefined) return problem
      }
    }
    return undefined
  },
  answers: ({ rules }) => rules.some((rule) => rule.case === undefined && rule.actions[0]?.[0] === 'return'),
  nested: ({ rules }) =>
    rules.flatMap(({ actions }, rule) =>
      actions.flatMap((action, index) => {
        const [name, config] = action as [string, Record<string, unknown>]
        if (!limits.includes(name) || !isMap(config)) return []
        return {
          path: ['rules', rule, 'actions', index],
          plugins: { [name]: config },
          identify: false,
          wording: (fault: string) => failure(name, fault),
        }
      }),
    ),
  create({ rules }, host) {
    const compiled = rules.map(({ case: condition, actions: [action] }, index) => ({
      matches: condition && host.condition(condition),
      act: compileAction(action, index, host),
      /** The policy of the route that the action stands in for. */
      standsFor: action !== undefined && action[0] !== 'return' ? String(action[0]) : '',
    }))
    /** Which action an exchange was in the hands of, where that one wants to hear of its end. */
    const chosen = new WeakMap<Exchange, PolicyHandlers>()
    return {
      request(exchange) {
        for (const { matches, act, standsFor } of compiled) {
          if (matches && !matches(exchange)) continue
          if (standsFor !== '') {
            exchange.skippedPolicies ??= []
            exchange.skippedPolicies.push(standsFor)
          }
          if (act.observe) chosen.set(exchange, act)
          return act.request?.(exchange)
        }
        return undefined
      },
      respond: (exchange) => chosen.get(exchange)?.respond?.(exchange),
      observe: (exchange) => chosen.get(exchange)?.observe?.(exchange),
    }
  },
})

function actionProblem([name, config]: Action): string | undefined {
  if (name === 'return') {
    const problem = returnProblem(config)
    return problem && failure(name, problem)
  }
  if (typeof name !== 'string' || !limits.includes(name)) return `unsupported action: ${String(name)}`
  if (!isMap(config)) return failure(name, 'it has no configuration')
  return name === 'limit-count' && config.group !== undefined
    ? failure(name, 'group is not supported')
    : undefined
}

function returnProblem(config: unknown): string | undefined {
  const code = isMap(config) ? config.code : undefined
  if (code === undefined) return 'property "code" is required'
  if (!Number.isInteger(code)) {
    return `property "code" validation failed: wrong type: expected integer, got ${typeof code}`
  }
  if ((code as number) < 200)
    return 'property "code" validation failed: expected at least 200, a final answer'
  return (code as number) > 599
    ? `property "code" validation failed: expected ${code} to be at most 599`
    : undefined
}

const failure = (action: string, problem: string) => `failed to validate the '${action}' action: ${problem}`

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function compileAction(action: Action | undefined, rule: number, host: PolicyHost): PolicyHandlers {
  if (action === undefined) return {}
  const [name, config] = action as [string, Record<string, unknown>]
  if (name !== 'return') return host.bind(name, config, `rules.${rule}`)
  const rejected = { status: config.code as number, body: { error_msg: 'rejected by workflow' } }
  return { request: () => rejected }
}
