/**
 * The one schema of every resource: types, defaults, checks and the reference pages come from it. Names, defaults and
 * patterns are those of Apache APISIX 3.18; `contracts` are our own, and `path_prefix` and `paths` come from API7.
 *
 * Annotations of our own: `x-unsupported` on an object names fields that APISIX has and this version has not, each
 * with what it is for; on an enumeration it lists such values. Both become findings instead of being ignored, and
 * `x-instead` holds the hint for a field that can be expressed in another way.
 */
import { serviceRegistryFields } from './discovery.ts'
import { checksSchema, outlierEjectionSchema, panicThresholdSchema } from './health-checks.ts'
import { methods } from './methods.ts'
import {
  type Plugins,
  proxyProtocolVersions,
  type ResourceKind,
  retriableGrpcStatuses,
  tlsProtocols,
} from './plan.ts'
import { type Static, Type } from './type.ts'

const idForm = { 'x-form': 'letters, digits, `-`, `_` and `.`, or a positive whole number' }

export const id = (description: string) =>
  Type.Optional(
    Type.Union(
      [
        Type.String({ pattern: '^[a-zA-Z0-9-_.]+$', minLength: 1, maxLength: 256, ...idForm }),
        Type.Integer({ minimum: 1 }),
      ],
      { description, ...idForm },
    ),
  )

export const ownId = (kind: string) =>
  id(
    `Identity of the ${kind}, unique among its kind. Without one it is called \`arr_N\` by its place in the configuration, as APISIX does, and keeps neither counters nor connections when that place changes.`,
  )

export const plugins = (description: string) =>
  Type.Unsafe<Plugins>({ type: 'object', additionalProperties: { type: 'object' }, description })

export const name = () =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 65_536, description: 'For people and logs.' }))
export const desc = () =>
  Type.Optional(Type.String({ maxLength: 65_536, description: 'Free text. Has no effect.' }))
export const labels = (description = 'Key and value pairs for people and tools. Have no effect.') =>
  Type.Optional(Type.Record(Type.String(), Type.String({ minLength: 1, maxLength: 65_536 }), { description }))

export const bookkeeping = () => ({
  create_time: Type.Optional(
    Type.Integer({ description: 'Written by the APISIX Admin API; has no effect.' }),
  ),
  update_time: Type.Optional(
    Type.Integer({ description: 'Written by the APISIX Admin API; has no effect.' }),
  ),
})

export const host = (description: string) =>
  Type.String({
    pattern: '^\\*?[0-9a-zA-Z-._\\[\\]:]+$',
    maxLength: 255,
    description,
    'x-form': 'a host name, or one with a leading wildcard such as `*.example.com`',
  })
const hosts = (description: string) =>
  Type.Optional(Type.Array(host('A host name.'), { minItems: 1, uniqueItems: true, description }))

const path = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description })
const paths = (description: string) =>
  Type.Optional(Type.Array(path('A path.'), { minItems: 1, uniqueItems: true, description }))

const address = (description: string) => Type.String({ format: 'cidr', description })

/** Read by `expression.ts`, which has words of its own for what is wrong in it. */
export const conditions = (description: string) =>
  Type.Unsafe<unknown[]>({
    type: 'array',
    description: `${description}: \`[[VARIABLE, OPERATOR, VALUE], ...]\`; see [conditions](../guides/match-requests.md).`,
  })

const status = (what: string) =>
  Type.Optional(Type.Enum([0, 1], { default: 1, description: `1: in use; 0: left out, as if ${what}.` }))

const seconds = (description: string) => Type.Number({ exclusiveMinimum: 0, description })

const timeout = (description: string) =>
  Type.Optional(
    Type.Object(
      {
        connect: seconds('To open a connection, in seconds.'),
        send: seconds('Between two writes of the request, in seconds.'),
        read: seconds('Between two reads of the response, in seconds.'),
      },
      { description },
    ),
  )

const nodeSchema = Type.Object({
  host: Type.String({
    pattern: '^[0-9a-zA-Z-._\\[\\]:]+$',
    minLength: 1,
    description: 'Address or host name. Names are resolved again when their record expires.',
    'x-form': 'a host name or an IP address',
  }),
  port: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_535,
      description: 'Port; 80 when absent, or 443 with `scheme: https` or `grpcs`.',
    }),
  ),
  weight: Type.Integer({ minimum: 0, description: 'Share of the traffic; 0 takes none.' }),
  priority: Type.Optional(
    Type.Integer({
      default: 0,
      description: 'Nodes of a lower priority are used when those of a higher one were all tried.',
    }),
  ),
  metadata: Type.Optional(
    Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'Has no effect.' }),
  ),
})

const limitOf = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000, description }))

export const certificate = (description: string) =>
  Type.String({ minLength: 128, maxLength: 65_536, description })
export const privateKey = (description: string) =>
  Type.String({ minLength: 64, maxLength: 65_536, description, 'x-secret': true })

export const upstreamSchema = Type.Object(
  {
    id: ownId('upstream'),
    name: name(),
    desc: desc(),
    labels: labels(),
    type: Type.Optional(
      Type.String({
        default: 'roundrobin',
        'x-form': '`roundrobin`, `chash`, `least_conn`, `ewma`',
        description:
          'How a node is chosen: `roundrobin` in turn, smoothly by weight; `chash` by a hash of the request, so that the same `key` goes to the same node; `least_conn` the one with the fewest requests under way for its weight; `ewma` the faster of two that are drawn by lot.',
      }),
    ),
    hash_on: Type.Optional(
      Type.Enum(['vars', 'header', 'cookie', 'consumer', 'vars_combinations'], {
        default: 'vars',
        description:
          'Where `chash` finds its key: a variable, a field of the request, a cookie, the name of the consumer, or a text with `$variables`. Requests without a value are told apart by the address of their client.',
      }),
    ),
    key: Type.Optional(
      Type.String({
        description:
          'What `chash` hashes: the name of the variable (`uri`, `server_name`, `server_addr`, `request_uri`, `remote_port`, `remote_addr`, `query_string`, `host`, `hostname`, `mqtt_client_id` or `arg_*`), of the field or of the cookie, or the text. Not for `hash_on: consumer`.',
      }),
    ),
    hash_balance_factor: Type.Optional(
      Type.Integer({
        minimum: 101,
        maximum: 10_000,
        description:
          'Bounds the load with `chash`: no node has more under way than this many percent of its share, and what is beyond goes to the next node on the ring. No bound without it. Not in APISIX.',
      }),
    ),
    slow_start: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 3600,
        default: 0,
        description:
          'Seconds in which a node that joins, or is healthy again, comes up to its full share. Not with `chash`, whose keys have to stay. Not in APISIX.',
      }),
    ),
    nodes: Type.Optional(
      Type.Union(
        [
          Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
            description: 'Map of `host:port` to weight.',
          }),
          Type.Array(nodeSchema, { description: 'List of nodes.' }),
        ],
        {
          description:
            'The endpoints: a map of `host:port` to weight, or a list. Required, unless a registry knows them.',
        },
      ),
    ),
    service_name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description:
          'The service whose nodes a registry knows, in place of `nodes`; requires `discovery_type`. Its form depends on the registry.',
      }),
    ),
    discovery_type: Type.Optional(
      Type.String({
        description:
          'The registry: `dns`, `consul`, `kubernetes` or `nacos`, as set up under `gateway.discovery`.',
      }),
    ),
    discovery_args: Type.Optional(
      Type.Object(
        {
          namespace_id: Type.Optional(
            Type.String({ description: 'Nacos: the namespace; `public` when absent.' }),
          ),
          group_name: Type.Optional(
            Type.String({ description: 'Nacos: the group; `DEFAULT_GROUP` when absent.' }),
          ),
          metadata: Type.Optional(
            Type.Record(Type.String(), Type.String(), {
              description: 'Consul and Nacos: only nodes that have all of this metadata.',
            }),
          ),
        },
        { additionalProperties: true, description: 'What else the registry has to know.' },
      ),
    ),
    scheme: Type.Optional(
      Type.Enum(['http', 'https', 'grpc', 'grpcs', 'tcp', 'tls', 'udp', 'kafka'], {
        default: 'http',
        description:
          'Protocol towards the nodes: HTTP/1.1, or gRPC over HTTP/2, each with TLS or without. `tcp`, `tls` and `udp` are for [stream routes](#stream_routes), where anything but `tls` means the bytes as they come. `kafka` is known and not spoken yet.',
      }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          client_cert: Type.Optional(certificate('Shown to the nodes, with its chain, in PEM.')),
          client_key: Type.Optional(privateKey('Its private key, in PEM.')),
          client_cert_id: id(
            'One of [ssls](#ssls), of `type: client`, in place of `client_cert` and `client_key`.',
          ),
          verify: Type.Optional(
            Type.Boolean({
              description:
                'Whether the certificate of a node has to be valid for the name that it is asked by. Default: `gateway.upstream_tls.verify`.',
            }),
          ),
        },
        {
          description: 'For `scheme: https`, `grpcs` and `tls`.',
          dependencies: {
            client_cert: ['client_key'],
            client_key: ['client_cert'],
            client_cert_id: { not: { required: ['client_cert', 'client_key'] } },
          },
        },
      ),
    ),
    client_certificate: id('One of [certificates](#certificates), which is shown to the nodes, as in API7.'),
    ca_certificates: Type.Optional(
      Type.Array(Type.String({ minLength: 1, description: 'Its id.' }), {
        description:
          'Ids of [ca_certificates](#ca_certificates), as in API7: one of them has signed the certificate of a node, which is verified unless `tls_verify` is false.',
      }),
    ),
    tls_verify: Type.Optional(
      Type.Boolean({ description: '`tls.verify`, as API7 has it, and in place of it.' }),
    ),
    pass_host: Type.Optional(
      Type.Enum(['pass', 'node', 'rewrite'], {
        default: 'pass',
        description:
          '`Host` towards the node: the client’s (`pass`), the node’s (`node`) or `upstream_host` (`rewrite`).',
      }),
    ),
    upstream_host: Type.Optional(host('`Host` for `pass_host: rewrite`, which requires it.')),
    retries: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        description: 'Further nodes to try when one fails; without it, as many as there are other nodes.',
      }),
    ),
    retry_grpc_statuses: Type.Optional(
      Type.Array(Type.Enum(retriableGrpcStatuses), {
        minItems: 1,
        uniqueItems: true,
        description:
          'Statuses of gRPC after which another node is tried, for `grpc` and `grpcs`: where the answer is nothing but a status, and what was sent of the call is at hand. A method that may not run twice has no place behind such an upstream. Not in APISIX.',
      }),
    ),
    retry_timeout: Type.Optional(
      Type.Number({
        minimum: 0,
        default: 0,
        description: 'Seconds after which no further try begins; 0 is no limit.',
      }),
    ),
    timeout: timeout(
      'Timeouts towards the nodes; 60 s each when absent. The longer of `send` and `read`, when given, is how long a TCP or UDP session may be silent.',
    ),
    proxy_protocol: Type.Optional(
      Type.Enum(proxyProtocolVersions, {
        description:
          'Tell the nodes who the client is: a header of the PROXY protocol stands in front of every TCP session, and of every connection for requests, which then serves one client only. Not in APISIX, where the port says it.',
      }),
    ),
    circuit_breaker: Type.Optional(
      Type.Object(
        {
          max_connections: limitOf('Connections that are open, idle ones among them.'),
          max_pending: limitOf('Connections that are being opened.'),
          max_pools: limitOf(
            'Pools of connections: each thread has one for each node, name in TLS and, where nodes are told of clients, client. Pools that nobody uses make room.',
          ),
          max_requests: limitOf('Requests under way.'),
          max_retries: limitOf(
            'Requests under way in a second or later try; beyond, the first failure stands.',
          ),
        },
        {
          description:
            'What all threads together may use of this upstream. Beyond a limit, a request is answered with 503 at once; with 0 there is none of the kind. No limit where none is given. Not in APISIX.',
        },
      ),
    ),
    keepalive_pool: Type.Optional(
      Type.Object(
        {
          size: Type.Optional(
            Type.Integer({
              minimum: 1,
              default: 320,
              description: 'Idle connections kept per node and thread.',
            }),
          ),
          idle_timeout: Type.Optional(
            Type.Number({
              minimum: 0,
              default: 60,
              description: 'Seconds after which an idle one is closed.',
            }),
          ),
          requests: Type.Optional(
            Type.Integer({ minimum: 1, default: 1000, description: 'Requests after which one is closed.' }),
          ),
        },
        { default: {}, description: 'The pool of idle connections.' },
      ),
    ),
    checks: Type.Optional(checksSchema),
    outlier_ejection: Type.Optional(outlierEjectionSchema),
    panic_threshold: Type.Optional(panicThresholdSchema),
    ...bookkeeping(),
  },
  {
    description: 'Where requests go: a set of endpoints and how to talk to them.',
    oneOf: [{ required: ['nodes'] }, { required: ['service_name', 'discovery_type'] }],
    'x-unsupported': {
      k8s_deployment_info: 'service discovery',
    },
  },
)

/** Its fields are checked on their own, so that their schema is compiled once and not in every schema that holds it. */
export const inlineUpstream = () =>
  Type.Optional(
    Type.Unsafe<Static<typeof upstreamSchema>>({
      type: 'object',
      description: 'The upstream, written in place; see [upstreams](#upstreams).',
    }),
  )

const addedArguments = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description }))

export const costDecorationSchema = Type.Object(
  {
    id: id('Identity of the decoration, unique within its service.'),
    name: name(),
    desc: desc(),
    labels: labels(),
    field_path: Type.String({
      pattern: '^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$',
      description:
        'A type, for every field that returns it; `TYPE.FIELD`, wherever it is selected; or further fields, for one chain of selections: `Query.products.nodes`.',
      'x-form': 'names with dots between them',
    }),
    add_value: Type.Number({ minimum: 0, default: 1, description: 'What the field costs itself.' }),
    add_arguments: addedArguments('Arguments of the query whose values are added to `add_value`.'),
    mul_value: Type.Number({
      minimum: 0,
      default: 1,
      description: 'What the costs of everything below the field are multiplied by.',
    }),
    mul_arguments: addedArguments('Arguments of the query whose values `mul_value` is multiplied by.'),
    ...bookkeeping(),
  },
  { description: 'What one place in the GraphQL schema of a service costs, for `graphql-limit-count`.' },
)

export const serviceSchema = Type.Object(
  {
    id: ownId('service'),
    name: name(),
    desc: desc(),
    labels: labels(),
    type: Type.Optional(
      Type.Enum(['http', 'stream'], {
        default: 'http',
        description: 'Kind of traffic: its policies are for routes, or for stream routes.',
      }),
    ),
    hosts: hosts('Hosts of its routes that name none themselves.'),
    path_prefix: Type.Optional(
      Type.String({
        pattern: '^/',
        maxLength: 4096,
        description: 'Put in front of the paths of its routes.',
        'x-form': 'a path that starts with `/`',
      }),
    ),
    strip_path_prefix: Type.Optional(
      Type.Boolean({ default: true, description: 'Cut `path_prefix` from the path that the upstream sees.' }),
    ),
    status: status('it and its routes were not there'),
    enable_websocket: Type.Optional(
      Type.Boolean({ description: 'For its routes that do not say themselves.' }),
    ),
    plugins: Type.Optional(plugins('Policies of all its routes; a route’s own of the same name wins.')),
    upstream_id: id('The upstream of its routes that name none themselves.'),
    upstream: inlineUpstream(),
    graphql_cost_decorations: Type.Optional(
      Type.Array(costDecorationSchema, {
        description:
          'What places in its GraphQL schema cost. An item of the list of services with the id `SERVICE/graphql_cost_decorations/ID` means the same.',
      }),
    ),
    ...bookkeeping(),
  },
  {
    description:
      'An API: what its routes have in common. In files it may hold further `upstreams` beside its own, each with a `name`: upstreams like others, called `SERVICE.NAME` unless they have an `id`.',
  },
)

export const routeSchema = Type.Object(
  {
    id: ownId('route'),
    name: name(),
    desc: desc(),
    labels: labels(),
    uri: Type.Optional(path('The path: exact (`/a`) or a prefix (`/a/*`).')),
    uris: paths('Several paths; excludes `uri` and `paths`.'),
    paths: paths('API7’s name for `uris`.'),
    host: Type.Optional(host('The host, with a leading wildcard if need be; any host when absent.')),
    hosts: hosts('Several hosts; excludes `host`.'),
    methods: Type.Optional(
      Type.Array(Type.Enum(methods), {
        uniqueItems: true,
        description: 'Methods; any when absent or empty.',
      }),
    ),
    remote_addr: Type.Optional(address('Address of the client, or a CIDR block that holds it.')),
    remote_addrs: Type.Optional(
      Type.Array(address('An address or a CIDR block.'), {
        minItems: 1,
        uniqueItems: true,
        description: 'Several of them; excludes `remote_addr`.',
      }),
    ),
    vars: Type.Optional(conditions('Conditions on variables of the request, which all have to hold')),
    priority: Type.Optional(
      Type.Integer({
        default: 0,
        description: 'Among routes with the same host and path, the highest that matches wins.',
      }),
    ),
    status: status('it was not there'),
    service_id: id('The service whose hosts, policies and upstream it takes where it has none itself.'),
    plugins: Type.Optional(
      plugins('Policies by name. They win over those of `plugin_config_id` and of the service.'),
    ),
    plugin_config_id: id('A set of policies that it shares with other routes.'),
    upstream_id: id('The upstream; excludes `upstream`.'),
    upstream: inlineUpstream(),
    timeout: timeout('Timeouts that win over those of the upstream.'),
    enable_websocket: Type.Optional(
      Type.Boolean({ description: 'Let connections be upgraded. Default: what its service says, or no.' }),
    ),
    ...bookkeeping(),
  },
  {
    description: 'Which requests are served, and how. Requires one of `uri`, `uris` and `paths`.',
    'x-unsupported': {
      service_protocol: 'other protocols',
    },
  },
)

export const serverName = (description: string) =>
  Type.String({
    pattern: '^(\\*|\\*?[0-9a-zA-Z-._\\[\\]:]+)$',
    maxLength: 255,
    description,
    'x-form': 'a host name, or one with a leading wildcard such as `*.example.com`',
  })

export const streamRouteSchema = Type.Object(
  {
    id: ownId('route'),
    name: name(),
    desc: desc(),
    labels: labels(),
    remote_addr: Type.Optional(
      address('Address of the client, or a CIDR block that holds it; any when absent.'),
    ),
    server_addr: Type.Optional(address('Address that it connected to, or a CIDR block; any when absent.')),
    server_port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: 'Port that it connected to; any when absent.',
      }),
    ),
    sni: Type.Optional(
      serverName(
        'The name that it asked for in TLS, with a leading wildcard if need be. Routes with a name come before those without.',
      ),
    ),
    service_id: id('The service whose policies and upstream it takes where it has none itself.'),
    plugins: Type.Optional(
      plugins('Policies by name, of those that run on streams. They win over those of the service.'),
    ),
    upstream_id: id('The upstream; excludes `upstream`.'),
    upstream: inlineUpstream(),
    protocol: Type.Optional(
      Type.Unsafe<{ name: string; superior_id?: string | number }>({
        type: 'object',
        properties: {
          name: { type: 'string', description: 'Its name. Has no effect.' },
          superior_id: {
            anyOf: [{ type: 'string' }, { type: 'integer' }],
            description: 'The stream route whose calls it is for.',
          },
          conf: { type: 'object', description: 'Has no effect.' },
          logger: { type: 'array', description: 'Has no effect.' },
        },
        required: ['name'],
        description:
          'A protocol above TCP, which APISIX takes apart. Here the bytes pass as they are; a route with `superior_id`, which is for single calls of such a protocol, takes no session.',
      }),
    ),
    ...bookkeeping(),
  },
  {
    description:
      'Where TCP and UDP sessions go that come in at listeners with `protocol: tcp`, `tls` or `udp`. The first one that fits takes the session, in the order of the configuration; where none does, the connection is closed without a byte. See [streams](../guides/streams.md).',
  },
)

export const credentialSchema = Type.Object(
  {
    id: id('Identity of the credential, unique within its consumer.'),
    name: name(),
    desc: desc(),
    labels: labels(),
    plugins: plugins('Exactly one authentication policy with what identifies this consumer.'),
    ...bookkeeping(),
  },
  { description: 'One way for a consumer to identify itself.' },
)

export const consumerSchema = Type.Object(
  {
    username: Type.String({
      pattern: '^[a-zA-Z0-9_\\-]+$',
      minLength: 1,
      maxLength: 512,
      description: 'Identity of the consumer, unique.',
      'x-form': 'letters, digits, `-` and `_`',
    }),
    desc: desc(),
    labels: labels('Key and value pairs; `custom_id` is sent to upstreams as `X-Consumer-Custom-ID`.'),
    plugins: Type.Optional(
      plugins(
        'Authentication policies with what identifies this consumer, and policies that run for its requests and win over those of its group, route and service.',
      ),
    ),
    group_id: id('The consumer group whose policies its requests get too.'),
    credentials: Type.Optional(
      Type.Array(credentialSchema, {
        default: [],
        description:
          'Further ways to identify itself. An item of the list of consumers with the id `USERNAME/credentials/ID` means the same, as in APISIX.',
      }),
    ),
    ...bookkeeping(),
  },
  {
    description: 'Who calls: a client application or a person.',
  },
)

export const contractSchema = Type.Object(
  {
    id: ownId('contract'),
    desc: desc(),
    labels: labels(),
    consumer: Type.String({ minLength: 1, description: 'Username of the client application.' }),
    service_id: id('The API that it is for; excludes `route_id`. With neither, it is for every API.'),
    route_id: id('A single route that it is for.'),
    tier: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Name of a tier of the SLA policy of that API. None: the contract says only who may use it.',
      }),
    ),
    ...bookkeeping(),
  },
  {
    description: 'What a client application was promised: the tier that it has at an API.',
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
      description: 'The text of a `.proto` file, or a descriptor set of `protoc` in Base64.',
    }),
    ...bookkeeping(),
  },
  { description: 'Definitions of gRPC messages and services, for `grpc-transcode`.' },
)

export const pluginSetSchema = Type.Object(
  {
    id: ownId('set'),
    name: name(),
    desc: desc(),
    labels: labels(),
    plugins: plugins('Policies by name.'),
    ...bookkeeping(),
  },
  { description: 'A set of policies that routes share through `plugin_config_id`.' },
)

export const consumerGroupSchema = Type.Object(
  { ...pluginSetSchema.properties },
  {
    description:
      'Policies of consumers that name it as `group_id`. They win over those of route and service, and the consumer’s own win over them.',
  },
)

export const globalRuleSchema = Type.Object(
  { ...pluginSetSchema.properties },
  {
    description:
      'Policies that run for every request, before those of the route. A policy may be in one rule only.',
  },
)

export const pluginMetadataSchema = Type.Object(
  {
    id: Type.String({ minLength: 1, description: 'Name of the policy.' }),
    ...bookkeeping(),
  },
  {
    additionalProperties: true,
    description: 'What one policy shares among all its uses. Its other fields are those of that policy.',
  },
)

export const sslSchema = Type.Object(
  {
    id: ownId('certificate'),
    desc: desc(),
    labels: labels(),
    type: Type.Optional(
      Type.Enum(['server', 'client', 'authority'], {
        default: 'server',
        description:
          '`server`: shown to clients; `client`: shown to upstreams that name it; `authority`: signs those of nodes, which is what [ca_certificates](#ca_certificates) become.',
      }),
    ),
    cert: Type.Optional(certificate('The certificate, with its chain, in PEM.')),
    key: Type.Optional(privateKey('Its private key, in PEM. Never answered.')),
    sni: Type.Optional(
      serverName(
        'The name that it is for; a leading `*` stands for one label, and `*` alone for every name.',
      ),
    ),
    snis: Type.Optional(Type.Array(serverName('A name.'), { minItems: 1, description: 'Several names.' })),
    certs: Type.Optional(
      Type.Array(certificate('A certificate.'), {
        description: 'Further certificates for the same names, of other kinds of key.',
      }),
    ),
    keys: Type.Optional(
      Type.Array(privateKey('A private key.'), {
        description: 'Their private keys, in the same order.',
        'x-secret': true,
      }),
    ),
    client: Type.Optional(
      Type.Object(
        {
          ca: certificate('Certificates that sign those of clients, in PEM.'),
          depth: Type.Optional(
            Type.Integer({
              minimum: 0,
              default: 1,
              description: 'How many certificates there may be between that of a client and one of `ca`.',
            }),
          ),
          skip_mtls_uri_regex: Type.Optional(
            Type.Array(Type.String(), {
              minItems: 1,
              uniqueItems: true,
              description:
                'Regular expressions of paths that are served without a certificate of the client. With it, a request for any other is answered with 400 where the handshake would fail otherwise.',
            }),
          ),
        },
        { description: 'What clients have to show.' },
      ),
    ),
    status: Type.Optional(
      Type.Enum([1, 0], { default: 1, description: '1: in use; 0: left out, as if it was not there.' }),
    ),
    ssl_protocols: Type.Optional(
      Type.Array(Type.Enum(tlsProtocols), {
        maxItems: 3,
        uniqueItems: true,
        description: 'Versions of TLS for these names, without a gap. Default: `gateway.tls.protocols`.',
      }),
    ),
    ...bookkeeping(),
  },
  {
    description:
      'Certificates by the names that clients ask for in the handshake, and those that are shown to upstreams. `cert`, `key` and the like may be references to secrets. See [TLS](../guides/tls.md).',
    if: { properties: { type: { enum: ['server'] } } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { oneOf: [{ required: ['sni', 'key', 'cert'] }, { required: ['snis', 'key', 'cert'] }] },
    else: {
      if: { properties: { type: { enum: ['client'] } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
      then: { required: ['key', 'cert'] },
      else: { required: ['cert'] },
    },
  },
)

export const serviceRegistrySchema = Type.Object(
  {
    id: ownId('registry'),
    name: name(),
    desc: desc(),
    description: Type.Optional(Type.String({ maxLength: 65_536, description: 'Free text. Has no effect.' })),
    labels: labels(),
    ...serviceRegistryFields,
    health_check: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description: 'Has no effect: what is asked of a registry all the time shows whether it is well.',
      }),
    ),
    ...bookkeeping(),
  },
  {
    description:
      'A registry as API7 has them. Upstreams name it in front of their `service_name`: `ID/NAMESPACE/SERVICE:PORT` for Kubernetes, `ID/NAMESPACE/GROUP/SERVICE` for Nacos.',
  },
)

/** Its other fields are those of `secretManagerSchemas`, by the first part of the id. */
export const secretSchema = Type.Object(
  {
    id: Type.String({
      pattern: '^[a-z]+/[a-zA-Z0-9-_.]+$',
      maxLength: 256,
      description: 'Identity: the kind of manager and a name of your own.',
      'x-form': 'MANAGER/ID, such as vault/1',
    }),
  },
  {
    additionalProperties: true,
    description:
      'Where secrets are kept that the configuration of policies refers to with `$secret://MANAGER/ID/KEY`. The other fields are those of the kind of manager, below. `secret_providers`, as API7 calls them, means the same.',
  },
)

export const metaSchema = Type.Object(
  {
    disable: Type.Optional(
      Type.Boolean({ description: 'The policy does not run, and its configuration is not checked.' }),
    ),
    filter: Type.Optional(
      Type.Unsafe<unknown[]>({
        type: 'array',
        description:
          'A condition on variables: the policy runs where it holds, and is skipped in every phase where it does not. Decided once per request, in the first phase that the policy has.',
      }),
    ),
    priority: Type.Optional(Type.Integer({ description: 'Its place in the chain; higher runs earlier.' })),
    order: Type.Optional(
      Type.Integer({
        description:
          'Its place among policies that have an order: lower runs earlier, whatever they do. All of them run after those that have none. Not in APISIX; bindings of Flex Gateway have it.',
      }),
    ),
    error_response: Type.Optional(
      Type.Union([Type.String(), Type.Unsafe<Record<string, unknown>>({ type: 'object' })], {
        description: 'Body of every answer of this policy with a status from 400 on.',
      }),
    ),
    mode: Type.Optional(
      Type.Enum(['enforce', 'shadow'], {
        description: '`shadow` records what the policy would have answered and lets the request pass.',
      }),
    ),
    on_error: Type.Optional(
      Type.Enum(['fail', 'continue'], {
        description: 'When the policy itself breaks: deny the request, or go on without it.',
      }),
    ),
  },
  {
    description: 'The envelope that every policy takes under `_meta`.',
    'x-unsupported': { pre_function: 'Lua functions' },
    'x-instead': {
      pre_function:
        'Lua is not run here. Put a condition into `_meta.filter`, and what changes the request into a policy of its own (docs/guides/write-a-policy.md) with a higher priority.',
    },
  },
)

/** The schema of an item of each top-level list. */
export const resourceSchemas = {
  routes: routeSchema,
  stream_routes: streamRouteSchema,
  services: serviceSchema,
  upstreams: upstreamSchema,
  consumer_groups: consumerGroupSchema,
  consumers: consumerSchema,
  contracts: contractSchema,
  protos: protoSchema,
  plugin_configs: pluginSetSchema,
  global_rules: globalRuleSchema,
  plugin_metadata: pluginMetadataSchema,
  service_registries: serviceRegistrySchema,
  ssls: sslSchema,
  secrets: secretSchema,
} as const satisfies Record<ResourceKind, object>

export type SslInput = Static<typeof sslSchema>
export type UpstreamInput = Static<typeof upstreamSchema>
export type ServiceInput = Static<typeof serviceSchema>
export type CostDecorationInput = Static<typeof costDecorationSchema>
export type RouteInput = Static<typeof routeSchema>
export type StreamRouteInput = Static<typeof streamRouteSchema>
export type CredentialInput = Static<typeof credentialSchema>
export type ConsumerInput = Static<typeof consumerSchema>
export type ProtoInput = Static<typeof protoSchema>
export type ContractInput = Static<typeof contractSchema>
export type ServiceRegistryInput = Static<typeof serviceRegistrySchema>
export type PluginSetInput = Static<typeof pluginSetSchema>
