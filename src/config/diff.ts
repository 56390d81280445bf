/** What changed between plans. Resources that are equal keep the object of the old plan. */
import { equal } from './copy.ts'
import { type Plan, type PlanDelta, resourceKinds } from './plan.ts'

type AnyResources = ReadonlyMap<string, { id?: string; username?: string }>

/** From `previous` (null: from nothing) to `next`. The delta has the version of `next`. */
export function diffPlans(previous: Plan | null, next: Plan): PlanDelta {
  const delta: PlanDelta = { version: next.version, put: {}, remove: {} }
  if (previous === null || !equal(previous.settings, next.settings)) delta.settings = next.settings
  for (const kind of resourceKinds) {
    const before: AnyResources = previous?.[kind] ?? new Map()
    const after: AnyResources = next[kind]
    const put: unknown[] = []
    for (const [id, resource] of after) if (!equal(before.get(id), resource)) put.push(resource)
    const remove: string[] = []
    for (const id of before.keys()) if (!after.has(id)) remove.push(id)
    if (put.length > 0) Object.assign(delta.put, { [kind]: put })
    if (remove.length > 0) delta.remove[kind] = remove
  }
  return delta
}

/** Whether a delta changes anything at all. */
export const isEmptyDelta = (delta: PlanDelta): boolean =>
  delta.settings === undefined &&
  Object.keys(delta.put).length === 0 &&
  Object.keys(delta.remove).length === 0

/** Changes the given plan itself, so that the effort is that of the delta, however large the plan is. */
export function applyInPlace(plan: Plan, delta: PlanDelta): void {
  plan.version = delta.version
  if (delta.settings !== undefined) plan.settings = delta.settings
  for (const kind of resourceKinds) {
    const resources = plan[kind] as Map<string, unknown>
    for (const id of delta.remove[kind] ?? []) resources.delete(id)
    for (const resource of delta.put[kind] ?? []) resources.set(identity(resource), resource)
  }
}

/**
 * The delta that leads back from where `delta` led to. It has the version of the plan before, which is 0 for nothing;
 * settings cannot be taken back to nothing.
 */
export function invertDelta(before: Plan | null, delta: PlanDelta): PlanDelta {
  const inverse: PlanDelta = { version: before?.version ?? 0, put: {}, remove: {} }
  if (delta.settings !== undefined && before !== null) inverse.settings = before.settings
  for (const kind of resourceKinds) {
    const known: AnyResources = before?.[kind] ?? new Map()
    const put: unknown[] = []
    const remove: string[] = []
    for (const resource of delta.put[kind] ?? []) {
      const id = identity(resource)
      const old = known.get(id)
      if (old === undefined) remove.push(id)
      else put.push(old)
    }
    for (const id of delta.remove[kind] ?? []) {
      const old = known.get(id)
      if (old !== undefined) put.push(old)
    }
    if (put.length > 0) Object.assign(inverse.put, { [kind]: put })
    if (remove.length > 0) inverse.remove[kind] = remove
  }
  return inverse
}

/** The key of a resource in its map. */
function identity(resource: { id?: string; username?: string }): string {
  const id = resource.username ?? resource.id
  if (id === undefined) throw new Error('a resource of a plan has an id or a username')
  return id
}
