import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type PlanResources, type PluginSetSpec, type RouteSpec, resourceKinds } from '../config/plan.ts'
import { PolicyChains } from './chains.ts'
import { type Conduct, dispatch } from './dispatch.ts'
import type { Engine } from './engine.ts'
import type { GatewayError } from './errors.ts'
import type { Consumer, Exchange, PolicyFactory, Stage } from './exchange.ts'
import { emptyChain, Unavailable } from './pipeline.ts'
import type { Binding } from './runtime.ts'

const route = (rest: Partial<RouteSpec> = {}): RouteSpec => ({
  id: 'r',
  uris: ['/'],
  hosts: [],
  methods: [],
  priority: 0,
  enable_websocket: false,
  ...rest,
})

const consumer = (rest: Partial<Consumer['spec']> = {}): Consumer => ({
  username: 'jack',
  customId: undefined,
  spec: { username: 'jack', credentials: [], ...rest },
})

function chainsOf(factories: Record<string, Partial<PolicyFactory>>) {
  const resources = Object.fromEntries(
    resourceKinds.map((kind) => [kind, new Map()]),
  ) as unknown as PlanResources
  const made: string[] = []
  const failed: unknown[] = []
  const policies = new Map<string, PolicyFactory>(
    Object.entries(factories).map(([name, factory]) => [
      name,
      {
        name,
        stage: 'limit' as Stage,
        priority: 0,
        yieldsToRoute: false,
        create: (_config, { owner }) => {
          made.push(`${name} of ${owner}`)
          return { request() {} }
        },
        ...factory,
      },
    ]),
  )
  const chains = new PolicyChains(policies, resources, (_, error) => failed.push(error))
  const group = (plugins: PluginSetSpec['plugins']) =>
    resources.consumer_groups.set('g', { id: 'g', plugins })
  return { chains, resources, made, failed, group }
}

/** What becomes of a request. */
function outcome(chains: PolicyChains, of: RouteSpec, who: Consumer | null): string {
  let decision = ''
  const conduct: Conduct = {
    exchange: { consumer: who } as Exchange,
    isOpen: true,
    chain: emptyChain,
    answer: ({ status }) => {
      decision = `answers ${status}`
    },
    fail: ({ code, status }: GatewayError) => {
      decision = `${status} ${code}`
    },
    forward() {
      decision = 'forwards'
    },
  }
  const engine = {
    runtime: { chains },
    policyFailed: (_: string, error: unknown) => assert.ok(error instanceof Unavailable),
    shadowVerdict() {},
  }
  dispatch(conduct, { chain: () => chains.forRoute(of) } as Binding, engine as unknown as Engine)
  return decision
}

suite('what is missing denies', () => {
  test('a plugin config or a service that is not there', () => {
    const { chains } = chainsOf({})
    assert.equal(outcome(chains, route({ plugin_config_id: 'x' }), null), '503 plugin_config_missing')
    assert.equal(outcome(chains, route({ service_id: 'x' }), null), '404 service_missing')
  })

  test('a consumer group that is not there', () => {
    const { chains } = chainsOf({})
    assert.equal(outcome(chains, route(), consumer({ group_id: 'x' })), '503 consumer_group_missing')
    assert.equal(outcome(chains, route(), null), 'forwards')
  })

  test('a policy that cannot be set up, in whatever stage and wherever it comes from', () => {
    for (const stage of ['identify', 'transform', 'authorize', 'limit'] as const) {
      const broken = {
        stage,
        create() {
          throw new Error('broken')
        },
      }
      const { chains, failed, group } = chainsOf({ p: broken })
      group({ p: {} })
      const plugins = { p: {} }
      assert.equal(outcome(chains, route({ plugins }), null), '500 policy_failed', stage)
      if (stage === 'identify') continue
      assert.equal(outcome(chains, route(), consumer({ plugins })), '500 policy_failed', stage)
      assert.equal(outcome(chains, route(), consumer({ group_id: 'g' })), '500 policy_failed', stage)
      assert.equal(failed.length, 3)
    }
  })

  test('also where the consumer replaces one that was set up', () => {
    const { chains } = chainsOf({
      p: {
        stage: 'transform',
        create: (_config, { owner }) => {
          if (owner.startsWith('consumer:')) throw new Error('broken')
          return { request() {} }
        },
      },
    })
    const plugins = { p: {} }
    assert.equal(outcome(chains, route({ plugins }), consumer({ plugins })), '500 policy_failed')
  })
})

suite('chains of consumers', () => {
  test('are those of the route when the consumer brings nothing but credentials', () => {
    const { chains } = chainsOf({ auth: { stage: 'identify' } })
    const base = chains.forRoute(route())
    assert.equal(chains.forConsumer(base, consumer()), base)
    assert.equal(chains.forConsumer(base, consumer({ plugins: { auth: { key: 'k' } } })), base)
  })

  test('are made once, and again when the consumer or its group changed', () => {
    const { chains, made, group } = chainsOf({ p: {} })
    group({ p: {} })
    const base = chains.forRoute(route())
    const jack = consumer({ group_id: 'g' })
    const first = chains.forConsumer(base, jack)
    assert.equal(chains.forConsumer(base, jack), first)
    assert.deepEqual(made, ['p of consumer_group:g'])
    group({ p: {} })
    const second = chains.forConsumer(base, jack)
    assert.notEqual(second, first)
    assert.notEqual(chains.forConsumer(base, consumer({ group_id: 'g' })), second)
    assert.equal(made.length, 3)
  })

  test('share what the route has, with its state', () => {
    const { chains } = chainsOf({ p: {}, q: {} })
    const base = chains.forRoute(route({ plugins: { p: {} } }))
    const { own } = chains.forConsumer(base, consumer({ plugins: { q: {} } }))
    assert.equal(own[0], base.own[0])
    assert.equal(own[1]!.policy, 'q')
  })
})
