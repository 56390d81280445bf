/** Resources as they were written, checked and with defaults -> what a plan holds. */
import { isIPv6 } from 'node:net'
import { registryOf } from './discovery.ts'
import { checksSpec, outlierEjectionSpec } from './health-checks.ts'
import {
  balancings,
  type ConsumerSpec,
  type ContractSpec,
  type CostDecorationSpec,
  type DiscoverySpec,
  type NodeSpec,
  type PluginSetSpec,
  type ProtoSpec,
  type RouteSpec,
  type SecretManagerSpec,
  type ServiceRegistrySpec,
  type ServiceSpec,
  type SslSpec,
  type StreamRouteSpec,
  speaksGrpc,
  standardPorts,
  type UpstreamSpec,
  type UpstreamTlsSpec,
} from './plan.ts'
import { readProto } from './proto/proto-content.ts'
import type {
  ConsumerInput,
  ContractInput,
  CostDecorationInput,
  PluginSetInput,
  ProtoInput,
  RouteInput,
  ServiceInput,
  ServiceRegistryInput,
  SslInput,
  StreamRouteInput,
  UpstreamInput,
} from './resources.ts'
import { sslIdOf } from './sni-resources.ts'

const defaultTimeout = { connect: 60, send: 60, read: 60 }
const defaultPool = { size: 320, idle_timeout: 60, requests: 1000 }

/** `key` is the identity that pools and counters follow. */
export function upstreamSpec(key: string, input: UpstreamInput): UpstreamSpec {
  const scheme = input.scheme ?? 'http'
  return {
    key,
    ...(input.id !== undefined && { id: String(input.id) }),
    ...(input.name !== undefined && { name: input.name }),
    type: balancings.find((type) => type === (input.type ?? 'roundrobin')) ?? 'unknown',
    hash: {
      on: input.hash_on ?? 'vars',
      key: input.key ?? '',
      balance_factor: input.hash_balance_factor ?? 0,
    },
    slow_start: input.slow_start ?? 0,
    nodes: nodeSpecs(input.nodes ?? [], standardPorts[scheme]),
    ...(input.service_name !== undefined && { discovery: discoverySpec(input, input.service_name) }),
    scheme,
    ...upstreamTls(input),
    pass_host: input.pass_host ?? 'pass',
    ...(input.upstream_host !== undefined && { upstream_host: input.upstream_host }),
    ...(input.retries !== undefined && { retries: input.retries }),
    ...(input.retry_grpc_statuses !== undefined && { retry_grpc_statuses: input.retry_grpc_statuses }),
    retry_timeout: input.retry_timeout ?? 0,
    timeout: input.timeout ?? defaultTimeout,
    ...(input.timeout !== undefined && { session_timeout: Math.max(input.timeout.send, input.timeout.read) }),
    ...(input.proxy_protocol !== undefined && { proxy_protocol: input.proxy_protocol }),
    ...(input.circuit_breaker !== undefined && { circuit_breaker: input.circuit_breaker }),
    keepalive_pool: { ...defaultPool, ...input.keepalive_pool },
    ...(input.checks !== undefined && { checks: checksSpec(input.checks) }),
    ...(input.outlier_ejection !== undefined && {
      outlier_ejection: outlierEjectionSpec(input.outlier_ejection),
    }),
    ...((input.panic_threshold ?? 0) > 0 && { panic_threshold: input.panic_threshold }),
  }
}

/** As APISIX says it, and as API7 does. */
function upstreamTls(input: UpstreamInput): { tls?: UpstreamTlsSpec } {
  const { tls, client_certificate: certificate, ca_certificates: authorities } = input
  const { client_cert: cert, client_key: key, client_cert_id: ssl } = tls ?? {}
  const id = certificate === undefined ? ssl : sslIdOf('certificates', certificate)
  const verify = input.tls_verify ?? tls?.verify
  const spec: UpstreamTlsSpec = {
    ...(cert !== undefined && key !== undefined && certificate === undefined && { client: { cert, key } }),
    ...(id !== undefined && { client_cert_id: String(id) }),
    ...(authorities !== undefined &&
      authorities.length > 0 && { authority_ids: authorities.map((one) => sslIdOf('ca_certificates', one)) }),
    ...(verify !== undefined && { verify }),
  }
  return tls === undefined && Object.keys(spec).length === 0 ? {} : { tls: spec }
}

export function sslSpec(id: string, input: SslInput): SslSpec {
  const { type = 'server', cert, key, certs = [], keys = [], client } = input
  const names = input.snis ?? (input.sni === undefined ? [] : [input.sni])
  if (type === 'authority') return { id, type, snis: [], pairs: [], client: { ca: cert!, depth: 1 } }
  return {
    id,
    type,
    snis: names.map((name) => name.toLowerCase().replace(/\.$/, '')),
    pairs: [
      ...(cert !== undefined && key !== undefined ? [{ cert, key }] : []),
      ...certs.map((further, index) => ({ cert: further, key: keys[index] ?? '' })),
    ],
    ...(client !== undefined && {
      client: {
        ca: client.ca,
        depth: client.depth ?? 1,
        ...(client.skip_mtls_uri_regex !== undefined && { skip_mtls_uri_regex: client.skip_mtls_uri_regex }),
      },
    }),
    ...(input.ssl_protocols !== undefined &&
      input.ssl_protocols.length > 0 && { protocols: input.ssl_protocols }),
  }
}

function discoverySpec(input: UpstreamInput, service: string): DiscoverySpec {
  const type = input.discovery_type ?? ''
  const { namespace_id: namespace, group_name: group, metadata } = input.discovery_args ?? {}
  const grpc = speaksGrpc(input.scheme ?? 'http')
  const labels = metadata && Object.entries(metadata).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    key: JSON.stringify([type, service, namespace ?? null, group ?? null, labels ?? [], grpc]),
    type,
    service_name: service,
    ...(namespace !== undefined && { namespace_id: namespace }),
    ...(group !== undefined && { group_name: group }),
    ...(metadata !== undefined && { metadata }),
    grpc,
  }
}

function nodeSpecs(nodes: NonNullable<UpstreamInput['nodes']>, defaultPort: number): NodeSpec[] {
  if (Array.isArray(nodes)) {
    return nodes.map(({ host: written, port: given, weight, priority = 0 }) => {
      // APISIX also takes a port that stands behind the host.
      const read = given === undefined && /[^:]:\d+$/.test(written) ? parseAddress(written) : undefined
      const { host, port = defaultPort } = read ?? { host: withoutBrackets(written), port: given }
      return { host, port, weight, priority }
    })
  }
  return Object.entries(nodes).map(([address, weight]) => {
    const { host, port } = parseAddress(address, defaultPort) ?? { host: address, port: defaultPort }
    return { host, port, weight, priority: 0 }
  })
}

const addressPattern = /^(\[[0-9a-fA-F:.]+\]|[0-9a-zA-Z-._]+)(?::(\d{1,5}))?$/

/** `host:port`, `host`, `[address]:port` or an IPv6 address as a whole; undefined when it is none of them. */
export function parseAddress(
  address: string,
  defaultPort: number = standardPorts.http,
): { host: string; port: number } | undefined {
  const match = addressPattern.exec(address)
  if (match === null) return isIPv6(address) ? { host: address, port: defaultPort } : undefined
  const port = match[2] === undefined ? defaultPort : Number(match[2])
  return port >= 1 && port <= 65_535 ? { host: withoutBrackets(match[1]!), port } : undefined
}

const withoutBrackets = (host: string) => (host.startsWith('[') ? host.slice(1, -1) : host)

export function serviceSpec(id: string, input: ServiceInput): ServiceSpec {
  return {
    id,
    ...(input.name !== undefined && { name: input.name }),
    ...(input.plugins !== undefined && { plugins: input.plugins }),
    ...(input.upstream_id !== undefined && { upstream_id: String(input.upstream_id) }),
    ...(input.upstream !== undefined && { upstream: upstreamSpec(`service:${id}`, input.upstream) }),
    ...(input.graphql_cost_decorations !== undefined && {
      graphql_cost_decorations: input.graphql_cost_decorations.map(costDecorationSpec),
    }),
  }
}

const costDecorationSpec = (input: CostDecorationInput): CostDecorationSpec => ({
  field_path: input.field_path,
  add_value: input.add_value,
  mul_value: input.mul_value,
  ...(input.add_arguments !== undefined && { add_arguments: input.add_arguments }),
  ...(input.mul_arguments !== undefined && { mul_arguments: input.mul_arguments }),
})

/** A route with what it takes from its service: hosts, the prefix of its paths, and WebSocket. */
export function routeSpec(id: string, input: RouteInput, service: ServiceInput | undefined): RouteSpec {
  const prefix = withoutTrailingSlash(service?.path_prefix ?? '')
  const hosts = input.hosts ?? (input.host === undefined ? (service?.hosts ?? []) : [input.host])
  const addresses = input.remote_addrs ?? (input.remote_addr === undefined ? undefined : [input.remote_addr])
  return {
    id,
    ...(input.name !== undefined && { name: input.name }),
    uris: routePaths(input).map((path) => prefix + (path === '*' ? '/*' : path)),
    hosts: hosts.map((host) => host.toLowerCase()),
    methods: [...(input.methods ?? [])],
    priority: input.priority ?? 0,
    ...(addresses !== undefined && { remote_addrs: addresses }),
    ...(input.vars !== undefined && input.vars.length > 0 && { vars: input.vars }),
    ...(input.plugins !== undefined && { plugins: input.plugins }),
    ...(input.plugin_config_id !== undefined && { plugin_config_id: String(input.plugin_config_id) }),
    ...(input.service_id !== undefined && { service_id: String(input.service_id) }),
    ...(input.upstream_id !== undefined && { upstream_id: String(input.upstream_id) }),
    ...(input.upstream !== undefined && { upstream: upstreamSpec(`route:${id}`, input.upstream) }),
    ...(input.timeout !== undefined && { timeout: input.timeout }),
    enable_websocket: input.enable_websocket ?? service?.enable_websocket ?? false,
    ...(prefix !== '' && service?.strip_path_prefix !== false && { strip_prefix: prefix }),
  }
}

/** Undefined for one that takes no session: it belongs to another. */
export function streamRouteSpec(
  id: string,
  input: StreamRouteInput,
  position: number,
): StreamRouteSpec | undefined {
  if (input.protocol?.superior_id !== undefined) return undefined
  return {
    id,
    ...(input.name !== undefined && { name: input.name }),
    position,
    ...(input.remote_addr !== undefined && { remote_addr: input.remote_addr }),
    ...(input.server_addr !== undefined && { server_addr: input.server_addr }),
    ...(input.server_port !== undefined && { server_port: input.server_port }),
    ...(input.sni !== undefined && { sni: input.sni.toLowerCase() }),
    ...(input.plugins !== undefined && { plugins: input.plugins }),
    ...(input.service_id !== undefined && { service_id: String(input.service_id) }),
    ...(input.upstream_id !== undefined && { upstream_id: String(input.upstream_id) }),
    ...(input.upstream !== undefined && { upstream: upstreamSpec(`stream_route:${id}`, input.upstream) }),
  }
}

/** The paths of a route under whichever name they were given. */
export const routePaths = (input: RouteInput): string[] =>
  input.uris ?? input.paths ?? (input.uri === undefined ? [] : [input.uri])

const withoutTrailingSlash = (path: string) => (path.endsWith('/') ? path.slice(0, -1) : path)

export function consumerSpec(input: ConsumerInput): ConsumerSpec {
  return {
    username: input.username,
    ...(input.group_id !== undefined && { group_id: String(input.group_id) }),
    ...(input.plugins !== undefined && { plugins: input.plugins }),
    credentials: (input.credentials ?? []).map((credential, index) => ({
      id: String(credential.id ?? `arr_${index + 1}`),
      plugins: credential.plugins,
    })),
    ...(input.labels !== undefined && { labels: input.labels }),
  }
}

/** Undefined: it cannot be read, which the Admin API let be once. */
export function protoSpec(id: string, { content }: ProtoInput): ProtoSpec | undefined {
  const read = readProto(content)
  return 'problem' in read ? undefined : { id, ...read.definitions }
}

export function contractSpec(id: string, input: ContractInput): ContractSpec {
  return {
    id,
    consumer: input.consumer,
    ...(input.service_id !== undefined && { service_id: String(input.service_id) }),
    ...(input.route_id !== undefined && { route_id: String(input.route_id) }),
    ...(input.tier !== undefined && { tier: input.tier }),
  }
}

export const pluginSetSpec = (id: string, input: PluginSetInput): PluginSetSpec => ({
  id,
  plugins: input.plugins,
})

/** Metadata is held like the policies of any other set, under the policy's own name. */
export function secretManagerSpec(
  id: string,
  { create_time: _created, update_time: _updated, ...fields }: Record<string, unknown>,
): SecretManagerSpec {
  return { ...fields, id }
}

export function metadataSpec(
  name: string,
  { id: _, create_time: _created, update_time: _updated, ...metadata }: Record<string, unknown>,
): PluginSetSpec {
  return { id: name, plugins: { [name]: metadata } }
}

/** Undefined without the settings of its type, which the check reports. */
export function serviceRegistrySpec(
  id: string,
  input: ServiceRegistryInput,
): ServiceRegistrySpec | undefined {
  const registry = registryOf(id, input)
  return registry && { id, ...(input.name !== undefined && { name: input.name }), registry }
}
