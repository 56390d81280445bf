/** Routes that can never match, because others with the same host and path come before them for every method. */
import type { Declared } from './declarations.ts'
import { methods } from './methods.ts'
import type { RouteSpec } from './plan.ts'
import { describePlace, type Report } from './report.ts'
import type { RouteInput } from './resources.ts'
import type { Settings } from './settings.ts'

interface Candidate {
  route: RouteSpec
  declared: Declared<RouteInput>
  /** A bit for each method. */
  mask: number
  /** It asks for more than host, path and method. */
  conditional: boolean
  /** Pairs of host and path that it has left. */
  open: number
  /** One of those that take its requests. */
  taker: Declared<RouteInput> | undefined
}

/** One bit more than there are names: a route for any method also takes those that have none here. */
const allMethods = (1 << (methods.length + 1)) - 1

/**
 * The router compares host, then path, then priority; the order of the configuration decides between equals. Only what
 * is certain is reported: every pair of host and path is shared with routes that come first and take all its methods.
 */
export function checkReachability(
  routes: readonly { route: RouteSpec; declared: Declared<RouteInput> }[],
  router: Settings['router'] | undefined,
  report: Report,
): void {
  checkPaths(routes, report)
  if (router === 'radixtree_host_uri') checkHosts(routes, report)
  const buckets = new Map<string, Candidate | Candidate[]>()
  for (const { route, declared } of routes) {
    const hosts = route.hosts.length === 0 ? [''] : route.hosts
    const candidate: Candidate = {
      route,
      declared,
      mask: maskOf(route.methods),
      conditional: route.vars !== undefined || route.remote_addrs !== undefined,
      open: hosts.length * route.uris.length,
      taker: undefined,
    }
    for (const host of hosts) {
      for (const uri of route.uris) {
        const key = `${host} ${uri}`
        const bucket = buckets.get(key)
        if (bucket === undefined) buckets.set(key, candidate)
        else if (Array.isArray(bucket)) bucket.push(candidate)
        else buckets.set(key, [bucket, candidate])
      }
    }
  }
  for (const bucket of buckets.values()) if (Array.isArray(bucket)) closeTaken(bucket, report)
}

/** The path of every request begins with a slash. APISIX takes others, so that the Admin API does too. */
function checkPaths(
  routes: readonly { route: RouteSpec; declared: Declared<RouteInput> }[],
  report: Report,
): void {
  for (const { route, declared } of routes) {
    const path = route.uris.find((uri) => !uri.startsWith('/') && !uri.startsWith('*'))
    if (path === undefined) continue
    report.add(declared.place, {
      code: 'unreachable-route',
      message: `no request has the path ${JSON.stringify(path)}: it does not start with \`/\``,
      hint: `Did you mean ${JSON.stringify(`/${path}`)}?`,
    })
  }
}

/** Hosts are looked up without a port, so that one with a port is never found. */
function checkHosts(
  routes: readonly { route: RouteSpec; declared: Declared<RouteInput> }[],
  report: Report,
): void {
  for (const { route, declared } of routes) {
    const host = route.hosts.find((pattern) => /^[^[]*:\d+$|\]:\d+$/.test(pattern))
    if (host === undefined) continue
    report.add(declared.place, {
      code: 'unreachable-route',
      severity: 'warning',
      message:
        'a host of this route has a port, and gateway.router: radixtree_host_uri compares hosts without it',
      hint: 'Leave the port out and ask for it in vars, as [http_host, "==", ...] or [server_port, "==", ...].',
    })
  }
}

function closeTaken(bucket: Candidate[], report: Report): void {
  // Stable: among equals the first of the configuration stays first.
  bucket.sort((a, b) => b.route.priority - a.route.priority)
  let taken = 0
  let taker: Candidate | undefined
  for (const candidate of bucket) {
    if (taker !== undefined && (candidate.mask & ~taken) === 0) {
      candidate.open--
      candidate.taker ??= taker.declared
      if (candidate.open === 0) reportUnreachable(candidate, report)
    }
    // A route with conditions of its own leaves what does not meet them to those behind it.
    if (candidate.conditional) continue
    if ((candidate.mask & ~taken) !== 0) taker ??= candidate
    taken |= candidate.mask
  }
}

function reportUnreachable({ declared, taker }: Candidate, report: Report): void {
  report.add(declared.place, {
    code: 'unreachable-route',
    // It harms nobody, and whoever comes from APISIX may have some: what ran there runs here.
    severity: 'warning',
    message: 'this route can never match: other routes take every request before it',
    hint: `${taker === undefined ? 'Another' : describePlace(taker.place)} has the same host and path, takes its methods, and has a higher priority or stands first. Change path, host, methods or priority, or remove it.`,
  })
}

function maskOf(names: readonly string[]): number {
  if (names.length === 0) return allMethods
  let mask = 0
  for (const name of names) mask |= 1 << methods.indexOf(name as (typeof methods)[number])
  return mask
}
