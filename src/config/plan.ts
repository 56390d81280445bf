/**
 * What `config/` hands to the rest of the gateway: resources that were checked, with every default filled in.
 * Everything here survives a structured clone, because plans travel from the control thread to the data threads.
 */
import type { RegistrySettings } from './discovery.ts'
import type { ChecksSpec, OutlierEjectionSpec } from './health-checks.ts'
import type { ProtoDefinitions } from './proto/definitions.ts'
import type { Settings } from './settings.ts'

/** Policies by name with their configuration, as an operator wrote it plus defaults; `_meta` is the common envelope. */
export type Plugins = Record<string, PluginConfig>
export type PluginConfig = Record<string, unknown> & { _meta?: PluginMeta }

/** The envelope that every policy binding takes (APISIX `_meta`, plus our `mode` and `on_error`). */
export interface PluginMeta {
  disable?: boolean
  /** A condition on variables, as `vars` of a route. */
  filter?: unknown[]
  priority?: number
  /** Comes after everything that has none; lower first. */
  order?: number
  error_response?: string | Record<string, unknown>
  mode?: 'enforce' | 'shadow'
  on_error?: 'fail' | 'continue'
  /**
   * Set by the control thread: the configuration holds secrets that took the place of references, or nothing of it is
   * left because one is missing.
   */
  secrets?: 'present' | 'missing'
}

/** Seconds, as APISIX has them. */
export interface Timeout {
  connect: number
  send: number
  read: number
}

export interface NodeSpec {
  host: string
  port: number
  /** 0 takes no traffic. */
  weight: number
  /** Higher groups first. */
  priority: number
}

/** Of nodes that name none, by scheme. */
export const standardPorts = {
  http: 80,
  https: 443,
  grpc: 80,
  grpcs: 443,
  h2c: 80,
  h2: 443,
  tcp: 0,
  tls: 0,
  udp: 0,
  kafka: 0,
} as const

/** `h2` and `h2c` are HTTP/2 with and without TLS for whatever is no gRPC; only a dialect asks for them. */
export type Scheme = keyof typeof standardPorts

const grpcSchemes: ReadonlySet<Scheme> = new Set(['grpc', 'grpcs'])
const http2Schemes: ReadonlySet<Scheme> = new Set([...grpcSchemes, 'h2c', 'h2'])
const encryptedSchemes: ReadonlySet<Scheme> = new Set(['https', 'grpcs', 'h2', 'tls'])

/** Schemes of upstreams that HTTP requests can go to. */
export const httpSchemes: ReadonlySet<string> = new Set(['http', 'https', ...http2Schemes])

export const isEncrypted = (scheme: Scheme): boolean => encryptedSchemes.has(scheme)
export const speaksHttp2 = (scheme: Scheme): boolean => http2Schemes.has(scheme)
export const speaksGrpc = (scheme: Scheme): boolean => grpcSchemes.has(scheme)

/** A service whose nodes a registry knows. */
export interface DiscoverySpec {
  /** The same for all that ask the same; node lists travel under it. */
  key: string
  /** One of `discoveryTypes`, or something that this version has no registry for. */
  type: string
  service_name: string
  namespace_id?: string
  group_name?: string
  /** Nodes must have all of it. */
  metadata?: Record<string, string>
  /** Some registries know another port for gRPC. */
  grpc: boolean
}

/** What all threads together may use of an upstream; absent: no limit. */
export interface CircuitBreakerSpec {
  max_connections?: number
  max_pending?: number
  max_pools?: number
  max_requests?: number
  max_retries?: number
}

/** Ways to choose among nodes. */
export const balancings = ['roundrobin', 'chash', 'least_conn', 'ewma'] as const

/** How an upstream is spoken to over TLS, beside what the settings say for all. */
export interface UpstreamTlsSpec {
  /** With its chain, and its private key; PEM. */
  client?: { cert: string; key: string }
  /** Of a certificate among `ssls`. */
  client_cert_id?: string
  /** Of authorities among `ssls`. Absent: as the settings say. */
  authority_ids?: string[]
  /** Absent: as the settings say. */
  verify?: boolean
}

/** Those that Envoy's `retry_on` knows, and those of gRPC's own retry policies. */
export const retriableGrpcStatuses = [
  'cancelled',
  'deadline-exceeded',
  'resource-exhausted',
  'internal',
  'unavailable',
] as const
export type RetriableGrpcStatus = (typeof retriableGrpcStatuses)[number]

export const proxyProtocolVersions = ['v1', 'v2'] as const
export type ProxyProtocolVersion = (typeof proxyProtocolVersions)[number]

export interface UpstreamSpec {
  /**
   * Identity across reloads: `upstream:ID`, `service:ID` or `route:ID` for inline ones, `route:ID/POLICY/PATH` for those of
   * policies. Pools and counters follow it.
   */
  key: string
  id?: string
  name?: string
  /** `unknown`: none that there is; the Admin API takes any name, as APISIX does, and requests fail. */
  type: (typeof balancings)[number] | 'unknown'
  /** For `chash`. */
  hash: {
    on: 'vars' | 'header' | 'cookie' | 'consumer' | 'vars_combinations'
    /** A name or a template; empty for a consumer. */
    key: string
    /** Percent of its share of the load that an endpoint takes at most; 0: no bound. */
    balance_factor: number
  }
  /** Seconds for which an endpoint that began takes less than its weight; 0: it does not. */
  slow_start: number
  /** Empty where a registry knows them. */
  nodes: NodeSpec[]
  discovery?: DiscoverySpec
  scheme: Scheme
  tls?: UpstreamTlsSpec
  pass_host: 'pass' | 'node' | 'rewrite'
  upstream_host?: string
  /** Absent: number of nodes with weight - 1. */
  retries?: number
  /** Absent: none. */
  retry_grpc_statuses?: RetriableGrpcStatus[]
  /** Seconds; 0 is no limit. */
  retry_timeout: number
  timeout: Timeout
  /** Seconds for which a TCP or UDP session may be silent; absent: as the settings say. */
  session_timeout?: number
  /** The version of the PROXY protocol that its nodes are told the client in. */
  proxy_protocol?: ProxyProtocolVersion
  circuit_breaker?: CircuitBreakerSpec
  keepalive_pool: { size: number; idle_timeout: number; requests: number }
  checks?: ChecksSpec
  outlier_ejection?: OutlierEjectionSpec
  /** Percent of endpoints. Absent: 0, all are used when none is usable. */
  panic_threshold?: number
}

export interface RouteSpec {
  id: string
  name?: string
  /** Complete paths: a service's `path_prefix` is already in front. */
  uris: string[]
  /** The route's own, else its service's; empty: any host. Lower case. */
  hosts: string[]
  /** Empty: any method. */
  methods: string[]
  priority: number
  /** Addresses and CIDR blocks of clients; absent: any. */
  remote_addrs?: string[]
  /** As written; `parseExpression` reads it. Absent: no condition. */
  vars?: unknown[]
  plugins?: Plugins
  plugin_config_id?: string
  service_id?: string
  upstream_id?: string
  upstream?: UpstreamSpec
  timeout?: Timeout
  enable_websocket: boolean
  /** Cut from the front of the forwarded path (`path_prefix` of a service with `strip_path_prefix`). */
  strip_prefix?: string
  /** Upstreams that stand in `plugins`. */
  policy_upstreams?: UpstreamSpec[]
}

/** Where connections and datagrams go that are no HTTP. */
export interface StreamRouteSpec {
  id: string
  name?: string
  /** Of the routes that fit, the one with the lowest takes the session. */
  position: number
  /** An address or a CIDR block; absent: any. */
  remote_addr?: string
  server_addr?: string
  server_port?: number
  /** Lower case; with a leading `*` for what stands in its place. */
  sni?: string
  plugins?: Plugins
  service_id?: string
  upstream_id?: string
  upstream?: UpstreamSpec
  /** Upstreams that stand in `plugins`. */
  policy_upstreams?: UpstreamSpec[]
}

/** What one place in the GraphQL schema of a service costs. */
export interface CostDecorationSpec {
  /** A type, and fields that lead on from it: `Product`, `Query.products.nodes`. */
  field_path: string
  add_value: number
  mul_value: number
  /** Arguments whose values are added, and by which is multiplied. */
  add_arguments?: string[]
  mul_arguments?: string[]
}

export interface ServiceSpec {
  id: string
  name?: string
  plugins?: Plugins
  upstream_id?: string
  upstream?: UpstreamSpec
  graphql_cost_decorations?: CostDecorationSpec[]
  /** Upstreams that stand in `plugins`. */
  policy_upstreams?: UpstreamSpec[]
}

export interface CredentialSpec {
  id: string
  /** Exactly one authentication policy. */
  plugins: Plugins
}

export interface ConsumerSpec {
  username: string
  /** The consumer group whose policies come below its own. */
  group_id?: string
  plugins?: Plugins
  credentials: CredentialSpec[]
  labels?: Record<string, string>
  /** Upstreams that stand in `plugins`. */
  policy_upstreams?: UpstreamSpec[]
}

/** A client application's agreement with one API: which tier of the SLA policy it gets there. */
export interface ContractSpec {
  id: string
  consumer: string
  /** The API: a service, or a single route. Neither: every API. */
  service_id?: string
  route_id?: string
  /** Name of a tier in the `sla-rate-limiting` policy of that API; absent: it is about none. */
  tier?: string
}

/** Definitions of gRPC messages, as they were read. */
export interface ProtoSpec extends ProtoDefinitions {
  id: string
}

/** A plugin config, a consumer group or a global rule; for `plugin_metadata`, the id is the policy and its metadata is its only entry. */
export interface PluginSetSpec {
  id: string
  plugins: Plugins
  /** Upstreams that stand in `plugins`. */
  policy_upstreams?: UpstreamSpec[]
}

/** A certificate: shown to clients that ask for one of its names, or to upstreams. PEM throughout. */
export interface SslSpec {
  id: string
  type: 'server' | 'client' | 'authority'
  /** Lower case, without a dot at the end; with a leading `*` for what stands in its place. */
  snis: string[]
  /** Of different kinds of key. Without any, a secret is missing that they refer to. */
  pairs: { cert: string; key: string }[]
  /** What clients have to show, and with `authority` nodes of upstreams; absent: nothing. */
  client?: {
    ca: string
    /** Certificates between theirs and one of `ca`. */
    depth: number
    /** Regular expressions of paths that are served without; absent: the handshake fails without. */
    skip_mtls_uri_regex?: string[]
  }
  /** Absent: as the settings say. */
  protocols?: TlsProtocol[]
}

export const tlsProtocols = ['TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
export type TlsProtocol = (typeof tlsProtocols)[number]

/** A registry that came as a resource, as in API7; the settings hold the others. */
export interface ServiceRegistrySpec {
  id: string
  name?: string
  registry: RegistrySettings
}

/** How to reach a secret manager: what the schema of its kind says. Not for data threads. */
export interface SecretManagerSpec {
  /** `vault/1`. */
  id: string
  [field: string]: unknown
}

/** The kinds of resource a plan holds, with the type of each. */
export interface Resources {
  routes: RouteSpec
  stream_routes: StreamRouteSpec
  services: ServiceSpec
  upstreams: UpstreamSpec
  consumer_groups: PluginSetSpec
  consumers: ConsumerSpec
  contracts: ContractSpec
  protos: ProtoSpec
  plugin_configs: PluginSetSpec
  global_rules: PluginSetSpec
  plugin_metadata: PluginSetSpec
  service_registries: ServiceRegistrySpec
  ssls: SslSpec
  secrets: SecretManagerSpec
}
export type ResourceKind = keyof Resources

export const resourceKinds = [
  'service_registries',
  'secrets',
  'ssls',
  'upstreams',
  'services',
  'plugin_configs',
  'plugin_metadata',
  'consumer_groups',
  'consumers',
  'contracts',
  'protos',
  'global_rules',
  'routes',
  'stream_routes',
] as const satisfies readonly ResourceKind[]

export type PlanResources = { [K in ResourceKind]: Map<string, Resources[K]> }

/** One complete configuration. Only the supervisor of the data threads changes one, its own, to be that of its threads. */
export interface Plan extends PlanResources {
  /** Rises by one with every plan that was put to work. */
  version: number
  settings: Settings
}

/** Resources to put and to remove; by kind, in the order in which they are to be there. */
export interface PlanChanges {
  put: { [K in ResourceKind]?: Resources[K][] }
  remove: { [K in ResourceKind]?: string[] }
}

/** What changed between two plans; a whole plan is a delta against nothing. */
export interface PlanDelta extends PlanChanges {
  version: number
  /** Absent: unchanged. */
  settings?: Settings
}
