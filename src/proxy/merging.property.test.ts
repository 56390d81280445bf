/**
 * The rules of merging against a table: which resource's policy runs in which pass, through the real chains and passes.
 * The table says it for one policy; every combination is then compared with a plain restatement of the rules.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type PlanResources, type Plugins, type RouteSpec, resourceKinds } from '../config/plan.ts'
import { PolicyChains } from './chains.ts'
import { type Conduct, dispatch } from './dispatch.ts'
import type { Engine } from './engine.ts'
import type { Consumer, Exchange, PolicyFactory, Stage } from './exchange.ts'
import { emptyChain, runHooks } from './pipeline.ts'
import type { Binding } from './runtime.ts'

/** What a resource says about a policy: nothing, that it runs, or that it is off. */
type Saying = '-' | 'on' | 'off'
const sources = ['global', 'service', 'config', 'route', 'group', 'consumer'] as const
type Source = (typeof sources)[number]
type Sayings = Readonly<Record<Source, Saying>>

/** A policy of each stage; all have a part in the answer, and one gives way to the route in a global rule. */
const policies = {
  auth: { stage: 'identify', yields: false },
  change: { stage: 'transform', yields: false },
  limit: { stage: 'limit', yields: false },
  count: { stage: 'transform', yields: true },
} as const satisfies Record<string, { stage: Stage; yields: boolean }>
type Policy = keyof typeof policies

/** Notes everything that ran, as `policy of owner in pass`. */
class Trace {
  readonly ran: string[] = []
  readonly factories = new Map<string, PolicyFactory>(
    Object.entries(policies).map(([name, { stage, yields }]) => [
      name,
      {
        name,
        stage,
        priority: 0,
        yieldsToRoute: yields,
        create: (_config, { owner }) => ({
          request: () => void this.ran.push(`${name} of ${owner} in request`),
          respond: () => void this.ran.push(`${name} of ${owner} in respond`),
          observe: () => void this.ran.push(`${name} of ${owner} in observe`),
        }),
      },
    ]),
  )
}

const owners: Readonly<Record<Source, string>> = {
  global: 'global_rule:g',
  service: 'service:s',
  config: 'plugin_config:p',
  route: 'route:r',
  group: 'consumer_group:v',
  consumer: 'consumer:jack',
}

function pluginsOf(source: Source, sayings: Partial<Record<Policy, Sayings>>): Plugins {
  const plugins: Plugins = {}
  for (const [name, of] of Object.entries(sayings)) {
    if (of[source] !== '-') plugins[name] = of[source] === 'off' ? { _meta: { disable: true } } : {}
  }
  return plugins
}

/** Sends one request of jack through the chains and answers what ran, in order. */
function run(sayings: Partial<Record<Policy, Sayings>>): string[] {
  const trace = new Trace()
  const resources = Object.fromEntries(
    resourceKinds.map((kind) => [kind, new Map()]),
  ) as unknown as PlanResources
  const of = (source: Source) => pluginsOf(source, sayings)
  const route: RouteSpec = {
    id: 'r',
    uris: ['/'],
    hosts: [],
    methods: [],
    priority: 0,
    enable_websocket: false,
    service_id: 's',
    plugin_config_id: 'p',
    plugins: of('route'),
  }
  resources.global_rules.set('g', { id: 'g', plugins: of('global') })
  resources.services.set('s', { id: 's', plugins: of('service') })
  resources.plugin_configs.set('p', { id: 'p', plugins: of('config') })
  resources.consumer_groups.set('v', { id: 'v', plugins: of('group') })
  const spec = { username: 'jack', group_id: 'v', plugins: of('consumer'), credentials: [] }
  const consumer: Consumer = { username: 'jack', customId: undefined, spec }

  const chains = new PolicyChains(trace.factories, resources, (_, error) => assert.fail(String(error)))
  chains.apply({ version: 1, put: { global_rules: [...resources.global_rules.values()] }, remove: {} })
  const events = { policyFailed: assert.fail, shadowVerdict: assert.fail }
  const engine = { ...events, runtime: { chains } } as unknown as Engine
  const conduct: Conduct & { forwarded: boolean } = {
    exchange: { consumer } as unknown as Exchange,
    isOpen: true,
    chain: emptyChain,
    forwarded: false,
    answer: () => assert.fail('it was answered'),
    fail: () => assert.fail('it failed'),
    forward() {
      this.forwarded = true
    },
  }
  dispatch(conduct, { chain: () => chains.forRoute(route) } as unknown as Binding, engine)
  assert.ok(conduct.forwarded)
  for (const phase of ['respond', 'observe'] as const) {
    runHooks(conduct.chain[phase] ?? [], conduct.exchange, engine)
  }
  return trace.ran
}

/** Which source a policy of the binding comes from, in its request pass and in those after; undefined: it does not run. */
function expected(
  policy: Policy,
  sayings: Sayings,
): { request: Source | undefined; after: Source | undefined } {
  const strongest = (among: readonly Source[]) => among.findLast((source) => sayings[source] !== '-')
  const ifOn = (source: Source | undefined) => (source && sayings[source] === 'on' ? source : undefined)
  const ofRoute = ifOn(strongest(['service', 'config', 'route']))
  const ofAll = ifOn(strongest(['service', 'config', 'route', 'group', 'consumer']))
  const { stage } = policies[policy]
  // Authentication is over when a consumer is known. Its other policies run in the passes that are still to come, and
  // make up for the first one only where it went by without that policy.
  if (stage === 'identify') return { request: ofRoute, after: ofRoute }
  if (stage === 'limit') return { request: ofAll, after: ofAll }
  return { request: ofRoute ?? ofAll, after: ofAll }
}

function passesOf(ran: readonly string[], policy: Policy, source: Source): string[] {
  const prefix = `${policy} of ${owners[source]} in `
  return ran.filter((entry) => entry.startsWith(prefix)).map((entry) => entry.slice(prefix.length))
}

const sayings = (row: string): Sayings => {
  const values = row.split(/ +/) as Saying[]
  return Object.fromEntries(sources.map((source, index) => [source, values[index]])) as unknown as Sayings
}

suite('which policy runs, by the table', () => {
  // global service config route group consumer | who runs in the request pass and in the later ones
  const table: [policy: Policy, row: string, request: string, after: string][] = [
    ['change', '-   on  -   -   -   -  ', 'service', 'service'],
    ['change', '-   on  on  -   -   -  ', 'config', 'config'],
    ['change', '-   on  on  on  -   -  ', 'route', 'route'],
    ['change', '-   on  on  off -   -  ', '', ''],
    ['change', '-   off on  -   -   -  ', 'config', 'config'],
    ['change', '-   -   -   on  on  -  ', 'route', 'group'],
    ['change', '-   -   -   on  on  on ', 'route', 'consumer'],
    ['change', '-   -   -   on  -   off', 'route', ''],
    ['change', '-   -   -   -   on  -  ', 'group', 'group'],
    ['change', '-   -   -   -   on  on ', 'consumer', 'consumer'],
    ['change', '-   -   -   off on  -  ', 'group', 'group'],
    ['limit ', '-   on  on  on  -   -  ', 'route', 'route'],
    ['limit ', '-   on  on  on  on  -  ', 'group', 'group'],
    ['limit ', '-   on  on  on  on  on ', 'consumer', 'consumer'],
    ['limit ', '-   on  on  on  on  off', '', ''],
    ['auth  ', '-   on  -   -   on  on ', 'service', 'service'],
    ['auth  ', '-   -   -   -   on  on ', '', ''],
    ['change', 'on  on  -   -   -   -  ', 'global service', 'global service'],
    ['count ', 'on  -   -   -   -   -  ', 'global', 'global'],
    ['count ', 'on  -   -   on  -   -  ', 'route', 'route'],
    ['count ', 'on  -   -   off -   -  ', 'global', 'global'],
    ['count ', 'on  -   -   -   on  -  ', 'global group', 'group'],
  ].map(
    ([policy, row, ...rest]) => [policy!.trim(), row!.trim(), ...rest] as [Policy, string, string, string],
  )

  for (const [policy, row, request, after] of table) {
    test(`${policy}: ${row.replaceAll(/ +/g, ' ')}`, () => {
      const ran = run({ [policy]: sayings(row) })
      const who = (pass: string) =>
        sources.filter((source) => passesOf(ran, policy, source).includes(pass)).join(' ')
      assert.deepEqual([who('request'), who('respond'), who('observe')], [request, after, after])
    })
  }
})

test('every combination of six resources follows the rules, and each pass runs once', () => {
  const values: readonly Saying[] = ['-', 'on', 'off']
  for (const policy of Object.keys(policies) as Policy[]) {
    for (let code = 0; code < 3 ** sources.length; code++) {
      const row = Object.fromEntries(
        sources.map((source, index) => [source, values[Math.floor(code / 3 ** index) % 3]]),
      ) as unknown as Sayings
      const ran = run({ [policy]: row })
      const { request, after } = expected(policy, row)
      const globalRuns = (own: Source | undefined) =>
        row.global === 'on' && !(policies[policy].yields && own !== undefined)
      const ofRoute = request === 'group' || request === 'consumer' ? undefined : request
      for (const source of sources) {
        const wanted =
          source === 'global'
            ? [globalRuns(ofRoute) && 'request', ...(globalRuns(after) ? ['respond', 'observe'] : [])]
            : [source === request && 'request', ...(source === after ? ['respond', 'observe'] : [])]
        assert.deepEqual(
          passesOf(ran, policy, source),
          wanted.filter((pass) => pass !== false),
          `${policy} of ${source} with ${JSON.stringify(row)}`,
        )
      }
    }
  }
})

test('policies together: first pass, then what the consumer makes up for, then the second; global rules lead each', () => {
  const all = '- - - on - -'
  const ran = run({
    auth: sayings(all),
    count: sayings('on - - - - -'),
    change: sayings('- - - - on -'),
    limit: sayings('on - - on - -'),
  })
  assert.deepEqual(
    ran.filter((entry) => entry.endsWith('request')),
    [
      'count of global_rule:g in request',
      'auth of route:r in request',
      'change of consumer_group:v in request',
      'limit of global_rule:g in request',
      'limit of route:r in request',
    ],
  )
})
