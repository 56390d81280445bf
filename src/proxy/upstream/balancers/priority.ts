import type { Candidate } from './balancer.ts'

/** Those that take traffic, in groups of the same priority, the highest first; each in the order of the configuration. */
export function byPriority<E extends Candidate>(endpoints: readonly E[]): (readonly [E, ...E[]])[] {
  const groups = Map.groupBy(
    endpoints.filter(({ weight }) => weight > 0),
    ({ priority }) => priority,
  )
  return [...groups].sort(([a], [b]) => b - a).map(([, members]) => members as [E, ...E[]])
}
