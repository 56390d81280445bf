/**
 * Which of the policies that several resources hold runs for a route, and for a consumer on it. The whole configuration
 * of a policy is taken from one resource, the strongest that names it: service, plugin config, route, consumer group,
 * consumer, from weak to strong (APISIX, part d). One that is switched off switches off what it wins over.
 */
import type {
  ConsumerSpec,
  PlanResources,
  PluginConfig,
  Plugins,
  RouteSpec,
  StreamRouteSpec,
} from '../config/plan.ts'

/** The policies that one resource holds. */
export interface Contribution {
  /** `service:2`, `plugin_config:3`, `route:1`, `consumer_group:4`, `consumer:jack`, `global_rule:1`. */
  readonly owner: string
  readonly plugins: Plugins | undefined
}

/** A policy with the resource that its configuration comes from. */
export interface MergedPolicy {
  readonly name: string
  readonly owner: string
  readonly config: PluginConfig
}

/** By name of the policy; also those that are switched off. */
export type MergedPolicies = ReadonlyMap<string, MergedPolicy>

/** @param contributions from weak to strong */
export function mergePolicies(contributions: Iterable<Contribution>): MergedPolicies {
  const merged = new Map<string, MergedPolicy>()
  for (const { owner, plugins } of contributions) {
    for (const name in plugins) merged.set(name, { name, owner, config: plugins[name] as PluginConfig })
  }
  return merged
}

export const isOff = ({ config }: MergedPolicy): boolean => config._meta?.disable === true

/** What runs for every request of a route, from weak to strong. What it refers to and is not there contributes nothing. */
export function routeContributions(route: RouteSpec, resources: PlanResources): Contribution[] {
  const { service_id: service, plugin_config_id: config } = route
  const contributions: Contribution[] = []
  if (service !== undefined) {
    contributions.push({ owner: `service:${service}`, plugins: resources.services.get(service)?.plugins })
  }
  if (config !== undefined) {
    const { plugins } = resources.plugin_configs.get(config) ?? {}
    contributions.push({ owner: `plugin_config:${config}`, plugins })
  }
  contributions.push({ owner: `route:${route.id}`, plugins: route.plugins })
  return contributions
}

/** The same for sessions of a stream route. */
export function streamRouteContributions(
  { id, plugins, service_id: service }: StreamRouteSpec,
  { services }: PlanResources,
): Contribution[] {
  const own = { owner: `stream_route:${id}`, plugins }
  if (service === undefined) return [own]
  return [{ owner: `service:${service}`, plugins: services.get(service)?.plugins }, own]
}

/** What a consumer brings, on top of that; from weak to strong. */
export function consumerContributions(consumer: ConsumerSpec, resources: PlanResources): Contribution[] {
  const { username, group_id: group, plugins } = consumer
  const contributions: Contribution[] = []
  if (group !== undefined) {
    contributions.push({
      owner: `consumer_group:${group}`,
      plugins: resources.consumer_groups.get(group)?.plugins,
    })
  }
  contributions.push({ owner: `consumer:${username}`, plugins })
  return contributions
}

/** Global rules stand beside each other: a policy is in one of them. */
export function globalContributions({ global_rules: rules }: PlanResources): Contribution[] {
  return [...rules.values()].map(({ id, plugins }) => ({ owner: `global_rule:${id}`, plugins }))
}
