import {
  conditionFinding,
  definePolicy,
  type Exchange,
  fieldNamesFinding,
  headerName,
  openInApisix,
  type PolicyHost,
  type Static,
  Type,
  WeightedTurns,
} from '../kit/index.ts'

const action = Type.Object(
  {
    set_headers: Type.Optional(
      Type.Unsafe<Record<string, string | number>>({
        type: 'object',
        minProperties: 1,
        patternProperties: { '^[^:]+$': { oneOf: [{ type: 'string' }, { type: 'number' }] } },
        description: 'Fields that the upstream gets; texts take variables.',
        'x-apisix': { type: 'object', minProperties: 1, patternProperties: undefined },
      }),
    ),
    weight: Type.Integer({ minimum: 1, default: 1, description: 'Its share of the requests.' }),
  },
  { 'x-apisix': { additionalProperties: undefined }, additionalProperties: true },
)

const rule = Type.Object(
  {
    match: Type.Optional(
      Type.Array(Type.Unsafe<unknown>({}), {
        minItems: 1,
        description: 'A condition on variables; absent: it holds for every request.',
      }),
    ),
    actions: Type.Array(action, {
      minItems: 1,
      description: 'One of them is done; none but a `weight` does nothing.',
    }),
  },
  openInApisix,
)

type Rule = Static<typeof rule>
type Action = Static<typeof action>

/** Labels for requests; configuration and behaviour of APISIX's `traffic-label`. */
export default definePolicy({
  name: 'traffic-label',
  summary: 'Sets header fields of requests by conditions and shares, for others to go by.',
  details:
    'The first rule that matches decides. Of its `actions` one is done for each request, by `weight`; turns are smooth, ' +
    'and all threads take the same ones. Fields go to the upstream, and policies that run later see them.',
  // In the second pass, since APISIX runs it when it knows the consumer.
  stage: 'limit',
  priority: 967,
  config: Type.Object(
    { rules: Type.Array(rule, { minItems: 1, description: 'Asked one after the other.' }) },
    openInApisix,
  ),
  validate({ rules }) {
    for (const { match = [], actions } of rules) {
      const finding = conditionFinding(match)
      if (finding !== undefined)
        return `failed to validate the 'match' expression: ${JSON.stringify(match)} err: ${finding}`
      for (const one of actions) {
        const other = Object.keys(one).find((name) => name !== 'weight' && name !== 'set_headers')
        if (other !== undefined) return `not supported action: ${other}`
        const names = fieldNamesFinding(Object.keys(one.set_headers ?? {}), 'set_headers', ['host'])
        if (names !== undefined) return `failed to validate the 'set_headers' action: ${names}`
      }
    }
    return undefined
  },
  create({ rules }, host) {
    const compiled = rules.map((one, at) => compileRule(one, at, host))
    return {
      request(exchange) {
        compiled.find(({ matches }) => matches(exchange))?.label(exchange)
      },
    }
  },
})

function compileRule({ match, actions }: Rule, at: number, host: PolicyHost) {
  const counter = `traffic-label:${host.binding.owner}:${at}`
  const labels = actions.map((one) => compileAction(one, host))
  const turns = new WeightedTurns(
    actions.map(({ weight }) => weight),
    () => host.takeTurn(counter),
  )
  return {
    matches: match === undefined ? () => true : host.condition(match),
    label(exchange: Exchange): void {
      labels[turns.next()]?.(exchange)
    },
  }
}

function compileAction({ set_headers: fields = {} }: Action, host: PolicyHost): (exchange: Exchange) => void {
  const compiled = Object.entries(fields).map(([name, value]) => ({
    name: name.toLowerCase() === 'host' ? null : headerName(name),
    text: host.template(String(value)),
  }))
  return (exchange) => {
    const { request } = exchange
    for (const { name, text } of compiled) {
      const value = text(exchange)
      if (name === null) request.setHost(value)
      // As in nginx, a field without a value is not sent.
      else if (value === '') request.headers.remove(name)
      else request.headers.set(name, value)
    }
  }
}
