import {
  definePolicy,
  type Exchange,
  type GraphqlOperation,
  type GraphqlRequest,
  headerName,
  headerNameProblem,
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
  countingWording,
} from '../kit/limits/counting.ts'
import { costOf } from './cost.ts'
import { costModelOf } from './cost-model.ts'
import { depthOf } from './depth.ts'
import { UpstreamSchemas } from './upstream-schema.ts'

const costField = headerName('X-Graphql-Query-Cost')

const refusal = (message: string): Verdict => ({ status: 400, body: { message } })
const notPost: Verdict = { status: 405 }
const emptyQuery = refusal('Invalid graphql request: empty graphql query')
const cyclic = refusal('Invalid graphql request: fragment spreads must not form cycles')
const tooMany = refusal('Invalid graphql request: the query expands too many selections')
const unknownSchema = refusal('Invalid graphql request: failed to introspect the upstream graphql schema')

/** Bytes. */
const largestSchema = 8 * 1024 * 1024
/** Every cost by data is rounded up from a little more than it is. */
const roundedUp = 0.01

/** Charges GraphQL queries by their depth or by the data that they ask for; configuration and answers of APISIX's `graphql-limit-count`. */
export default definePolicy({
  name: 'graphql-limit-count',
  summary: 'Limits GraphQL queries by their cost in a window of time.',
  details:
    'Counts as [limit-count](#limit-count) does, whose settings it has, and charges each query its depth, unless `cost_strategy` says otherwise: `{ a { b } }` ' +
    'costs 2, and fragments count as what they stand for. Queries come by `POST` as `application/json` or ' +
    '`application/graphql`; anything else is 405, or 400 with a `message`. The cost is told in `X-Graphql-Query-Cost`. ' +
    'A query above `max_cost` is charged and answered with 403.\n\nWith the strategies `complexity` and ' +
    '`node_quantifier` a query costs what the `graphql_cost_decorations` of the service say of its fields. Each field ' +
    'costs its `add_value` and what is selected below it times its `mul_value`; arguments can be added and multiplied ' +
    'by. `complexity` charges every field, and one without a decoration 1; `node_quantifier` charges those alone that ' +
    'have one of their `mul_arguments`, as often as they are resolved. A hundredth is added before `score_factor` and ' +
    'the rounding up, as in APISIX.\n\nTo know the types of fields, the upstream is asked for its schema when the first ' +
    'query needs it: at the path of that query, or at `introspection_endpoint`; with nothing of the client’s, with ' +
    '`introspection_headers`, and bounded in time and size. Each route asks by itself, and again after ten minutes, when ' +
    'APISIX keeps the first schema for good. While it cannot be learnt, queries are answered with 400. A query that ' +
    'expands into more than 100 000 selections, or 1000 of them one inside of the other, is 400 too. An argument ' +
    'that is given twice counts with its larger value.',
  stage: 'limit',
  priority: 1004,
  config: Type.Object(
    {
      ...countingFields,
      cost_strategy: Type.Enum(['depth', 'complexity', 'node_quantifier'], {
        default: 'depth',
        description: 'How a query is weighed: by its depth, or by the decorations of its service.',
      }),
      max_cost: Type.Number({
        minimum: 0,
        default: 0,
        description: 'Refuse queries that cost more with 403; 0: none.',
      }),
      score_factor: Type.Number({
        exclusiveMinimum: 0,
        default: 1,
        description: 'What the cost is multiplied by; rounded up.',
      }),
      resolve_variables: Type.Boolean({
        default: true,
        description: 'Whether variables and defaults of arguments count; no effect on the depth.',
      }),
      introspection_endpoint: Type.Optional(
        Type.String({
          pattern: '^https?://',
          description: 'Where the schema is asked for; absent: the upstream.',
        }),
      ),
      introspection_headers: Type.Optional(
        Type.Record(Type.String(), Type.String(), {
          description: 'Header fields for whom is asked.',
          'x-secret': true,
        }),
      ),
    },
    { 'x-apisix': countingInApisix() },
  ),
  metadata: countingMetadata,
  wording: countingWording,
  validate(config) {
    for (const name in config.introspection_headers) {
      const problem = headerNameProblem(name, name.toLowerCase() === 'host')
      if (problem !== undefined) return `introspection_headers.${name}: ${problem}`
    }
    return countingFinding(config)
  },
  sharedState: ({ group }) => group,
  create(config, host) {
    const charge = compileCounting('graphql-limit-count', config, host)
    const { cost_strategy: strategy, resolve_variables: resolves } = config
    const schemas =
      strategy === 'depth'
        ? undefined
        : new UpstreamSchemas(config, host, host.calls({ timeout: 5000, largestAnswer: largestSchema }))
    // Has the body held as far as the settings let GraphQL go.
    host.variable('graphql_name')

    function overMax(cost: number, verdict: Verdict | undefined): Verdict | undefined {
      const failed = verdict?.status === 500 && config.rejected_code !== 500
      if (failed || config.max_cost === 0 || cost <= config.max_cost) return verdict
      const text = `Invalid graphql request: query cost ${cost} exceeds max_cost ${config.max_cost}`
      return { status: 403, body: { message: text } }
    }

    function settle(exchange: Exchange, weight: number): Verdict | undefined | Promise<Verdict | undefined> {
      const cost = Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.ceil(weight * config.score_factor)))
      if (config.show_limit_quota_header) exchange.answer.set(costField, cost)
      const verdict = charge(exchange, cost)
      if (verdict instanceof Promise) return verdict.then((late) => overMax(cost, late))
      return overMax(cost, verdict)
    }

    /** @throws Error when the schema cannot be learnt */
    async function weighData(exchange: Exchange, asked: Asked): Promise<number | undefined> {
      const decorations = exchange.binding?.service?.graphql_cost_decorations ?? []
      const isDecorated = decorations.length > 0
      const cost = costOf({
        ...asked,
        strategy: strategy as 'complexity' | 'node_quantifier',
        model: isDecorated ? costModelOf(decorations) : undefined,
        schema: isDecorated ? await schemas!.of(exchange) : undefined,
        resolves,
      })
      return cost === undefined ? undefined : cost + roundedUp
    }

    async function chargeData(exchange: Exchange, asked: Asked): Promise<Verdict | undefined> {
      let weight: number | undefined
      try {
        weight = await weighData(exchange, asked)
      } catch (error) {
        host.log.error(
          { reason: (error as Error).message },
          'the GraphQL schema of the upstream cannot be learnt',
        )
        return unknownSchema
      }
      return weight === undefined ? tooMany : settle(exchange, weight)
    }

    return {
      request(exchange) {
        const { request } = exchange
        if (request.method !== 'POST') return notPost
        const posted = postedGraphql(request.heldBody(Number.MAX_SAFE_INTEGER), request)
        if ('status' in posted) return posted
        const asked = read(posted)
        if (asked.operations.length === 0) return emptyQuery
        if (strategy !== 'depth') return chargeData(exchange, asked)
        const depth = depthOf(asked.operations, asked.fragments)
        return depth === undefined ? cyclic : settle(exchange, depth)
      },
    }
  },
})

interface Asked {
  readonly operations: readonly GraphqlOperation[]
  readonly fragments: ReadonlyMap<string, GraphqlOperation>
  readonly variables: unknown
}

function read({ definitions, chosen, variables }: GraphqlRequest): Asked {
  const fragments = new Map<string, GraphqlOperation>()
  const operations: GraphqlOperation[] = []
  for (const definition of definitions) {
    if (definition.operation === undefined) fragments.set(definition.name, definition)
    else operations.push(definition)
  }
  // Of several operations only the one that is named runs; without a name, the dearest is charged.
  const named = operations.find(({ name }) => name !== '' && name === chosen)
  return { operations: named ? [named] : operations, fragments, variables }
}
