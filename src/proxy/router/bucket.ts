/** The routes that share a path, in the order in which they are tried. */
import type { PatternRest } from './pattern.ts'

/** A route under one of its hosts and paths. What a lookup looks at comes first, to be in one line of the cache. */
export interface Candidate<T, X> {
  /** Bits of the methods, see `methodMask`. */
  readonly methods: number
  /** The path must end where the bucket's does. */
  readonly exact: boolean
  readonly rest: PatternRest | null
  /** Hosts as a condition, where the path is looked at first. */
  readonly hosts: ((host: string, x: X) => boolean) | null
  readonly accepts: ((x: X) => boolean) | null
  readonly value: T
  /** The path pattern as configured. */
  readonly uri: string
  /** The host pattern of the tree that this candidate is in; empty in the tree of any host. */
  readonly host: string
  /** Literal front of the path: the bucket's. */
  readonly prefix: string
  readonly priority: number
  readonly order: number
}

export class Bucket<T, X> {
  // The best one stands by itself: most paths have a single route, and a list costs two more cache misses.
  #best: Candidate<T, X> | null = null
  #others: Candidate<T, X>[] = NONE

  get empty(): boolean {
    return this.#best === null
  }

  add(candidate: Candidate<T, X>): void {
    if (this.#best === null) {
      this.#best = candidate
    } else if (precedes(candidate, this.#best)) {
      this.#others = [this.#best, ...this.#others]
      this.#best = candidate
    } else {
      this.#others = inserted(this.#others, candidate)
    }
  }

  remove(candidate: Candidate<T, X>): void {
    if (candidate === this.#best) this.#best = this.#others.shift() ?? null
    else this.#others.splice(this.#others.indexOf(candidate), 1)
  }

  /** The best candidate for a path that begins with this bucket's; `whole` when it is all of it. */
  first(whole: boolean, host: string, path: string, method: number, x: X): Candidate<T, X> | null {
    if (this.#best !== null && holds(this.#best, whole, host, path, method, x)) return this.#best
    for (const candidate of this.#others) if (holds(candidate, whole, host, path, method, x)) return candidate
    return null
  }

  /** In the order in which they are tried. */
  *candidates(): Generator<Candidate<T, X>> {
    if (this.#best !== null) yield this.#best
    yield* this.#others
  }
}

const NONE: never[] = []

/** From the end, because routes mostly come in the order in which they are tried. */
function inserted<T, X>(list: Candidate<T, X>[], candidate: Candidate<T, X>): Candidate<T, X>[] {
  if (list.length === 0) return [candidate]
  let at = list.length
  while (at > 0 && precedes(candidate, list[at - 1]!)) at--
  list.splice(at, 0, candidate)
  return list
}

/** APISIX's order: exact paths, then by priority, then the longer pattern as written, then the one that came first. */
function precedes<T, X>(a: Candidate<T, X>, b: Candidate<T, X>): boolean {
  if (a.exact !== b.exact) return a.exact
  if (a.priority !== b.priority) return a.priority > b.priority
  if (a.uri.length !== b.uri.length) return a.uri.length > b.uri.length
  return a.order < b.order
}

function holds<T, X>(
  candidate: Candidate<T, X>,
  whole: boolean,
  host: string,
  path: string,
  method: number,
  x: X,
): boolean {
  return (
    (whole || !candidate.exact) &&
    (candidate.methods & method) !== 0 &&
    (candidate.rest === null || candidate.rest.matches(path)) &&
    (candidate.hosts === null || candidate.hosts(host, x)) &&
    (candidate.accepts === null || candidate.accepts(x))
  )
}

/** What a candidate can ask of a request that the request does not have. */
export type Loss = 'path' | 'method' | 'host' | 'condition'

/** All that keeps a candidate from holding; for explanations, which have time. */
export function lossesOf<T, X>(
  candidate: Candidate<T, X>,
  whole: boolean,
  host: string,
  path: string,
  method: number,
  x: X,
): Loss[] {
  const losses: Loss[] = []
  if (candidate.exact && !whole) losses.push('path')
  if ((candidate.methods & method) === 0) losses.push('method')
  if (candidate.rest !== null && !candidate.rest.matches(path)) losses.push('path')
  if (candidate.hosts !== null && !candidate.hosts(host, x)) losses.push('host')
  if (candidate.accepts !== null && !candidate.accepts(x)) losses.push('condition')
  return losses
}
