/**
 * Finds the route of a request: host, then path, then the conditions of the routes that share both.
 * The order is Apache APISIX's. The most specific host wins over any path of a less specific one; within a host the exact
 * path, then prefixes from long to short; within one path the priority. Where every route of a path fails its conditions
 * the search goes on to the next shorter prefix, then to the next less specific host.
 */
import { Bucket, type Candidate, type Loss, lossesOf } from './bucket.ts'
import { HostTable, hostMatches } from './hosts.ts'
import { methodBit, methodMask, routeMethods } from './methods.ts'
import { compilePattern } from './pattern.ts'
import { type NodeId, PrefixForest } from './prefix-forest.ts'

export type { Loss } from './bucket.ts'

/** `radixtree_host_uri` looks at the host first; the others at the path first, with hosts as a condition. */
export type RouterMode = 'radixtree_host_uri' | 'radixtree_uri' | 'radixtree_uri_with_parameter'

/** What a route asks of a request. `X` is what its condition looks at. */
export interface RouteConditions<X> {
  readonly id: string
  readonly uris: readonly string[]
  /** Empty: any host. Lower case. */
  readonly hosts: readonly string[]
  /** Empty: any method. */
  readonly methods: readonly string[]
  readonly priority: number
  /** Any further condition, evaluated last. */
  readonly accepts?: ((x: X) => boolean) | undefined
}

/** What a lookup finds: a route under one of its hosts and paths. */
export interface Match<T> {
  readonly value: T
  /** The path pattern as configured. */
  readonly uri: string
  /** The host pattern as configured; empty for a route of any host, and where hosts are only a condition. */
  readonly host: string
}

/** A candidate as an explanation sees it. */
export interface Considered<T> extends Match<T> {
  readonly priority: number
  /** Why it was passed over; empty: it is the match. */
  readonly losses: readonly Loss[]
}

export class Router<T, X = unknown> {
  readonly #mode: RouterMode
  readonly #hostField: (x: X) => string | undefined
  readonly #paths = new PrefixForest<Bucket<T, X>>()
  /** Roots of the hosts' trees. */
  readonly #byHost = new HostTable<NodeId>()
  readonly #anyHost = this.#paths.plant()
  readonly #routes = new Map<string, { order: number; candidates: Candidate<T, X>[] }>()
  #nextOrder = 0

  /** `hostField` reads the whole Host field: what patterns with a port are compared with, where hosts are a condition. */
  constructor(mode: RouterMode, hostField: (x: X) => string | undefined) {
    this.#mode = mode
    this.#hostField = hostField
  }

  get size(): number {
    return this.#routes.size
  }

  /** Adds a route, or replaces the one of that id, which keeps its place among equals. */
  put(route: RouteConditions<X>, value: T): void {
    const order = this.#routes.get(route.id)?.order ?? this.#nextOrder++
    const candidates = this.#candidates(route, value, order)
    this.remove(route.id)
    for (const candidate of candidates) this.#enter(candidate)
    this.#routes.set(route.id, { order, candidates })
  }

  remove(id: string): void {
    for (const candidate of this.#routes.get(id)?.candidates ?? []) this.#leave(candidate)
    this.#routes.delete(id)
  }

  /** The route of a request, or null. Allocates nothing. `path` is canonical, `host` lower case without port. */
  match(host: string, path: string, method: string, x: X): Match<T> | null {
    const bit = methodBit(method)
    const own = this.#byHost.exact(host)
    if (own !== undefined) {
      const found = this.#search(own, host, path, bit, x)
      if (found !== null) return found
    }
    for (const length of this.#byHost.suffixLengths) {
      const wildcard = this.#byHost.suffix(host, length)
      const found = wildcard === undefined ? null : this.#search(wildcard, host, path, bit, x)
      if (found !== null) return found
    }
    return this.#search(this.#anyHost, host, path, bit, x)
  }

  /**
   * What `match` looks at, in its order, up to what it takes: why each other one lost. Exact paths that the request's
   * only begins with are left out.
   */
  explain(host: string, path: string, method: string, x: X): Considered<T>[] {
    const considered: Considered<T>[] = []
    for (const { candidate, whole } of this.#visited(host, path)) {
      if (candidate.exact && !whole) continue
      const losses = lossesOf(candidate, whole, host, path, methodBit(method), x)
      considered.push({ ...seen(candidate), losses })
      if (losses.length === 0) break
    }
    return considered
  }

  /**
   * Routes of other hosts that would take the request under theirs: what a wrong Host misses. Looks at `most` hosts.
   * Empty where hosts are only a condition: then `explain` has them.
   */
  explainHosts(host: string, path: string, method: string, x: X, most: number): Considered<T>[] {
    const found: Considered<T>[] = []
    let looked = 0
    for (const [pattern, root] of this.#byHost.entries()) {
      if (hostMatches(pattern, host)) continue
      if (looked++ === most) break
      const match = this.#search(root, host, path, methodBit(method), x)
      if (match !== null) found.push({ ...seen(match as Candidate<T, X>), losses: ['host'] })
    }
    return found
  }

  /** Every candidate that a lookup may come to, in its order. */
  *#visited(host: string, path: string): Generator<{ candidate: Candidate<T, X>; whole: boolean }> {
    const wildcards = this.#byHost.suffixLengths.map((length) => this.#byHost.suffix(host, length))
    for (const root of [this.#byHost.exact(host), ...wildcards, this.#anyHost]) {
      if (root === undefined) continue
      const paths = this.#paths
      for (let node = paths.longest(root, path); node !== 0; node = paths.above(node)) {
        const whole = paths.depth(node) === path.length
        for (const candidate of paths.value(node)!.candidates()) yield { candidate, whole }
      }
    }
  }

  /** Methods with which `match` would find a route: where it found none, what a 405 names in `Allow`. */
  allowedMethods(host: string, path: string, x: X): string[] {
    return routeMethods.filter((method) => this.match(host, path, method, x) !== null)
  }

  /** From the longest path to the shortest. */
  #search(root: NodeId, host: string, path: string, method: number, x: X): Match<T> | null {
    const paths = this.#paths
    for (let node = paths.longest(root, path); node !== 0; node = paths.above(node)) {
      const found = paths.value(node)!.first(paths.depth(node) === path.length, host, path, method, x)
      if (found !== null) return found
    }
    return null
  }

  #candidates(route: RouteConditions<X>, value: T, order: number): Candidate<T, X>[] {
    const hostFirst = this.#mode === 'radixtree_host_uri' && route.hosts.length > 0
    const methods = methodMask(route.methods)
    const hosts = hostFirst || route.hosts.length === 0 ? null : hostCondition(route.hosts, this.#hostField)
    const accepts = route.accepts ?? null
    const patterns = route.uris.map((uri) =>
      compilePattern(uri, this.#mode === 'radixtree_uri_with_parameter'),
    )
    return (hostFirst ? route.hosts : ['']).flatMap((host) =>
      patterns.map(({ source: uri, prefix, exact, rest }) => {
        return {
          methods,
          exact,
          rest,
          hosts,
          accepts,
          value,
          uri,
          host,
          prefix,
          priority: route.priority,
          order,
        }
      }),
    )
  }

  #enter(candidate: Candidate<T, X>): void {
    const node = this.#paths.insert(this.#rootOf(candidate.host), candidate.prefix)
    const bucket = this.#paths.value(node) ?? new Bucket()
    bucket.add(candidate)
    this.#paths.setValue(node, bucket)
  }

  #leave(candidate: Candidate<T, X>): void {
    const root = this.#rootOf(candidate.host)
    const node = this.#paths.insert(root, candidate.prefix)
    const bucket = this.#paths.value(node)!
    bucket.remove(candidate)
    if (!bucket.empty) return
    this.#paths.clear(node)
    if (candidate.host === '' || !this.#paths.isEmpty(root)) return
    this.#byHost.delete(candidate.host)
    this.#paths.fell(root)
  }

  #rootOf(host: string): NodeId {
    if (host === '') return this.#anyHost
    let root = this.#byHost.get(host)
    if (root === undefined) {
      root = this.#paths.plant()
      this.#byHost.set(host, root)
    }
    return root
  }
}

/** In APISIX a pattern with a colon is compared with the whole Host field, any other with the host alone. */
function hostCondition<X>(
  patterns: readonly string[],
  hostField: (x: X) => string | undefined,
): (host: string, x: X) => boolean {
  return (host, x) => {
    for (const pattern of patterns) {
      const compared = pattern.includes(':') ? (hostField(x)?.toLowerCase() ?? host) : host
      if (hostMatches(pattern, compared)) return true
    }
    return false
  }
}

function seen<T, X>({ value, uri, host, priority }: Candidate<T, X>): Omit<Considered<T>, 'losses'> {
  return { value, uri, host, priority }
}
