/** Turns the catalogue into what the proxy runs: policies that are bound to the services of one data thread. */
import { expressionVariables, parseExpression } from './config/expression.ts'
import { DerivedMap } from './config/lazy-map.ts'
import type { ConsumerSpec, ContractSpec, PluginConfig, ProtoSpec } from './config/plan.ts'
import { policyUpstreamKey } from './config/policy-upstreams.ts'
import type { PrometheusSettings } from './config/prometheus-settings.ts'
import type { OwnCodeGuard } from './own-code-guard.ts'
import type { CallClient, CallOptions } from './policies/kit/calls.ts'
import { ConsumerDirectory } from './policies/kit/consumers.ts'
import { ContractIndex } from './policies/kit/contracts.ts'
import { CredentialIndex } from './policies/kit/credentials.ts'
import type { OwnFunction } from './policies/kit/functions/own-function.ts'
import type {
  Circuits,
  Delays,
  Limiter,
  LineSink,
  LineTarget,
  Metrics,
  PolicyHost,
  PolicyLog,
  PublicApi,
  StoredAnswers,
} from './policies/kit/host.ts'
import type { Batches } from './policies/kit/logging/batch-processor.ts'
import type { AnyPolicy } from './policies/kit/policy.ts'
import type { ChangedResources } from './policy-resources.ts'
import { errors } from './proxy/errors.ts'
import type {
  Exchange,
  PolicyBindingContext,
  PolicyFactory,
  PolicyHandlers,
  StreamPolicyFactory,
  UpstreamOrigin,
} from './proxy/exchange.ts'
import { bodyLimitOf } from './proxy/held-body.ts'
import { Unavailable } from './proxy/pipeline.ts'
import { templateVariables } from './proxy/variables.ts'

/** What a data thread has to offer. The three resource functions answer for the current plan, whenever they are asked. */
export interface PolicyServices {
  readonly limiter: Limiter
  readonly circuits: Circuits
  takeTurn(name: string): number
  /** The turn that the next one would take. */
  lookAtTurn(name: string): number
  readonly delays: Delays
  counterStore: PolicyHost['counterStore']
  valueStore: PolicyHost['valueStore']
  /** `owner`: of the binding that stores. */
  cache(zone: string, owner: string): StoredAnswers | undefined
  readonly metrics: Metrics
  readonly prometheus: PrometheusSettings
  publicApi(path: string): PublicApi | undefined
  configOf(policy: string, routeId: string): PluginConfig | undefined
  subrequest: PolicyHost['subrequest']
  /** Of code that an operator wrote; absent: it is not watched. */
  readonly guard?: OwnCodeGuard
  isOwn?(policy: AnyPolicy): boolean
  /** Undefined: there is none. */
  ownFunction(key: string): OwnFunction | undefined
  calls(binding: PolicyBindingContext, options: CallOptions): CallClient
  readonly mayAsk: boolean
  readonly batches: Pick<Batches, 'open'>
  readonly gateway: PolicyHost['gateway']
  lines(target: LineTarget): LineSink
  variable(name: string): (exchange: Exchange) => string | undefined
  template(text: string, change?: (value: string) => string): (exchange: Exchange) => string
  condition(vars: unknown): (exchange: Exchange) => boolean
  httpsPort(): number
  readonly log: PolicyLog
  consumers(): ReadonlyMap<string, ConsumerSpec>
  contracts(): ReadonlyMap<string, ContractSpec>
  proto(id: string): ProtoSpec | undefined
  metadata(policy: string): PluginConfig | undefined
  /** Whether the current plan has an upstream with this key. */
  hasUpstream(key: string): boolean
  /** Whether any of its endpoints can be used. */
  isUpstreamUp(key: string): boolean
  /** Where one of its endpoints can be asked. */
  upstreamOrigin(key: string): UpstreamOrigin | undefined
  now(): number
  /** Calls the listener after every plan that changed such resources, with what changed. */
  onResourcesChanged(listener: (changed: ChangedResources) => void): void
}

/** One factory for each policy, by name. Indices of credentials and contracts are shared by all bindings. */
export function buildPolicies(
  catalogue: ReadonlyMap<string, AnyPolicy>,
  services: PolicyServices,
  indices = new ResourceIndices(services),
): ReadonlyMap<string, PolicyFactory> {
  const factories: ReadonlyMap<string, PolicyFactory> = new DerivedMap(catalogue, (policy) =>
    factoryOf(policy, services, indices, factories),
  )
  return factories
}

/** What a policy shows of the gateway through `public-api`, by path. */
export function publicApisOf(
  policy: AnyPolicy,
  services: PolicyServices,
  indices: ResourceIndices,
): (path: string) => PublicApi {
  const binding = { policy: policy.name, routeId: '', serviceId: '', owner: `public_api:${policy.name}` }
  const host = hostOf(policy, binding, services, indices, () => {})
  return (path) => (exchange) => policy.publicApi!(exchange, host, path)
}

function factoryOf(
  policy: AnyPolicy,
  services: PolicyServices,
  indices: ResourceIndices,
  factories: ReadonlyMap<string, PolicyFactory>,
): PolicyFactory {
  const { stream } = policy
  return {
    ...(stream && { stream: streamFactoryOf(policy, stream, services, indices) }),
    name: policy.name,
    stage: policy.stage,
    priority: policy.priority,
    yieldsToRoute: policy.yieldsToRoute ?? false,
    ...(policy.placement && { placement: (config) => policy.placement!(config) }),
    create(config, binding, holdBody = () => {}) {
      if (services.metadata(policy.name)?._meta?.secrets === 'missing')
        throw new Unavailable(errors.secretMissing)
      const host = hostOf(policy, binding, services, indices, holdBody)
      const create = () =>
        policy.create(config, {
          ...host,
          bind(name, inner, part) {
            const owner = part === undefined ? binding.owner : `${binding.owner}/${part}`
            return factories.get(name)!.create(inner, { ...binding, policy: name, owner }, holdBody)
          },
        })
      const { guard } = services
      if (guard === undefined || services.isOwn?.(policy) !== true) return create()
      return guard.handlers(policy.name, guard.run(policy.name, create))
    },
  }
}

function streamFactoryOf(
  policy: AnyPolicy,
  { priority = policy.priority, create }: NonNullable<AnyPolicy['stream']>,
  services: PolicyServices,
  indices: ResourceIndices,
): StreamPolicyFactory {
  return {
    priority,
    create(config, binding) {
      if (services.metadata(policy.name)?._meta?.secrets === 'missing')
        throw new Unavailable(errors.secretMissing)
      const bind = () => {
        throw new Error('no policy runs another one on streams')
      }
      const host = { ...hostOf(policy, binding, services, indices, () => {}), bind }
      const make = create ?? policy.create
      const handlers = () => onStreams(make.call(create === undefined ? policy : policy.stream, config, host))
      const { guard } = services
      if (guard === undefined || services.isOwn?.(policy) !== true) return handlers()
      return guard.handlers(policy.name, guard.run(policy.name, handlers))
    },
  }
}

/** What there is no turn for is left out. */
function onStreams(handlers: PolicyHandlers): PolicyHandlers {
  const { request, observe } = handlers
  return {
    ...(request && { request: (session) => request.call(handlers, session) }),
    ...(observe && { observe: (session) => observe.call(handlers, session) }),
  }
}

function hostOf(
  policy: AnyPolicy,
  binding: PolicyBindingContext,
  services: PolicyServices,
  indices: ResourceIndices,
  holdBody: (limit: number) => void,
): Omit<PolicyHost, 'bind'> {
  const holdFor = (variables: readonly string[]) => {
    const limit = bodyLimitOf(variables)
    if (limit > 0) holdBody(limit)
  }
  return {
    binding,
    // Read anew by whoever keeps the host for longer than one plan.
    get metadata() {
      return services.metadata(policy.name)
    },
    credentials: (keyOf) => indices.credentials(policy.name, keyOf),
    upstream(where) {
      const key =
        'id' in where
          ? `upstream:${where.id}`
          : 'key' in where
            ? where.key
            : policyUpstreamKey(binding.owner, policy.name, where.path)
      return {
        key,
        get exists() {
          return services.hasUpstream(key)
        },
        get isUp() {
          return services.isUpstreamUp(key)
        },
        get origin() {
          return services.upstreamOrigin(key)
        },
      }
    },
    consumers: indices.consumers,
    contracts: indices.contracts,
    proto: (id) => services.proto(String(id)),
    limiter: services.limiter,
    circuits: services.circuits,
    takeTurn: (name) => services.takeTurn(name),
    delays: services.delays,
    counterStore: (target, use) => services.counterStore(target, use),
    valueStore: (target) => services.valueStore(target),
    cache: (zone) => services.cache(zone, binding.owner),
    metrics: services.metrics,
    prometheus: services.prometheus,
    publicApi: (path) => services.publicApi(path),
    configOf: (routeId) => services.configOf(policy.name, routeId),
    subrequest: (exchange, head) => services.subrequest(exchange, head),
    ownFunction(key) {
      const found = services.ownFunction(key)
      if (found === undefined) throw new Error(`there is no function ${key}`)
      return services.guard?.watched(`${policy.name} ${key}`, found) ?? found
    },
    calls: (options) => services.calls(binding, options),
    mayAsk: services.mayAsk,
    batches: (settings, maxPending, send) => services.batches.open(policy.name, settings, maxPending, send),
    gateway: services.gateway,
    lines: (target) => services.lines(target),
    variable(name) {
      holdFor([name])
      return services.variable(name)
    },
    template(text, change) {
      holdFor(templateVariables(text))
      return services.template(text, change)
    },
    condition(value) {
      holdFor(conditionVariables(value))
      return services.condition(value)
    },
    holdBody,
    httpsPort: () => services.httpsPort(),
    log: services.log,
    now: () => services.now(),
  }
}

function conditionVariables(value: unknown): string[] {
  const result = parseExpression(value)
  return 'expression' in result ? expressionVariables(result.expression) : []
}

/** Lookups over consumers and contracts, which follow what plans change. */
export class ResourceIndices {
  readonly consumers: ConsumerDirectory
  readonly contracts: ContractIndex
  readonly #credentials = new Map<string, Map<(credential: unknown) => string | undefined, CredentialIndex>>()

  constructor(services: PolicyServices) {
    this.consumers = new ConsumerDirectory(() => services.consumers())
    this.contracts = new ContractIndex(() => services.contracts())
    services.onResourcesChanged((changed) => {
      if (changed.has('contracts')) this.contracts.invalidate()
      const usernames = changed.get('consumers')
      if (usernames === undefined) return
      for (const indices of this.#credentials.values())
        for (const index of indices.values()) index.invalidate(usernames)
    })
  }

  credentials(policy: string, keyOf: (credential: unknown) => string | undefined): CredentialIndex {
    const indices = this.#credentials.get(policy) ?? new Map<typeof keyOf, CredentialIndex>()
    this.#credentials.set(policy, indices)
    const index = indices.get(keyOf) ?? new CredentialIndex(policy, keyOf, this.consumers)
    indices.set(keyOf, index)
    return index
  }
}
