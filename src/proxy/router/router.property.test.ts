/** The router against a reading of the rules that is slow and obvious, over random tables and requests. */
import assert from 'node:assert/strict'
import { BlockList, isIPv6 } from 'node:net'
import { test } from 'node:test'
import { Random, seedOfRun } from '../../../test/harness/random-routes.ts'
import type { Exchange } from '../exchange.ts'
import { Lookup, LookupValues } from '../lookup.ts'
import { routeCondition } from '../route-condition.ts'
import { Router, type RouterMode } from './router.ts'

const modes: RouterMode[] = ['radixtree_host_uri', 'radixtree_uri', 'radixtree_uri_with_parameter']
const seed = seedOfRun()

for (const mode of modes) {
  test(`${mode} finds what the rules say, also after changes (SEED=${seed})`, () => {
    const random = new Random(seed)
    for (let round = 0; round < 100; round++) {
      const router = table(mode)
      const routes = new Map<string, Route>()
      for (let step = 0; step < 60; step++) {
        if (random.below(4) === 0 && routes.size > 0) {
          const id = random.pick([...routes.keys()])
          routes.delete(id)
          router.remove(id)
        } else {
          const route = randomRoute(random)
          routes.set(route.id, route)
          enter(router, route)
        }
        if (step % 10 !== 9) continue
        const fresh = table(mode)
        for (const route of routes.values()) enter(fresh, route)
        for (let i = 0; i < 40; i++) {
          const request = randomRequest(random)
          const expected = oracle([...routes.values()], mode, request)?.id
          const said = `${JSON.stringify(request)}, round ${round}, step ${step}`
          assert.equal(find(router, request), expected, said)
          assert.equal(find(fresh, request), expected, `${said}, fresh`)
        }
      }
    }
  })
}

type Table = Router<string, Lookup>

const values = new LookupValues()
const lookup = new Lookup()

function table(mode: RouterMode): Table {
  return new Router(mode, ({ exchange }) => exchange.request.headers.get('host'))
}

function enter(router: Table, route: Route): void {
  router.put({ ...route, accepts: routeCondition(route, values) }, route.id)
}

function find(router: Table, { host, field, path, method, query, address }: Request): string | undefined {
  const exchange = {
    request: { query, headers: { get: () => field } },
    client: { address },
  } as unknown as Exchange
  return router.match(host, path, method, lookup.begin(exchange))?.value
}

interface Route {
  id: string
  uris: string[]
  hosts: string[]
  methods: string[]
  priority: number
  remote_addrs?: string[]
  vars?: unknown[]
}

interface Request {
  host: string
  /** The whole Host field. */
  field: string
  path: string
  method: string
  query: string
  address: string
}

const METHODS = ['GET', 'POST', 'PUT']
const HOSTS = [
  'foo.com',
  'a.foo.com',
  '*.foo.com',
  '*foo.com',
  '*.com',
  'b.a.foo.com',
  '*.a.foo.com',
  'foo.com:81',
]
const BLOCKS = ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '0.0.0.0/0', '::/0', 'fd00::/8', '::1']
const ADDRESSES = ['10.1.2.3', '10.1.9.9', '10.9.9.9', '192.0.2.1', '::1', 'fd00::7', '2001:db8::1']
const VALUES = ['1', '2', '10', 'ab', 'b', '']

function randomRoute(random: Random): Route {
  return {
    id: `r${random.below(30)}`,
    uris: Array.from({ length: 1 + random.below(2) }, () => randomPattern(random)),
    hosts: random.below(2) === 0 ? [] : [...new Set([random.pick(HOSTS), random.pick(HOSTS)])],
    methods: random.below(2) === 0 ? [] : [random.pick(METHODS)],
    priority: random.below(3) - 1,
    ...(random.below(5) === 0 && { remote_addrs: [random.pick(BLOCKS), random.pick(BLOCKS)] }),
    ...(random.below(3) === 0 && { vars: randomList(random, 0) }),
  }
}

function randomPattern(random: Random): string {
  const segments = Array.from({ length: random.below(4) }, () =>
    random.pick(['a', 'b', 'ab', 'abc', '', ':p', '*', 'a*', '*rest', ':q']),
  )
  return `/${segments.join('/')}${random.pick(['', '', '*', '/*', '/', 'c'])}`
}

/** Conditions that all have to hold, or a combination of them. */
function randomList(random: Random, depth: number): unknown[] {
  const rules = Array.from({ length: 1 + random.below(2) }, () =>
    depth < 2 && random.below(3) === 0 ? randomList(random, depth + 1) : randomComparison(random),
  )
  if (random.below(2) === 0) return rules
  return [random.pick(['AND', 'OR', '!AND', '!or']), ...rules, randomComparison(random)]
}

function randomComparison(random: Random): unknown[] {
  const variable = random.pick(['arg_a', 'arg_b'])
  const operator = random.pick(['==', '~=', '>', '>=', '<', '<=', '~~', '~*', 'in', 'IN', 'has', 'ipmatch'])
  const value = random.pick<unknown>([...VALUES, 1, 10, null])
  const negation = random.below(4) === 0 ? ['!'] : []
  if (operator === 'ipmatch') return ['remote_addr', ...negation, operator, random.pick(BLOCKS)]
  if (operator === '~~' || operator === '~*') {
    return [variable, ...negation, operator, random.pick(['^a', 'B$', '[0-9]+', 'ab'])]
  }
  if (operator.toLowerCase() === 'in') return [variable, ...negation, operator, [value, random.pick(VALUES)]]
  return [variable, ...negation, operator, value]
}

function randomRequest(random: Random): Request {
  const host = random.pick([
    'foo.com',
    'a.foo.com',
    'b.a.foo.com',
    'c.a.foo.com',
    'xfoo.com',
    'com',
    'x.com',
    '',
  ])
  const argument = (name: string) => (random.below(3) === 0 ? [] : [`${name}=${random.pick(VALUES)}`])
  const segments = Array.from({ length: random.below(5) }, () =>
    random.pick(['a', 'b', 'ab', 'abc', '', 'c', ':p']),
  )
  return {
    host,
    field: host + random.pick(['', '', ':81']),
    path: `/${segments.join('/')}`,
    method: random.pick(METHODS),
    query: [...argument('a'), ...argument('b')].join('&'),
    address: random.pick(ADDRESSES),
  }
}

/** Every route under each of its hosts and paths, sorted as the rules order them; the first that holds is the answer. */
function oracle(routes: Route[], mode: RouterMode, request: Request): Route | undefined {
  const hostFirst = mode === 'radixtree_host_uri'
  const fits = (pattern: string) => {
    const host = pattern.includes(':') && !hostFirst ? request.field : request.host
    return pattern.startsWith('*') ? host.endsWith(pattern.slice(1)) : pattern === host
  }
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
    ({ route, uri, hostPattern }) =>
      (hostPattern === null || fits(hostPattern)) &&
      expression(uri, mode).test(request.path) &&
      (route.methods.length === 0 || route.methods.includes(request.method)) &&
      (route.remote_addrs === undefined || isIn(request.address, route.remote_addrs)) &&
      (route.vars === undefined || holds(route.vars, request)),
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

/** A rule as lua-resty-expr defines it: by the first thing in it. */
function holds(rule: readonly unknown[], request: Request): boolean {
  const [first] = rule
  if (Array.isArray(first)) return rule.every((inner) => holds(inner as unknown[], request))
  const inner = rule.slice(1) as unknown[][]
  switch (String(first).toUpperCase()) {
    case 'AND':
      return inner.every((one) => holds(one, request))
    case 'OR':
      return inner.some((one) => holds(one, request))
    case '!AND':
      return !inner.every((one) => holds(one, request))
    case '!OR':
      return !inner.some((one) => holds(one, request))
    default:
      return rule[1] === '!' ? !compares([first, rule[2], rule[3]], request) : compares(rule, request)
  }
}

function compares([variable, operator, operand]: readonly unknown[], { query, address }: Request): boolean {
  const name = String(variable).slice('arg_'.length)
  const argument = query.split('&').find((pair) => pair.startsWith(`${name}=`))
  const left = variable === 'remote_addr' ? address : argument?.slice(name.length + 1)
  const number = (value: unknown) =>
    value === undefined || value === null || value === '' ? Number.NaN : Number(value)
  switch (String(operator).toLowerCase()) {
    case '==':
      return typeof operand === 'number' ? number(left) === operand : left === (operand ?? undefined)
    case '~=':
      return typeof operand === 'number' ? number(left) !== operand : left !== (operand ?? undefined)
    case '>':
      return number(left) > number(operand)
    case '>=':
      return number(left) >= number(operand)
    case '<':
      return number(left) < number(operand)
    case '<=':
      return number(left) <= number(operand)
    case '~~':
      return left !== undefined && new RegExp(String(operand)).test(left)
    case '~*':
      return left !== undefined && new RegExp(String(operand), 'i').test(left)
    case 'in':
      return left !== undefined && (operand as unknown[]).includes(left)
    case 'ipmatch':
      return isIn(address, [String(operand)])
    default:
      return false
  }
}

/** By block, because Node's list takes `::/0` to hold IPv4 addresses as well. */
function isIn(address: string, blocks: readonly string[]): boolean {
  return blocks.some((block) => {
    const [network = '', bits] = block.split('/')
    const family = isIPv6(network) ? 'ipv6' : 'ipv4'
    if (isIPv6(address) !== isIPv6(network)) return false
    const list = new BlockList()
    list.addSubnet(network, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family)
    return list.check(address, family)
  })
}
