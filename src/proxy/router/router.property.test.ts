/** The router against a reading of the rules that is slow and obvious, over random tables and requests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RouteConditions, Router, type RouterMode } from './router.ts'

const modes: RouterMode[] = ['radixtree_host_uri', 'radixtree_uri', 'radixtree_uri_with_parameter']
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

for (const mode of modes) {
  test(`${mode} finds what the rules say, also after changes (SEED=${seed})`, () => {
    const random = new Random(seed)
    for (let round = 0; round < 150; round++) {
      const router = new Router<Route, number>(mode, () => undefined)
      const routes = new Map<string, Route>()
      for (let step = 0; step < 60; step++) {
        if (random.below(4) === 0 && routes.size > 0) {
          const id = random.pick([...routes.keys()])
          routes.delete(id)
          router.remove(id)
        } else {
          const route = randomRoute(random)
          routes.set(route.id, route)
          router.put(route, route)
        }
        if (step % 10 !== 9) continue
        const fresh = new Router<Route, number>(mode, () => undefined)
        for (const route of routes.values()) fresh.put(route, route)
        for (let i = 0; i < 40; i++) {
          const [host, path, method, x] = [
            randomHost(random),
            randomPath(random),
            random.pick(METHODS),
            random.below(3),
          ]
          const expected = oracle([...routes.values()], mode, host, path, method, x)?.id
          const request = `${method} ${host}${path} ${x}, round ${round}, step ${step}`
          assert.equal(router.match(host, path, method, x)?.value.id, expected, request)
          assert.equal(fresh.match(host, path, method, x)?.value.id, expected, `${request}, fresh`)
        }
      }
    }
  })
}

interface Route extends RouteConditions<number> {
  number: number
}

const METHODS = ['GET', 'POST', 'PUT']
const HOSTS = ['foo.com', 'a.foo.com', '*.foo.com', '*foo.com', '*.com', 'b.a.foo.com', '*.a.foo.com']

function randomRoute(random: Random): Route {
  const number = random.below(3)
  return {
    id: `r${random.below(30)}`,
    uris: Array.from({ length: 1 + random.below(2) }, () => randomPattern(random)),
    hosts: random.below(2) === 0 ? [] : [...new Set([random.pick(HOSTS), random.pick(HOSTS)])],
    methods: random.below(2) === 0 ? [] : [random.pick(METHODS)],
    priority: random.below(3) - 1,
    number,
    accepts: random.below(3) === 0 ? (x) => x === number : undefined,
  }
}

function randomPattern(random: Random): string {
  const segments = Array.from({ length: random.below(4) }, () =>
    random.pick(['a', 'b', 'ab', 'abc', '', ':p', '*', 'a*', '*rest', ':q']),
  )
  return `/${segments.join('/')}${random.pick(['', '', '*', '/*', '/', 'c'])}`
}

function randomPath(random: Random): string {
  return `/${Array.from({ length: random.below(5) }, () => random.pick(['a', 'b', 'ab', 'abc', '', 'c', ':p'])).join('/')}`
}

function randomHost(random: Random): string {
  return random.pick(['foo.com', 'a.foo.com', 'b.a.foo.com', 'c.a.foo.com', 'xfoo.com', 'com', 'x.com', ''])
}

/** Every route under each of its hosts and paths, sorted as the rules order them; the first that holds is the answer. */
function oracle(
  routes: Route[],
  mode: RouterMode,
  host: string,
  path: string,
  method: string,
  x: number,
): Route | undefined {
  const hostFirst = mode === 'radixtree_host_uri'
  const fits = (pattern: string) =>
    pattern.startsWith('*') ? host.endsWith(pattern.slice(1)) : pattern === host
  const rows = routes.flatMap((route, order) =>
    (route.hosts.length > 0 ? route.hosts : [null]).flatMap((hostPattern) =>
      route.uris.map((uri) => {
        const special = uri.search(mode === 'radixtree_uri_with_parameter' ? /\*|(?<=\/):/ : /\*/)
        return {
          route,
          order,
          uri,
          hostPattern,
          hostRank:
            !hostFirst || hostPattern === null ? 0 : hostPattern.startsWith('*') ? hostPattern.length : 1000,
          exact: special === -1,
          prefix: special === -1 ? uri : uri.slice(0, special),
        }
      }),
    ),
  )
  rows.sort(
    (a, b) =>
      b.hostRank - a.hostRank ||
      Number(b.exact) - Number(a.exact) ||
      b.prefix.length - a.prefix.length ||
      b.route.priority - a.route.priority ||
      b.uri.length - a.uri.length ||
      a.order - b.order,
  )
  return rows.find(
    (row) =>
      (row.hostPattern === null || fits(row.hostPattern)) &&
      expression(row.uri, mode).test(path) &&
      (row.route.methods.length === 0 || row.route.methods.includes(method)) &&
      (row.route.accepts?.(x) ?? true),
  )?.route
}

function expression(uri: string, mode: RouterMode): RegExp {
  const source = uri.split('/').map((segment) => {
    if (mode === 'radixtree_uri_with_parameter' && segment.startsWith(':')) return '[^/]+'
    if (/^\*[^*]*$/.test(segment)) return '.*'
    return segment.replaceAll('*', '.*')
  })
  return new RegExp(`^${source.join('/')}$`)
}

/** A small generator that can be seeded (mulberry32). */
class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }

  pick<E>(list: readonly E[]): E {
    return list[this.below(list.length)]!
  }
}
