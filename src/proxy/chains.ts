/** The chains of a plan: of its global rules, of each route, and of each consumer on a route. Compiled at first use. */
import { type Expression, expressionVariables, parseExpression } from '../config/expression.ts'
import type {
  ConsumerSpec,
  PlanDelta,
  PlanResources,
  PluginConfig,
  PluginSetSpec,
  RouteSpec,
  StreamRouteSpec,
} from '../config/plan.ts'
import { errors, type GatewayError } from './errors.ts'
import type { Consumer, PolicyBindingContext, PolicyFactory, PolicyHandlers, Stage } from './exchange.ts'
import { compileExpression } from './expression.ts'
import { filtered } from './filter.ts'
import { bodyLimitOf } from './held-body.ts'
import {
  consumerContributions,
  globalContributions,
  isOff,
  type MergedPolicies,
  type MergedPolicy,
  mergePolicies,
  routeContributions,
  streamRouteContributions,
} from './merging.ts'
import { Chain, type ChainEntry, emptyChain, Unavailable, withoutMessage } from './pipeline.ts'

type Place = Pick<PolicyBindingContext, 'routeId' | 'serviceId'>

/** The chain of a consumer on a route, with what it was made from. */
interface ConsumerChain {
  readonly consumer: ConsumerSpec
  readonly group: PluginSetSpec | undefined
  readonly chain: Chain
}

/** A chain with what is needed to put a consumer's policies on top. */
interface Origin {
  readonly place: Place
  readonly byConsumer: Map<string, ConsumerChain>
}

/** Consumers that a chain remembers; beyond, it starts anew. */
const consumersKept = 10_000

const withPlugins = [
  'routes',
  'stream_routes',
  'services',
  'plugin_configs',
  'global_rules',
  'consumers',
  'consumer_groups',
] as const

export class PolicyChains {
  /** Of the global rules alone, for requests that no route takes. */
  global: Chain = emptyChain
  private globals: readonly ChainEntry[] = []
  /** Chains of routes without policies of their own, by the resources they share. */
  private readonly shared = new Map<string, Chain>()
  private readonly origins = new WeakMap<Chain, Origin>()
  private readonly policies: ReadonlyMap<string, PolicyFactory>
  private readonly resources: PlanResources
  private readonly policyFailed: (policy: string, error: unknown) => void

  constructor(
    policies: ReadonlyMap<string, PolicyFactory>,
    resources: PlanResources,
    policyFailed: (policy: string, error: unknown) => void,
  ) {
    this.policies = policies
    this.resources = resources
    this.policyFailed = policyFailed
  }

  /**
   * After the resources changed.
   * @param otherPolicies the policies themselves are others now
   * @returns true when every chain has to be made anew
   */
  apply(delta: PlanDelta, otherPolicies = false): boolean {
    this.shared.clear()
    this.load(delta)
    if (!otherPolicies && !changes(delta, 'global_rules') && !changes(delta, 'plugin_metadata')) return false
    this.compileGlobals()
    return true
  }

  compileGlobals(): void {
    const merged = mergePolicies(globalContributions(this.resources))
    this.globals = this.entriesOf(merged.values(), { routeId: '', serviceId: '' })
    this.global = this.globals.length === 0 ? emptyChain : new Chain(this.globals, [])
  }

  /** The chain of a route, before a consumer is known. */
  forRoute(route: RouteSpec): Chain {
    const { id, service_id: service, plugin_config_id: config } = route
    const key = route.plugins === undefined ? `${service ?? ''} ${config ?? ''}` : null
    const known = key === null ? undefined : this.shared.get(key)
    if (known !== undefined) return known
    const chain = this.compile(route, { routeId: id, serviceId: service ?? '' })
    if (key !== null) this.shared.set(key, chain)
    return chain
  }

  /** The chain of a stream route: one pass, in the order of priority. Policies of its service that are for requests stay out. */
  forStream(route: StreamRouteSpec): Chain {
    const { id, service_id: service } = route
    const missing = service !== undefined && !this.resources.services.has(service)
    if (missing) return new Chain([], [{ ...denial(errors.serviceMissing), stage: 'limit' }])
    const place = { routeId: id, serviceId: service ?? '' }
    const entries: ChainEntry[] = []
    for (const policy of mergePolicies(streamRouteContributions(route, this.resources)).values()) {
      const factory = this.policies.get(policy.name)
      if (factory?.stream === undefined || isOff(policy)) continue
      const { priority, create } = factory.stream
      const inStreams: PolicyFactory = {
        name: factory.name,
        stage: 'limit',
        priority,
        yieldsToRoute: false,
        create,
      }
      entries.push(this.entryOf(inStreams, policy, place))
    }
    return new Chain([], entries)
  }

  /** The chain of a route with what the consumer and its group bring on top; the same chain when they bring nothing. */
  forConsumer(base: Chain, { spec }: Consumer): Chain {
    if (!this.bringsPolicies(spec)) return base
    const origin = this.origins.get(base)
    if (origin === undefined) return base
    const group = spec.group_id === undefined ? undefined : this.resources.consumer_groups.get(spec.group_id)
    const known = origin.byConsumer.get(spec.username)
    if (known !== undefined && known.consumer === spec && known.group === group) return known.chain
    const chain =
      spec.group_id !== undefined && group === undefined
        ? withLatecomers(base, [], [denial(errors.consumerGroupMissing)])
        : this.compileConsumer(base, mergePolicies(consumerContributions(spec, this.resources)), origin.place)
    if (origin.byConsumer.size >= consumersKept) origin.byConsumer.clear()
    origin.byConsumer.set(spec.username, { consumer: spec, group, chain })
    return chain
  }

  /** Chains are made when a request first needs them, but no request is to wait for the modules of a policy. */
  private load({ put }: PlanDelta): void {
    for (const kind of withPlugins)
      for (const { plugins } of put[kind] ?? []) for (const name in plugins) this.policies.get(name)
  }

  private compile(route: RouteSpec, place: Place): Chain {
    const merged = mergePolicies(routeContributions(route, this.resources))
    const missing = this.missing(route)
    const own = missing === null ? this.entriesOf(merged.values(), place) : [denial(missing)]
    const chain = new Chain(this.globals, own)
    this.origins.set(chain, { place, byConsumer: new Map() })
    return chain
  }

  private compileConsumer(base: Chain, merged: MergedPolicies, place: Place): Chain {
    // Authentication is over, and what stands here for it are credentials.
    const brought = [...merged.values()].filter(({ name }) => this.policies.get(name)?.stage !== 'identify')
    const kept = base.own.filter(({ policy, stage }) => stage === 'identify' || !merged.has(policy))
    const known = new Set(base.own.map(({ policy }) => policy))
    const { had = [], had_not = [] } = Object.groupBy(this.entriesOf(brought, place), (entry) =>
      // What denies must do so before the request goes on, whichever passes are over.
      known.has(entry.policy) && !entry.unavailable ? 'had' : 'had_not',
    )
    return withLatecomers(base, [...kept, ...had], had_not)
  }

  /** A route must not pass without the policies that were meant for it; APISIX answers with the same statuses. */
  private missing({ service_id: service, plugin_config_id: config }: RouteSpec): GatewayError | null {
    if (config !== undefined && !this.resources.plugin_configs.has(config)) return errors.pluginConfigMissing
    if (service !== undefined && !this.resources.services.has(service)) return errors.serviceMissing
    return null
  }

  /** False: it only identifies itself. */
  private bringsPolicies({ group_id: group, plugins }: ConsumerSpec): boolean {
    if (group !== undefined) return true
    for (const name in plugins) if (this.policies.get(name)?.stage !== 'identify') return true
    return false
  }

  private entriesOf(merged: Iterable<MergedPolicy>, place: Place): ChainEntry[] {
    const entries: ChainEntry[] = []
    for (const policy of merged) {
      const factory = this.policies.get(policy.name)
      if (factory !== undefined && !isOff(policy)) entries.push(this.entryOf(factory, policy, place))
    }
    return entries
  }

  private entryOf(factory: PolicyFactory, { name, owner, config }: MergedPolicy, place: Place): ChainEntry {
    const meta = config._meta
    let heldBody = 0
    const created = this.create(factory, config, { policy: name, ...place, owner }, (limit) => {
      heldBody = Math.max(heldBody, limit)
    })
    // A policy that cannot be set up denies what it should have guarded.
    const handlers = 'fault' in created ? denying(created.fault) : created.handlers
    const expression = meta?.filter === undefined ? null : expressionOf(meta.filter)
    const filter = expression === null ? null : compileExpression(expression)
    const { stage, priority } = placementOf(factory, config)
    return {
      policy: name,
      stage,
      priority,
      handlers: filter === null ? handlers : filtered(handlers, filter),
      unavailable: 'fault' in created,
      confidential: meta?.secrets !== undefined,
      yieldsToRoute: factory.yieldsToRoute,
      filter,
      heldBody:
        expression === null ? heldBody : Math.max(heldBody, bodyLimitOf(expressionVariables(expression))),
      shadow: meta?.mode === 'shadow',
      continueOnError: meta?.on_error === 'continue',
      errorResponse: meta?.error_response,
    }
  }

  private create(
    factory: PolicyFactory,
    config: PluginConfig,
    context: PolicyBindingContext,
    holdBody: (limit: number) => void,
  ): { handlers: PolicyHandlers } | { fault: GatewayError } {
    // Whoever looked for the secret has told what is wrong with it.
    if (config._meta?.secrets === 'missing') return { fault: errors.secretMissing }
    try {
      return { handlers: factory.create(config, context, holdBody) }
    } catch (error) {
      if (error instanceof Unavailable) return { fault: error.error }
      this.policyFailed(factory.name, config._meta?.secrets === undefined ? error : withoutMessage(error))
      return { fault: errors.policyFailed }
    }
  }
}

/** Policies with an order run in one pass, the second, so that nothing but their order counts. */
function placementOf(factory: PolicyFactory, config: PluginConfig): { stage: Stage; priority: number } {
  const meta = config._meta
  if (meta?.order !== undefined) return { stage: 'limit', priority: afterAllOthers - meta.order }
  const { stage, priority } = factory.placement?.(config) ?? factory
  return { stage, priority: meta?.priority ?? priority }
}

/** Below any priority that a policy has by itself. */
const afterAllOthers = -1_000_000_000

/** Null, which is everywhere, for one that the check would have refused: a policy is not left out for a mistake. */
function expressionOf(filter: unknown): Expression | null {
  const read = parseExpression(filter)
  return 'expression' in read ? read.expression : null
}

function withLatecomers(base: Chain, own: readonly ChainEntry[], latecomers: readonly ChainEntry[]): Chain {
  return new Chain(base.globals, [...own, ...latecomers], new Set(latecomers))
}

function denying(error: GatewayError): PolicyHandlers {
  const unavailable = new Unavailable(error)
  return {
    request() {
      throw unavailable
    },
  }
}

/** Stands where policies should have been. */
function denial(error: GatewayError): ChainEntry {
  return {
    policy: '',
    stage: 'identify',
    priority: Number.POSITIVE_INFINITY,
    handlers: denying(error),
    unavailable: true,
    confidential: false,
    yieldsToRoute: false,
    filter: null,
    heldBody: 0,
    shadow: false,
    continueOnError: false,
    errorResponse: undefined,
  }
}

function changes(delta: PlanDelta, kind: keyof PlanResources): boolean {
  return (delta.put[kind]?.length ?? 0) > 0 || (delta.remove[kind]?.length ?? 0) > 0
}
