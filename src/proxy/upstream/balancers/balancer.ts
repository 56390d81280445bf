/** What every way of balancing has in common. Each is a file of this folder; an upstream has one of them. */
import type { Exchange } from '../../exchange.ts'

/** What a balancer looks at. */
export interface Candidate {
  /** 0 takes no traffic. */
  readonly weight: number
  /** Higher groups first. */
  readonly priority: number
  /** False while it is known to fail. */
  readonly usable: boolean
}

export interface Balancer<E extends Candidate> {
  /**
   * The endpoint for the next attempt of a request; null when all that take traffic were tried. One that is not usable
   * comes only when no other is left, and a lower group only after all of the higher one.
   */
  pick(tried: ReadonlySet<E> | null, exchange: Exchange): E | null
}

/** For an upstream that is to be balanced in a way that there is not. */
export const noBalancer: Balancer<never> = { pick: () => null }

/** Endpoints of the same priority. */
export interface Group<E extends Candidate> {
  /** One that was not tried, and that is usable if only those are wanted; null when there is none. */
  next(tried: ReadonlySet<E> | null, onlyUsable: boolean, hash: number): E | null
}

/** Those that take traffic, in groups of the same priority, the highest first; each in the order of the configuration. */
export function byPriority<E extends Candidate>(endpoints: readonly E[]): (readonly [E, ...E[]])[] {
  const groups = Map.groupBy(
    endpoints.filter(({ weight }) => weight > 0),
    ({ priority }) => priority,
  )
  return [...groups].sort(([a], [b]) => b - a).map(([, members]) => members as [E, ...E[]])
}

/** @param hash of the request's key, for groups that look at it */
export function pickFromGroups<E extends Candidate>(
  groups: readonly Group<E>[],
  tried: ReadonlySet<E> | null,
  hash: number,
): E | null {
  for (let i = 0; i < groups.length; i++) {
    const endpoint = groups[i]!.next(tried, true, hash)
    if (endpoint !== null) return endpoint
  }
  for (let i = 0; i < groups.length; i++) {
    const endpoint = groups[i]!.next(tried, false, hash)
    if (endpoint !== null) return endpoint
  }
  return null
}

export function isWanted<E extends Candidate>(
  endpoint: E,
  tried: ReadonlySet<E> | null,
  onlyUsable: boolean,
): boolean {
  return (!onlyUsable || endpoint.usable) && (tried === null || !tried.has(endpoint))
}
