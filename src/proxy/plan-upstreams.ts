/** The upstreams of plans, wherever they stand. */
import type { Plan, PlanDelta, ResourceKind, Resources, UpstreamSpec } from '../config/plan.ts'

/** Kinds that hold upstreams, or policies that do. */
export const kindsWithUpstreams = [
  'upstreams',
  'services',
  'routes',
  'stream_routes',
  'plugin_configs',
  'global_rules',
  'consumer_groups',
  'consumers',
] as const satisfies ResourceKind[]

type Holder = Resources[(typeof kindsWithUpstreams)[number]]

/** Every upstream of a plan: those with an id, and those that stand in services, routes and policies. */
export function planUpstreams(plan: Plan): UpstreamSpec[] {
  return kindsWithUpstreams.flatMap((kind) => [...plan[kind].values()].flatMap(upstreamsIn))
}

/** Those that a delta brings, and those of the plan before that it replaces or takes away. */
export function changedUpstreams(
  before: Plan,
  delta: PlanDelta,
): { added: UpstreamSpec[]; gone: UpstreamSpec[] } {
  const added: UpstreamSpec[] = []
  const gone: UpstreamSpec[] = []
  for (const kind of kindsWithUpstreams) {
    const put: readonly Holder[] = delta.put[kind] ?? []
    const replaced = [...put.map(identity), ...(delta.remove[kind] ?? [])]
    for (const resource of put) added.push(...upstreamsIn(resource))
    for (const id of replaced) {
      const resource: Holder | undefined = before[kind].get(id)
      if (resource !== undefined) gone.push(...upstreamsIn(resource))
    }
  }
  return { added, gone }
}

/** The upstreams that a resource is or holds. */
export function upstreamsIn(resource: Holder): UpstreamSpec[] {
  if ('nodes' in resource) return [resource]
  const own = 'upstream' in resource && resource.upstream !== undefined ? [resource.upstream] : []
  return resource.policy_upstreams === undefined ? own : [...own, ...resource.policy_upstreams]
}

const identity = (resource: Holder): string =>
  'username' in resource ? resource.username : (resource.id as string)
