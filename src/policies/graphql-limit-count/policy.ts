import {
  definePolicy,
  type GraphqlOperation,
  type GraphqlRequest,
  headerName,
  postedGraphql,
  Type,
  type Verdict,
} from '../kit/index.ts'
import {
  compileCounting,
  countingFields,
  countingFinding,
  countingInApisix,
  countingMetadata,
} from '../kit/limits/counting.ts'
import { depthOf } from './depth.ts'

const costField = headerName('X-Graphql-Query-Cost')

const refusal = (message: string): Verdict => ({ status: 400, body: { message } })
const notPost: Verdict = { status: 405 }
const emptyQuery = refusal('Invalid graphql request: empty graphql query')
const cyclic = refusal('Invalid graphql request: fragment spreads must not form cycles')

/** Charges GraphQL queries by their depth; configuration and answers of APISIX's `graphql-limit-count`. */
export default definePolicy({
  name: 'graphql-limit-count',
  summary: 'Limits GraphQL queries by their cost in a window of time.',
  details:
    'Counts as [limit-count](#limit-count) does, whose settings it has, and charges each query its depth: `{ a { b } }` ' +
    'costs 2, and fragments count as what they stand for. Queries come by `POST` as `application/json` or ' +
    '`application/graphql`; anything else is 405, or 400 with a `message`. The cost is told in `X-Graphql-Query-Cost`. ' +
    'A query above `max_cost` is charged and answered with 403.\n\nThe strategies `complexity` and `node_quantifier`, ' +
    'which ask the upstream for its schema, are not supported yet and refused when the configuration is checked.',
  stage: 'limit',
  priority: 1004,
  config: Type.Object(
    {
      ...countingFields,
      cost_strategy: Type.Enum(['depth', 'complexity', 'node_quantifier'], {
        default: 'depth',
        description: 'How a query is weighed. Only `depth`.',
      }),
      max_cost: Type.Number({
        minimum: 0,
        default: 0,
        description: 'Refuse queries that cost more with 403; 0: none.',
      }),
      score_factor: Type.Number({
        exclusiveMinimum: 0,
        default: 1,
        description: 'What the depth is multiplied by; rounded up.',
      }),
      resolve_variables: Type.Boolean({
        default: true,
        description: 'Has no effect on the depth.',
      }),
      introspection_endpoint: Type.Optional(
        Type.String({ pattern: '^https?://', description: 'Has no effect on the depth.' }),
      ),
      introspection_headers: Type.Optional(
        Type.Record(Type.String(), Type.String(), {
          description: 'Has no effect on the depth.',
          'x-secret': true,
        }),
      ),
    },
    { 'x-apisix': countingInApisix() },
  ),
  metadata: countingMetadata,
  validate(config) {
    if (config.cost_strategy !== 'depth')
      return `cost_strategy: '${config.cost_strategy}' is not supported yet; only 'depth' is`
    return countingFinding(config)
  },
  sharedState: ({ group }) => group,
  create(config, host) {
    const charge = compileCounting('graphql-limit-count', config, host)
    // Has the body held as far as the settings let GraphQL go.
    host.variable('graphql_name')

    function overMax(cost: number, verdict: Verdict | undefined): Verdict | undefined {
      const failed = verdict?.status === 500 && config.rejected_code !== 500
      if (failed || config.max_cost === 0 || cost <= config.max_cost) return verdict
      const text = `Invalid graphql request: query cost ${cost} exceeds max_cost ${config.max_cost}`
      return { status: 403, body: { message: text } }
    }

    return {
      request(exchange) {
        const { request } = exchange
        if (request.method !== 'POST') return notPost
        const asked = postedGraphql(request.heldBody(Number.MAX_SAFE_INTEGER), request)
        const weighed = 'status' in asked ? asked : weigh(asked)
        if (typeof weighed === 'object') return weighed
        const cost = Math.max(1, Math.ceil(weighed * config.score_factor))
        if (config.show_limit_quota_header) exchange.answer.set(costField, cost)
        const verdict = charge(exchange, cost)
        if (verdict instanceof Promise) return verdict.then((late) => overMax(cost, late))
        return overMax(cost, verdict)
      },
    }
  },
})

function weigh({ definitions, chosen }: GraphqlRequest): number | Verdict {
  const fragments = new Map<string, GraphqlOperation>()
  const operations: GraphqlOperation[] = []
  for (const definition of definitions) {
    if (definition.operation === undefined) fragments.set(definition.name, definition)
    else operations.push(definition)
  }
  if (operations.length === 0) return emptyQuery
  // Of several operations only the one that is named runs; without a name, the dearest is charged.
  const named = operations.find(({ name }) => name !== '' && name === chosen)
  return depthOf(named ? [named] : operations, fragments) ?? cyclic
}
