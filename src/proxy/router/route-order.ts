/** Routes as one list in which the first entry that fits a request is the route that the router finds. */
import { compilePattern, type PathPattern } from './pattern.ts'
import type { RouteConditions, RouterMode } from './router.ts'

/** A route under one of its hosts and paths. */
export interface OrderedRoute<R> {
  readonly route: R
  /** The host pattern that is looked at first; empty for any, and where hosts are only a condition. */
  readonly host: string
  readonly pattern: PathPattern
}

/**
 * What is more specific stands before what is less, and what belongs together stands together: hosts by their domains,
 * then paths by their directories, each with everything below it before it.
 */
export function orderRoutes<R extends RouteConditions<never>>(
  mode: RouterMode,
  routes: Iterable<R>,
): OrderedRoute<R>[] {
  const entries: (OrderedRoute<R> & { backwards: string; age: number })[] = []
  let age = 0
  for (const route of routes) {
    const hosts = mode === 'radixtree_host_uri' && route.hosts.length > 0 ? route.hosts : ['']
    for (const host of hosts) {
      const backwards = [...host.replace(/^\*/, '')].reverse().join('')
      for (const uri of route.uris) {
        const pattern = compilePattern(uri, mode === 'radixtree_uri_with_parameter')
        entries.push({ route, host, pattern, backwards, age })
      }
    }
    age++
  }
  return entries.sort(
    (a, b) =>
      longestFirst(a.backwards, b.backwards) ||
      Number(a.host.startsWith('*')) - Number(b.host.startsWith('*')) ||
      longestFirst(a.pattern.prefix, b.pattern.prefix) ||
      Number(b.pattern.exact) - Number(a.pattern.exact) ||
      b.route.priority - a.route.priority ||
      b.pattern.source.length - a.pattern.source.length ||
      a.age - b.age,
  )
}

/** By the alphabet, but a text after all those that begin with it. */
function longestFirst(a: string, b: string): number {
  if (a === b) return 0
  if (a.startsWith(b)) return -1
  if (b.startsWith(a)) return 1
  return a < b ? -1 : 1
}
