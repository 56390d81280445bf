import {
  compileSubstitution,
  definePolicy,
  type Exchange,
  headerName,
  type Substitution,
  Type,
  upstreamId,
  WeightedTurns,
} from '../kit/index.ts'

const correlationId = headerName('X-Correlation-Id')
const notFound = { status: 404, body: '' }

/** Where bindings of `route` and `route-weighted` send requests, and under which path. */
export default definePolicy({
  name: 'route-weighted',
  summary: 'Sends requests to services by weight, each under a path of its own.',
  details:
    'What the Flex policies `route` and `route-weighted` come to. The upstream gets `destinationPath` with what the groups ' +
    'of `path` found behind it, or, where it has no groups, with the path behind `base`. Turns are smooth, and all threads ' +
    'take the same ones. Without a service, requests are answered with 404, no body and `X-Correlation-Id`.',
  // After everything that an instance has, so that those see the path of the client.
  stage: 'limit',
  priority: -2_000_000_000,
  config: Type.Object(
    {
      path: Type.String({
        default: '',
        description: 'Expression for the path of the client; its groups are kept. Empty: none.',
      }),
      capturing: Type.Boolean({ default: false, description: 'Whether `path` has groups.' }),
      base: Type.String({ default: '', description: 'Path of the API, which is left out.' }),
      routes: Type.Array(
        Type.Object(
          {
            weight: Type.Integer({
              minimum: 1,
              maximum: 100,
              default: 1,
              description: 'Its share of the requests.',
            }),
            destinationPath: Type.String({
              default: '/',
              description: 'In front of the path that the upstream gets.',
            }),
            upstream_id: upstreamId('Where they go.'),
          },
          { additionalProperties: false },
        ),
        { maxItems: 100, description: 'The services; none: requests are answered with 404.' },
      ),
    },
    { additionalProperties: false },
  ),
  answers: () => true,
  validate({ path, capturing, routes }) {
    const pattern = capturing ? compileSubstitution(path, '') : undefined
    if (pattern !== undefined && 'problem' in pattern) return `path: the expression ${pattern.problem}`
    const wrong = routes.findIndex(({ destinationPath }) => !/^\/?[!-"$->@-~]*$/.test(destinationPath))
    return wrong < 0 ? undefined : `routes.${wrong}.destinationPath: not a path`
  },
  create({ path, capturing, base, routes }, host) {
    const compiled = capturing ? compileSubstitution(path, '') : undefined
    if (compiled !== undefined && 'problem' in compiled) throw new Error(compiled.problem)
    const counter = `${host.binding.policy}:${host.binding.owner}`
    const turns = new WeightedTurns(
      routes.map(({ weight }) => weight),
      () => host.takeTurn(counter),
    )
    const destinations = routes.map(({ destinationPath, upstream_id: id }) => ({
      prefix: `/${destinationPath.replace(/^\/+|\/+$/g, '')}`.replace(/^\/$/, ''),
      upstream: id === undefined ? null : host.upstream({ id }),
    }))
    if (routes.length === 0) {
      return {
        request(exchange) {
          exchange.answer.set(correlationId, exchange.id)
          return notFound
        },
      }
    }
    return {
      request(exchange) {
        const { prefix, upstream } = destinations[destinations.length === 1 ? 0 : turns.next()]!
        exchange.request.setPath(pathBehind(exchange, prefix, base, compiled))
        if (upstream !== null) exchange.sendTo(upstream)
      },
    }
  },
})

function pathBehind(
  { request }: Exchange,
  prefix: string,
  base: string,
  pattern: Substitution | undefined,
): string {
  const found = pattern?.find(request.path) ?? null
  const rest = found === null ? request.path.slice(base.length) : found.slice(1).join('')
  return rest.startsWith('/') || (rest === '' && prefix !== '') ? prefix + rest : `${prefix}/${rest}`
}
