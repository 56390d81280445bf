import { definePolicy, derivedUpstream, openInApisix, Type } from '../kit/index.ts'

const nodeOf = ({ ip, port }: { ip?: string; port?: number }) =>
  ip === undefined || port === undefined
    ? undefined
    : { type: 'roundrobin' as const, nodes: [{ host: ip, port, weight: 1 }] }

/** Stands for APISIX's `example-plugin`, with which its authors show how plugins are written. */
export default definePolicy({
  name: 'example-plugin',
  summary: 'Logs what it is configured with, at level debug, and sends requests to the node that it names.',
  details:
    'With `ip` and `port`, that node takes the place of the upstream of the route, which then needs none.\n\n`GET /v1/plugin/example-plugin/hello` on the control port answers `world`.',
  stage: 'authorize',
  priority: 0,
  config: Type.Object(
    {
      i: Type.Number({ minimum: 0, description: 'A number.' }),
      s: Type.Optional(Type.String({ description: 'A text.' })),
      t: Type.Optional(Type.Array(Type.Unsafe<unknown>({}), { minItems: 1, description: 'A list.' })),
      ip: Type.Optional(Type.String({ description: 'Address of a node.' })),
      port: Type.Optional(Type.Integer({ description: 'Its port.' })),
    },
    { ...openInApisix, ...derivedUpstream(nodeOf) },
  ),
  metadata: Type.Object(
    {
      ikey: Type.Number({ minimum: 0, description: 'A number.' }),
      skey: Type.String({ description: 'A text.' }),
    },
    openInApisix,
  ),
  answers: (config) => nodeOf(config) !== undefined,
  validate: ({ ip, port }) =>
    ip !== undefined && (port === undefined || port < 1 || port > 65_535)
      ? 'a node has an ip and a port'
      : undefined,
  create({ i, s, ...node }, { log, upstream }) {
    const handle = nodeOf(node) === undefined ? undefined : upstream({ path: [] })
    return {
      ...(handle !== undefined && {
        request(exchange) {
          exchange.sendTo(handle)
        },
      }),
      observe: () => log.debug({ i, s }, 'example-plugin saw a request'),
    }
  },
})
