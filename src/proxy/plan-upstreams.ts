/** The upstreams of plans, wherever they stand. */
import type { Plan, PlanDelta, ResourceKind, Resources, UpstreamSpec } from '../config/plan.ts'

const kindsWithUpstreams = ['upstreams', 'services', 'routes'] as const satisfies ResourceKind[]

type Holder = Resources[(typeof kindsWithUpstreams)[number]]

/** Every upstream of a plan: those with an id, and those that stand in services and routes. */
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
    const replaced = [...put.map(({ id }) => id as string), ...(delta.remove[kind] ?? [])]
    for (const resource of put) added.push(...upstreamsIn(resource))
    for (const id of replaced) {
      const resource: Holder | undefined = before[kind].get(id)
      if (resource !== undefined) gone.push(...upstreamsIn(resource))
    }
  }
  return { added, gone }
}

function upstreamsIn(resource: Holder): UpstreamSpec[] {
  if ('nodes' in resource) return [resource]
  return resource.upstream === undefined ? [] : [resource.upstream]
}
