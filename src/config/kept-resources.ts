/**
 * The kinds of resource that the Admin API takes and that are not part of a plan themselves: definitions of gRPC messages
 * and routes for TCP and UDP, which no traffic asks for yet, as Apache APISIX 3.18 has them; and API7's certificates.
 */
import { bookkeeping, desc, host, id, inlineUpstream, labels, name, ownId, plugins } from './resources.ts'
import { caCertificateSchema, certificateSchema, sniSchema } from './sni-resources.ts'
import { Type } from './type.ts'

export const protoSchema = Type.Object(
  {
    id: ownId('definition'),
    name: name(),
    desc: desc(),
    labels: labels(),
    content: Type.String({
      minLength: 1,
      maxLength: 1_048_576,
      description: 'The text of a `.proto` file, or a compiled descriptor in Base64.',
    }),
    ...bookkeeping(),
  },
  { description: 'Definitions of gRPC messages.' },
)

export const streamRouteSchema = Type.Object(
  {
    id: ownId('route'),
    name: name(),
    desc: desc(),
    labels: labels(),
    remote_addr: Type.Optional(Type.String({ format: 'cidr', description: 'Address of the client.' })),
    server_addr: Type.Optional(Type.String({ format: 'cidr', description: 'Address that it connected to.' })),
    server_port: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_535, description: 'Port that it connected to.' }),
    ),
    sni: Type.Optional(host('The name that it asked for in TLS.')),
    upstream: inlineUpstream(),
    upstream_id: id('The upstream.'),
    service_id: id('The service.'),
    plugins: Type.Optional(plugins('Policies by name.')),
    protocol: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        properties: {
          name: { type: 'string' },
          superior_id: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
          conf: { type: 'object' },
          logger: { type: 'array' },
        },
        required: ['name'],
        description: 'A protocol above TCP.',
      }),
    ),
    ...bookkeeping(),
  },
  { description: 'Where TCP and UDP traffic goes.' },
)

/** By the kind's name in the Admin API. */
export const keptSchemas = {
  protos: protoSchema,
  stream_routes: streamRouteSchema,
  certificates: certificateSchema,
  ca_certificates: caCertificateSchema,
  snis: sniSchema,
} as const
