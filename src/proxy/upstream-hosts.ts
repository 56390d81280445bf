/** The names among the hosts of a plan's upstream nodes: what has to be resolved. */
import { isIP } from 'node:net'
import type { Plan, PlanChanges, RouteSpec, ServiceSpec, UpstreamSpec } from '../config/plan.ts'

const kinds = ['upstreams', 'services', 'routes'] as const

/** Counts how many upstreams each name stands in, so that a change of one upstream does not look at the others. */
export class UpstreamHosts {
  readonly #counts = new Map<string, number>()

  constructor(plan: Plan) {
    for (const kind of kinds) for (const resource of plan[kind].values()) this.#add(resource, 1)
  }

  names(): Set<string> {
    return new Set(this.#counts.keys())
  }

  /**
   * Counts what the changes bring to the plan that they are for, which must not have been changed yet.
   * @returns the names that are new
   */
  add(changes: PlanChanges): string[] {
    const fresh: string[] = []
    for (const kind of kinds) for (const resource of changes.put[kind] ?? []) this.#add(resource, 1, fresh)
    return fresh
  }

  /**
   * Forgets what the changes take from the plan that they are for, which must not have been changed yet.
   * @returns the names that nothing needs any more
   */
  subtract(plan: Plan, changes: PlanChanges): string[] {
    const gone: string[] = []
    for (const kind of kinds) {
      const ids = [...(changes.put[kind] ?? []).map(({ id }) => id), ...(changes.remove[kind] ?? [])]
      for (const id of ids) {
        const before = id === undefined ? undefined : plan[kind].get(id)
        if (before !== undefined) this.#add(before, -1, gone)
      }
    }
    return gone
  }

  /** Takes back `add`. */
  withdraw(changes: PlanChanges): void {
    for (const kind of kinds) for (const resource of changes.put[kind] ?? []) this.#add(resource, -1)
  }

  #add(resource: RouteSpec | ServiceSpec | UpstreamSpec, by: 1 | -1, turned: string[] = []): void {
    const { nodes = [] } = 'nodes' in resource ? resource : (resource.upstream ?? {})
    for (const { host } of nodes) {
      if (isIP(host) !== 0) continue
      const count = (this.#counts.get(host) ?? 0) + by
      if (count === 0) this.#counts.delete(host)
      else this.#counts.set(host, count)
      if (by === 1 ? count === 1 : count === 0) turned.push(host)
    }
  }
}
