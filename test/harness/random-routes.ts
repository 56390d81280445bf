/** Random tables of routes and requests that have much to do with each other, for property tests of matching. */
import type { RouteConditions } from '../../src/proxy/router/router.ts'

export interface RandomRoute extends RouteConditions<number> {
  /** What `accepts` asks of a request, when it asks. */
  readonly number: number
}

export interface RandomRequest {
  readonly host: string
  readonly path: string
  readonly method: string
  readonly x: number
}

const methods = ['GET', 'POST', 'PUT']
const hosts = ['foo.com', 'a.foo.com', '*.foo.com', '*foo.com', '*.com', 'b.a.foo.com', '*.a.foo.com']
const askedHosts = ['foo.com', 'a.foo.com', 'b.a.foo.com', 'c.a.foo.com', 'xfoo.com', 'com', 'x.com', '']
const segments = ['a', 'b', 'ab', 'abc', '', ':p', '*', 'a*', '*rest', ':q']
const askedSegments = ['a', 'b', 'ab', 'abc', '', 'c', ':p']
const endings = ['', '', '*', '/*', '/', 'c']

export function randomRoute(random: Random): RandomRoute {
  const number = random.below(3)
  return {
    id: `r${random.below(30)}`,
    uris: random.times(1 + random.below(2), () => randomPattern(random)),
    hosts: random.below(2) === 0 ? [] : [...new Set([random.pick(hosts), random.pick(hosts)])],
    methods: random.below(2) === 0 ? [] : [random.pick(methods)],
    priority: random.below(3) - 1,
    number,
    accepts: random.below(3) === 0 ? (x) => x === number : undefined,
  }
}

export function randomRequest(random: Random): RandomRequest {
  return {
    host: random.pick(askedHosts),
    path: `/${random.times(random.below(5), () => random.pick(askedSegments)).join('/')}`,
    method: random.pick(methods),
    x: random.below(3),
  }
}

function randomPattern(random: Random): string {
  return `/${random.times(random.below(4), () => random.pick(segments)).join('/')}${random.pick(endings)}`
}

/** The seed of a run: `SEED` of the environment, else another one each time. */
export const seedOfRun = (): number => Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

/** A small generator that can be seeded (mulberry32). */
export class Random {
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

  times<E>(count: number, make: () => E): E[] {
    return Array.from({ length: count }, make)
  }
}
