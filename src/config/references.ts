/** What one resource says about another, and what only several fields together can say. */
import { isIPv6 } from 'node:net'
import { checkCertificate, checkClientCertificate } from './certificate.ts'
import type { Declarations, Declared } from './declarations.ts'
import { checkExpression } from './expression-check.ts'
import { checkChecks } from './health-checks.ts'
import { nearest } from './nearest.ts'
import { parseAddress, routePaths } from './normalise.ts'
import { balancings, httpSchemes, type PluginConfig, type Plugins, type ResourceKind } from './plan.ts'
import type { Catalogue, PolicyCheck } from './policy-check.ts'
import { readProto } from './proto/proto-content.ts'
import { below, describePlace, type Place, type Report } from './report.ts'
import type {
  ContractInput,
  ProtoInput,
  RouteInput,
  ServiceInput,
  StreamRouteInput,
  UpstreamInput,
} from './resources.ts'
import { checkSchema } from './schema.ts'
import { absentInFiles, type CertificateKind, sslIdOf } from './sni-resources.ts'

export function checkReferences(
  declarations: Declarations,
  policies: Pick<PolicyCheck, 'resources' | 'upstreams'>,
  catalogue: Catalogue,
  report: Report,
): void {
  for (const { place, input } of declarations.upstreams.values()) {
    if (input !== undefined) checkUpstream(input, place, declarations, report)
  }
  for (const { place, input } of declarations.ssls.values()) {
    if (input !== undefined) checkCertificate(input, place, Date.now(), report)
  }
  checkNames(declarations.ssls, report)
  for (const { place, input } of declarations.services.values()) {
    if (input !== undefined) checkService(input, place, declarations, report)
  }
  for (const { place, input } of declarations.routes.values()) {
    if (input !== undefined) checkRoute(input, place, declarations, catalogue, report)
  }
  for (const { place, input } of declarations.stream_routes.values()) {
    if (input !== undefined) checkStreamRoute(input, place, declarations, catalogue, report)
  }
  for (const { place, input } of declarations.consumers.values()) {
    reference('consumer_groups', input?.group_id, below(place, 'group_id'), declarations, report)
  }
  for (const { place, input } of declarations.protos.values()) {
    if (input !== undefined) checkProto(input, place, report)
  }
  for (const { kind, id, place } of policies.resources) reference(kind, id, place, declarations, report)
  for (const { input, place } of policies.upstreams) checkUpstream(input, place, declarations, report)
  checkGlobalRules(declarations, report)
  checkContracts(declarations, report)
}

function checkProto({ content }: ProtoInput, place: Place, report: Report): void {
  const read = readProto(content)
  if (!('problem' in read)) return
  report.add(below(place, 'content'), {
    code: 'invalid-proto',
    message: `cannot be read: ${read.problem}`,
    hint: 'It is the text of one .proto file, or what protoc --include_imports --descriptor_set_out writes, in Base64.',
  })
}

function checkUpstream(input: UpstreamInput, place: Place, declarations: Declarations, report: Report): void {
  if (input.pass_host === 'rewrite' && input.upstream_host === undefined) {
    report.add(place, {
      code: 'missing-field',
      message: 'the field upstream_host is required with pass_host: rewrite',
    })
  }
  if (input.checks !== undefined) checkChecks(input.checks, below(place, 'checks'), report)
  checkBalancing(input, place, report)
  checkClientCertificate(input, place, Date.now(), report)
  checkCertificateChoice(input, place, declarations, report)
  checkWeights(input, place, report)
  const { nodes = [] } = input
  if (Array.isArray(nodes)) return
  for (const address of Object.keys(nodes)) {
    const isWhole = isIPv6(address)
    if (!isWhole && parseAddress(address) !== undefined) continue
    report.add(below(place, 'nodes', address), {
      code: 'invalid-value',
      severity: isWhole ? 'warning' : 'error',
      at: 'key',
      message: isWhole
        ? 'all of it is read as an IPv6 address; with a port it is [address]:port'
        : 'must be host:port, or [address]:port for IPv6',
    })
  }
}

function checkCertificateChoice(
  { tls, client_certificate: certificate, ca_certificates: authorities = [] }: UpstreamInput,
  place: Place,
  declarations: Declarations,
  report: Report,
): void {
  const missing = (kind: CertificateKind, id: string | number, at: Place) => {
    if (declarations.ssls.has(sslIdOf(kind, id))) return
    report.add(at, { code: 'dangling-reference', message: absentInFiles(kind, id) })
  }
  if (certificate !== undefined) {
    missing('certificates', certificate, below(place, 'client_certificate'))
    for (const field of ['client_cert', 'client_cert_id'] as const) {
      if (tls?.[field] === undefined) continue
      report.add(below(place, 'tls', field), {
        code: 'conflicting-fields',
        severity: 'warning',
        at: 'key',
        message: `client_certificate is used, and ${field} is not`,
        hint: 'Leave one of them out.',
      })
    }
  }
  for (const [index, id] of authorities.entries()) {
    missing('ca_certificates', id, below(place, 'ca_certificates', index))
  }
  const id = tls?.client_cert_id
  const at = below(place, 'tls', 'client_cert_id')
  reference('ssls', id, at, declarations, report)
  const chosen = id === undefined ? undefined : declarations.ssls.get(String(id))?.input
  if (chosen === undefined || chosen.type === 'client') return
  report.add(at, {
    code: 'dangling-reference',
    message: 'that certificate is one for clients, not for upstreams',
    hint: 'Give it type: client.',
  })
}

/** Of two certificates for the same name, the one that comes first is shown. */
function checkNames(ssls: Declarations['ssls'], report: Report): void {
  const seen = new Map<string, Place>()
  for (const { input, place } of ssls.values()) {
    if (input === undefined || (input.type ?? 'server') !== 'server' || input.status === 0) continue
    for (const name of new Set(input.snis ?? (input.sni === undefined ? [] : [input.sni]))) {
      const other = seen.get(name.toLowerCase())
      if (other === undefined) seen.set(name.toLowerCase(), place)
      else {
        report.add(below(place, input.snis === undefined ? 'sni' : 'snis'), {
          code: 'duplicate-sni',
          severity: 'warning',
          message: 'another certificate is for one of these names too, and is shown instead of this one',
          hint: `It is ${describePlace(other)}. Several kinds of key go into one: certs and keys.`,
        })
      }
    }
  }
}

function checkWeights({ nodes }: UpstreamInput, place: Place, report: Report): void {
  if (nodes === undefined) return
  const weights = Array.isArray(nodes) ? nodes.map((node) => node.weight) : Object.values(nodes)
  if (weights.some((weight) => weight > 0)) return
  const status = weights.length === 0 ? 503 : 502
  report.add(below(place, 'nodes'), {
    code: 'empty-upstream',
    severity: 'warning',
    message:
      weights.length === 1
        ? 'the only node takes all traffic, whatever its weight'
        : `no node takes traffic: every request that comes here is answered with ${status}`,
    hint:
      weights.length === 1 ? 'Leave the list empty to take it out of use.' : 'Give a node a weight above 0.',
  })
}

/** What `key` may be for each `hash_on` that takes one. */
const hashKeyForms = {
  vars: {
    pattern:
      /^(uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id|arg_[0-9a-zA-Z_-]+)$/,
    message:
      'must be uri, server_name, server_addr, request_uri, remote_port, remote_addr, query_string, host, hostname, mqtt_client_id or arg_NAME',
    hint: 'Other variables can be used with hash_on: vars_combinations, as in $request_method.',
  },
  header: { pattern: /^[a-zA-Z0-9_-]+$/, message: 'must be the name of a field' },
  cookie: { pattern: /^[a-zA-Z0-9_-]+$/, message: 'must be the name of a cookie' },
  vars_combinations: {
    pattern: /\$\w|\$\{/,
    severity: 'warning',
    message: 'names no variable: requests are told apart by the address of their client',
    hint: 'Write names with a dollar sign: $request_uri$remote_addr.',
  },
} as const

/** Fields that say something only together with a `type`. */
function checkBalancing(input: UpstreamInput, place: Place, report: Report): void {
  checkHashKey(input, place, report)
  const { type = 'roundrobin' } = input
  if (!(balancings as readonly string[]).includes(type)) {
    const near = nearest(type, balancings)
    report.add(below(place, 'type'), {
      code: 'unknown-balancing',
      message: `must be one of ${balancings.join(', ')}`,
      hint: near && `Did you mean ${near}?`,
    })
  }
  const idle = [
    ...(input.type !== 'chash' && input.hash_balance_factor !== undefined ? ['hash_balance_factor'] : []),
    ...(input.type === 'chash' && (input.slow_start ?? 0) > 0 ? ['slow_start'] : []),
  ]
  for (const field of idle) {
    report.add(below(place, field), {
      code: 'ignored-field',
      severity: 'warning',
      at: 'key',
      message: `${field} has no effect with type: ${input.type ?? 'roundrobin'}`,
    })
  }
}

function checkHashKey(
  { type, hash_on: source = 'vars', key }: UpstreamInput,
  place: Place,
  report: Report,
): void {
  if (type !== 'chash' || source === 'consumer') return
  if (key === undefined) {
    report.add(place, { code: 'missing-field', message: `the field key is required with hash_on: ${source}` })
    return
  }
  const { pattern, ...finding } = hashKeyForms[source]
  if (!pattern.test(key)) report.add(below(place, 'key'), { code: 'invalid-value', ...finding })
}

function checkService(input: ServiceInput, place: Place, declarations: Declarations, report: Report): void {
  checkUpstreamChoice(input, place, declarations, report)
}

function checkUpstreamChoice(
  input: Pick<RouteInput, 'upstream' | 'upstream_id'>,
  place: Place,
  declarations: Declarations,
  report: Report,
): void {
  reference('upstreams', input.upstream_id, below(place, 'upstream_id'), declarations, report)
  if (input.upstream === undefined) return
  checkUpstream(input.upstream, below(place, 'upstream'), declarations, report)
  if (input.upstream_id === undefined) return
  report.add(below(place, 'upstream'), {
    code: 'conflicting-fields',
    severity: 'warning',
    at: 'key',
    message: 'upstream_id is used, and upstream is not',
    hint: 'Leave one of them out.',
  })
}

function checkRoute(
  input: RouteInput,
  place: Place,
  declarations: Declarations,
  catalogue: Catalogue,
  report: Report,
): void {
  const pathFields = (['uri', 'uris', 'paths'] as const).filter((field) => input[field] !== undefined)
  if (pathFields.length > 1) exclusive(pathFields, place, report)
  if (routePaths(input).length === 0) {
    report.add(place, {
      code: 'missing-field',
      message: 'the field uri is required here',
      hint: 'Give a path in uri, or several in uris.',
    })
  }
  if (input.host !== undefined && input.hosts !== undefined) exclusive(['host', 'hosts'], place, report)
  if (input.remote_addr !== undefined && input.remote_addrs !== undefined) {
    exclusive(['remote_addr', 'remote_addrs'], place, report)
  }
  if (input.vars !== undefined) checkExpression(input.vars, below(place, 'vars'), report)
  reference('services', input.service_id, below(place, 'service_id'), declarations, report)
  reference('plugin_configs', input.plugin_config_id, below(place, 'plugin_config_id'), declarations, report)
  checkUpstreamChoice(input, place, declarations, report)

  const service =
    input.service_id === undefined ? undefined : declarations.services.get(String(input.service_id))
  checkTraffic(input, service?.input, place, declarations, report)
  if (input.upstream !== undefined || input.upstream_id !== undefined) return
  // A service that is missing or broken has its own finding; what it would have brought is not known.
  if (input.service_id !== undefined && service?.input === undefined) return
  if (service?.input?.upstream !== undefined || service?.input?.upstream_id !== undefined) return
  const shared =
    input.plugin_config_id === undefined
      ? undefined
      : declarations.plugin_configs.get(String(input.plugin_config_id))?.input
  for (const { plugins } of [input, service?.input ?? {}, shared ?? {}]) {
    if (Object.entries(plugins ?? {}).some(([name, config]) => answers(catalogue, name, config))) return
  }
  report.add(place, {
    code: 'route-without-upstream',
    message: 'neither the route nor its service has an upstream',
    hint: 'Give it upstream_id, upstream, or a service_id whose service has one.',
  })
}

/** Requests can go only to what speaks HTTP. */
function checkTraffic(
  input: RouteInput,
  service: ServiceInput | undefined,
  place: Place,
  { upstreams }: Declarations,
  report: Report,
): void {
  if (service?.type === 'stream') {
    report.add(below(place, 'service_id'), {
      code: 'wrong-protocol',
      message: 'that service is for stream routes: its policies are none for requests',
      hint: 'Give the route a service of its own, with type: http.',
    })
  }
  const [holder, field] =
    input.upstream_id !== undefined || input.upstream !== undefined ? [input, ''] : [service, 'service_id']
  const { upstream_id: id, upstream } = holder ?? {}
  const chosen = id === undefined ? upstream : upstreams.get(String(id))?.input
  if (chosen?.scheme === undefined || httpSchemes.has(chosen.scheme)) return
  const isKafka = chosen.scheme === 'kafka'
  report.add(below(place, field || (id === undefined ? 'upstream' : 'upstream_id')), {
    code: 'wrong-protocol',
    message: isKafka
      ? 'scheme: kafka is for clients that speak the PubSub protocol of APISIX, which is not served here; requests are answered with 500'
      : `requests cannot be sent to an upstream with scheme: ${chosen.scheme}; they are answered with 500`,
    hint: isKafka
      ? 'Clients of Kafka itself reach brokers through stream_routes, with scheme: tcp or tls.'
      : 'Use it in stream_routes, or give it scheme: http or https.',
  })
}

function checkStreamRoute(
  input: StreamRouteInput,
  place: Place,
  declarations: Declarations,
  catalogue: Catalogue,
  report: Report,
): void {
  reference('services', input.service_id, below(place, 'service_id'), declarations, report)
  checkUpstreamChoice(input, place, declarations, report)
  if (input.protocol !== undefined) {
    report.add(below(place, 'protocol'), {
      code: 'ignored-field',
      severity: 'warning',
      at: 'key',
      message:
        input.protocol.superior_id === undefined
          ? `what is inside ${input.protocol.name} is not looked at: its bytes pass as they are`
          : `calls inside ${input.protocol.name} are not told apart: this route takes no session`,
    })
  }
  const service =
    input.service_id === undefined ? undefined : declarations.services.get(String(input.service_id))
  const holder =
    input.upstream_id !== undefined || input.upstream !== undefined ? input : (service?.input ?? {})
  const { upstream_id: id, upstream } = holder
  const chosen = id === undefined ? upstream : declarations.upstreams.get(String(id))?.input
  if (chosen !== undefined) checkStreamUpstream(chosen, place, report)
  if (service?.input !== undefined) checkServicePolicies(service.input, place, catalogue, report)
  if (upstream !== undefined || id !== undefined) return
  if (input.service_id !== undefined && service?.input === undefined) return
  const bound = [input.plugins, service?.input?.plugins].flatMap((plugins) => Object.entries(plugins ?? {}))
  if (bound.some(([name, config]) => answers(catalogue, name, config))) return
  report.add(place, {
    code: 'route-without-upstream',
    message: 'neither the stream route nor its service has an upstream',
    hint: 'Give it upstream_id, upstream, or a service_id whose service has one.',
  })
}

/** There is no port that streams go to where none is named. */
function checkStreamUpstream({ scheme, nodes = [] }: UpstreamInput, place: Place, report: Report): void {
  if (scheme === 'kafka') {
    report.add(place, {
      code: 'wrong-protocol',
      severity: 'warning',
      message: 'the upstream speaks Kafka; its bytes pass as they are',
      hint: 'Say scheme: tcp or tls.',
    })
  }
  const portless = Array.isArray(nodes)
    ? nodes.some(({ host: written, port }) => port === undefined && !/[^:]:\d+$/.test(written))
    : Object.keys(nodes).some((address) => !/[^:]:\d+$/.test(address))
  if (!portless) return
  report.add(place, {
    code: 'missing-field',
    message: 'a node of its upstream has no port, and streams have no standard one',
    hint: 'Write nodes as host:port.',
  })
}

/** APISIX passes over them in silence. */
function checkServicePolicies(
  { plugins = {} }: ServiceInput,
  place: Place,
  catalogue: Catalogue,
  report: Report,
): void {
  const idle = Object.keys(plugins).filter((name) => {
    const policy = catalogue.get(name)
    return policy !== undefined && policy.stream === undefined && plugins[name]?._meta?.disable !== true
  })
  if (idle.length === 0) return
  report.add(below(place, 'service_id'), {
    code: 'wrong-protocol',
    severity: 'warning',
    message: `policies of that service do not run on streams: ${idle.join(', ')}`,
    hint: 'Give the stream route a service of its own.',
  })
}

/** A policy that is switched off, or a configuration with faults of its own, answers nothing. */
function answers(catalogue: Catalogue, name: string, config: PluginConfig): boolean {
  const policy = catalogue.get(name)
  if (policy?.answers === undefined || config._meta?.disable === true) return false
  const { _meta: _, ...own } = config
  return checkSchema(policy.configSchema, structuredClone(own)).length > 0 || policy.answers(own)
}

function exclusive(fields: readonly string[], place: Place, report: Report): void {
  report.add(below(place, fields[1]!), {
    code: 'conflicting-fields',
    at: 'key',
    message: `only one of ${fields.join(' and ')} is allowed`,
  })
}

const singular: Record<ResourceKind, string> = {
  routes: 'route',
  stream_routes: 'stream route',
  services: 'service',
  upstreams: 'upstream',
  consumer_groups: 'consumer group',
  consumers: 'consumer',
  contracts: 'contract',
  protos: 'definition of messages',
  plugin_configs: 'plugin config',
  global_rules: 'global rule',
  plugin_metadata: 'plugin metadata',
  service_registries: 'service registry',
  ssls: 'certificate',
  secrets: 'secret manager',
}

function reference(
  kind: ResourceKind,
  id: string | number | undefined,
  place: Place,
  declarations: Declarations,
  report: Report,
): void {
  if (id === undefined || declarations[kind].has(String(id))) return
  // Among many there is always one that is near, and looking for it takes its time.
  const near = declarations[kind].size > 1000 ? undefined : nearest(String(id), declarations[kind].keys())
  report.add(place, {
    code: 'dangling-reference',
    message: `there is no ${singular[kind]} ${id}`,
    hint: near && `Did you mean ${near}?`,
  })
}

function checkGlobalRules(declarations: Declarations, report: Report): void {
  const rules = new Map<string, Place>()
  for (const { place, input } of declarations.global_rules.values()) {
    for (const name of Object.keys(input?.plugins ?? {})) {
      const other = rules.get(name)
      if (other === undefined) rules.set(name, place)
      else {
        report.add(below(place, 'plugins', name), {
          code: 'duplicate-global-plugin',
          at: 'key',
          message: `${name} is already in the global rule ${describePlace(other)}`,
          hint: 'Which one would run is not defined: keep one.',
        })
      }
    }
  }
}

function checkContracts(declarations: Declarations, report: Report): void {
  const apis = new ApiTiers(declarations)
  const agreements = new Map<string, Place>()
  for (const { place, input } of declarations.contracts.values()) {
    if (input === undefined) continue
    if (input.service_id !== undefined && input.route_id !== undefined) {
      exclusive(['service_id', 'route_id'], place, report)
    }
    reference('consumers', input.consumer, below(place, 'consumer'), declarations, report)
    reference('services', input.service_id, below(place, 'service_id'), declarations, report)
    reference('routes', input.route_id, below(place, 'route_id'), declarations, report)
    checkTier(input, place, apis, report)

    const key = JSON.stringify([input.consumer, input.service_id, input.route_id].map((id) => id ?? null))
    const other = agreements.get(key)
    if (other === undefined) agreements.set(key, place)
    else {
      report.add(place, {
        code: 'duplicate-contract',
        message: `${input.consumer} already has a contract for the same API, ${describePlace(other)}`,
      })
    }
  }
}

function checkTier(input: ContractInput, place: Place, apis: ApiTiers, report: Report): void {
  if (input.tier === undefined) return
  const tiers = apis.of(input)
  if (tiers === undefined || tiers.has(input.tier)) return
  const near = nearest(input.tier, tiers)
  report.add(below(place, 'tier'), {
    code: 'unknown-tier',
    message:
      tiers.size === 0
        ? 'no SLA policy of this API has tiers'
        : `no SLA policy of this API has a tier ${input.tier}`,
    hint:
      tiers.size === 0
        ? 'Give the service or its routes a policy with tiers, or remove the contract.'
        : near === undefined
          ? `It has ${[...tiers].join(', ')}.`
          : `Did you mean ${near}?`,
  })
}

/** The names of the tiers that the policies of an API have. A policy has tiers when its configuration says `tiers`. */
class ApiTiers {
  readonly #declarations: Declarations
  readonly #routesOf: Map<string | undefined, Declared<RouteInput>[]>

  constructor(declarations: Declarations) {
    this.#declarations = declarations
    this.#routesOf = Map.groupBy(declarations.routes.values(), ({ input }) =>
      input?.service_id === undefined ? undefined : String(input.service_id),
    )
  }

  /** Undefined: not known, because something on the way is missing or broken and has its own finding. */
  of(contract: ContractInput): Set<string> | undefined {
    const { routes, services, global_rules: rules } = this.#declarations
    const tiers = new Set<string>()
    for (const { input } of rules.values()) addTiers(input?.plugins, tiers)
    if (!this.#addConsumer(contract, tiers)) return undefined
    if (contract.route_id !== undefined) {
      const route = routes.get(String(contract.route_id))
      return route && this.#addRoute(route, tiers) ? tiers : undefined
    }
    if (contract.service_id !== undefined) {
      const id = String(contract.service_id)
      const service = services.get(id)?.input
      if (service === undefined) return undefined
      addTiers(service.plugins, tiers)
      const known = (this.#routesOf.get(id) ?? []).map((route) => this.#addRoute(route, tiers))
      return known.includes(false) ? undefined : tiers
    }
    const known = [...routes.values()].map((route) => this.#addRoute(route, tiers))
    for (const { input } of services.values()) addTiers(input?.plugins, tiers)
    return known.includes(false) ? undefined : tiers
  }

  /** False: not everything about the consumer is known. */
  #addConsumer({ consumer: username }: ContractInput, tiers: Set<string>): boolean {
    const { consumers, consumer_groups: groups } = this.#declarations
    const consumer = consumers.get(username)?.input
    if (consumer === undefined) return false
    addTiers(consumer.plugins, tiers)
    if (consumer.group_id === undefined) return true
    const group = groups.get(String(consumer.group_id))?.input
    if (group === undefined) return false
    addTiers(group.plugins, tiers)
    return true
  }

  /** False: not everything about the route is known. */
  #addRoute({ input }: Declared<RouteInput>, tiers: Set<string>): boolean {
    if (input === undefined) return false
    addTiers(input.plugins, tiers)
    const { plugin_configs: sets, services } = this.#declarations
    if (input.plugin_config_id !== undefined) {
      const set = sets.get(String(input.plugin_config_id))?.input
      if (set === undefined) return false
      addTiers(set.plugins, tiers)
    }
    if (input.service_id !== undefined) {
      const service = services.get(String(input.service_id))?.input
      if (service === undefined) return false
      addTiers(service.plugins, tiers)
    }
    return true
  }
}

function addTiers(plugins: Plugins | undefined, into: Set<string>): void {
  for (const { tiers } of Object.values(plugins ?? {})) {
    if (Array.isArray(tiers)) {
      for (const tier of tiers as { name?: unknown }[]) {
        if (typeof tier?.name === 'string') into.add(tier.name)
      }
    } else if (typeof tiers === 'object' && tiers !== null) {
      for (const name of Object.keys(tiers)) into.add(name)
    }
  }
}
