/**
 * The kinds of resource that the Admin API takes and keeps, and that no traffic asks for yet: certificates, definitions
 * of gRPC messages, and routes for TCP and UDP. As Apache APISIX 3.18 has them.
 */
import { bookkeeping, desc, host, id, inlineUpstream, labels, name, ownId, plugins } from './resources.ts'
import { Type } from './type.ts'

const certificate = (description: string) => Type.String({ minLength: 128, maxLength: 65_536, description })
const privateKey = (description: string) => Type.String({ minLength: 64, maxLength: 65_536, description })

export const sslSchema = Type.Object(
  {
    id: ownId('certificate'),
    desc: desc(),
    labels: labels(),
    type: Type.Optional(
      Type.Enum(['server', 'client'], {
        default: 'server',
        description: '`server`: shown to clients; `client`: shown to upstreams.',
      }),
    ),
    cert: Type.Optional(certificate('The certificate, with its chain, in PEM.')),
    key: Type.Optional(privateKey('Its private key, in PEM. Never answered.')),
    sni: Type.Optional(host('The name that it is for.')),
    snis: Type.Optional(Type.Array(host('A name.'), { minItems: 1, description: 'Several names.' })),
    certs: Type.Optional(
      Type.Array(certificate('A certificate.'), {
        description: 'Further certificates of other kinds of key.',
      }),
    ),
    keys: Type.Optional(Type.Array(privateKey('A private key.'), { description: 'Their private keys.' })),
    client: Type.Optional(
      Type.Object(
        {
          ca: certificate('Certificates that sign those of clients, in PEM.'),
          depth: Type.Optional(Type.Integer({ minimum: 0, default: 1, description: 'Longest chain.' })),
          skip_mtls_uri_regex: Type.Optional(
            Type.Array(Type.String(), {
              minItems: 1,
              uniqueItems: true,
              description: 'Paths that are served without a certificate of the client.',
            }),
          ),
        },
        { description: 'What is asked of clients.' },
      ),
    ),
    status: Type.Optional(Type.Enum([1, 0], { default: 1, description: '0: switched off.' })),
    ssl_protocols: Type.Optional(
      Type.Array(Type.Enum(['TLSv1.1', 'TLSv1.2', 'TLSv1.3']), {
        maxItems: 3,
        uniqueItems: true,
        description: 'Versions of TLS.',
      }),
    ),
    ...bookkeeping(),
  },
  {
    description: 'A certificate.',
    if: { properties: { type: { enum: ['server'] } } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { oneOf: [{ required: ['sni', 'key', 'cert'] }, { required: ['snis', 'key', 'cert'] }] },
    else: { required: ['key', 'cert'] },
  },
)

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
  ssls: sslSchema,
  protos: protoSchema,
  stream_routes: streamRouteSchema,
} as const
