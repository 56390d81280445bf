import {
  conditionFinding,
  definePolicy,
  type Exchange,
  inlineUpstream,
  openInApisix,
  type PolicyHost,
  type Static,
  Type,
  type UpstreamHandle,
  upstreamId,
  type Verdict,
  WeightedTurns,
} from '../kit/index.ts'

const weightedUpstream = Type.Object(
  {
    upstream_id: upstreamId('An upstream by its id; comes before `upstream`.'),
    upstream: inlineUpstream('An upstream, written in place.'),
    weight: Type.Integer({ minimum: 0, default: 1, description: 'Its share of the traffic.' }),
  },
  openInApisix,
)

const rule = Type.Object(
  {
    match: Type.Optional(
      Type.Array(
        Type.Object(
          {
            vars: Type.Optional(
              Type.Array(Type.Unsafe<unknown>({}), { description: 'A condition on variables.' }),
            ),
          },
          openInApisix,
        ),
        { description: 'The rule is for requests of which any of these holds; absent: for all.' },
      ),
    ),
    weighted_upstreams: Type.Array(weightedUpstream, {
      minItems: 1,
      maxItems: 20,
      default: [{ weight: 1 }],
      description: 'Where they go. An entry with nothing but a weight is the upstream of the route.',
    }),
  },
  openInApisix,
)

type Rule = Static<typeof rule>
type WeightedUpstream = Static<typeof weightedUpstream>

/** Upstreams by weight and condition; configuration and behaviour of APISIX's `traffic-split`. */
export default definePolicy({
  name: 'traffic-split',
  summary: 'Sends shares of the traffic to other upstreams: canaries, blue and green.',
  details:
    'The first rule that matches decides; where none does, the request goes to the upstream of its route. Turns are ' +
    'smooth, and all threads take the same ones. When a rule names an upstream that there is not, the answer is 500.' +
    '\n\nUnlike in APISIX, an upstream that is written in place can do what every other can: `checks`, `retries` and ' +
    '`keepalive_pool` count too.\n\n[Split traffic](../guides/split-traffic.md) has examples.',
  // In the second pass, since APISIX runs it when it knows the consumer.
  stage: 'limit',
  priority: 966,
  stream: {},
  config: Type.Object(
    { rules: Type.Optional(Type.Array(rule, { description: 'Asked one after the other.' })) },
    openInApisix,
  ),
  answers: ({ rules = [] }) =>
    rules.some(({ weighted_upstreams: entries }) =>
      entries.some((entry) => entry.upstream || entry.upstream_id),
    ),
  validate({ rules = [] }) {
    for (const { vars } of rules.flatMap(({ match = [] }) => match)) {
      const finding = vars === undefined ? 'missing argument rule' : conditionFinding(vars)
      if (finding !== undefined) return `failed to validate the 'vars' expression: ${finding}`
    }
    return undefined
  },
  create({ rules = [] }, host) {
    const compiled = rules.map((one, at) => compileRule(one, at, host))
    return {
      request(exchange) {
        for (const { named, matches, next } of compiled) {
          for (const { upstream, missing } of named) if (!upstream.exists) return missing
          if (!matches(exchange)) continue
          exchange.sendTo(next())
          return undefined
        }
        return undefined
      },
    }
  },
})

interface CompiledRule {
  /** The upstreams with an id, and what is answered when there is no such one. */
  readonly named: readonly { upstream: UpstreamHandle; missing: Verdict }[]
  matches(exchange: Exchange): boolean
  /** Null: that of the route. */
  next(): UpstreamHandle | null
}

function compileRule({ match = [], weighted_upstreams: entries }: Rule, at: number, host: PolicyHost) {
  const conditions = match.map(({ vars }) => host.condition(vars))
  const upstreams = entries.map((entry, index) => upstreamOf(entry, [at, index], host))
  const counter = `traffic-split:${host.binding.owner}:${at}`
  const turns = new WeightedTurns(
    entries.map(({ weight }) => weight),
    () => host.takeTurn(counter),
  )
  const compiled: CompiledRule = {
    named: entries.flatMap(({ upstream_id: id }, index) =>
      id === undefined ? [] : [{ upstream: upstreams[index]!, missing: missingUpstream(id) }],
    ),
    matches: (exchange) => conditions.length === 0 || conditions.some((condition) => condition(exchange)),
    next: () => upstreams[turns.next()] ?? null,
  }
  return compiled
}

function upstreamOf(
  { upstream_id: id, upstream }: WeightedUpstream,
  [rule, entry]: [number, number],
  host: PolicyHost,
): UpstreamHandle | null {
  if (id !== undefined) return host.upstream({ id })
  if (upstream === undefined) return null
  return host.upstream({ path: ['rules', rule, 'weighted_upstreams', entry, 'upstream'] })
}

const missingUpstream = (id: string | number): Verdict => ({
  status: 500,
  body: `failed to fetch upstream info by upstream id: ${id}`,
})
