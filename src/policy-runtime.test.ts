import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConsumerSpec, ContractSpec, PluginConfig, ResourceKind } from './config/plan.ts'
import { prometheusSettings } from './config/prometheus-settings.ts'
import { definePolicy, type PolicyHost, Type } from './policies/kit/index.ts'
import type { AnyPolicy } from './policies/kit/policy.ts'
import type { ChangedResources } from './policy-resources.ts'
import { buildPolicies, type PolicyServices } from './policy-runtime.ts'
import { Unavailable } from './proxy/pipeline.ts'

const keyOf = (credential: { key: string }) => credential.key
const hosts: PolicyHost<{ key: string }>[] = []
const probe = definePolicy({
  name: 'probe',
  summary: 'Keeps its host for the test.',
  stage: 'identify',
  priority: 7,
  config: Type.Object({}),
  credential: Type.Object({ key: Type.String() }),
  create(_config, host) {
    hosts.push(host)
    return {}
  },
})

function services() {
  const consumers = new Map<string, ConsumerSpec>()
  const contracts = new Map<string, ContractSpec>()
  const metadata = new Map<string, PluginConfig>([['probe', { x: 1 }]])
  let notify: (changed: ChangedResources) => void = () => {}
  const unused = () => {
    throw new Error('not part of this test')
  }
  const offered: PolicyServices = {
    limiter: { key: unused, acquire: unused, slide: unused, leak: unused, enter: unused },
    circuits: { isBroken: unused, failed: unused, succeeded: unused },
    subrequest: unused,
    configOf: unused,
    takeTurn: unused,
    lookAtTurn: unused,
    delays: { wait: unused, release: unused },
    metrics: { gauge: unused, counter: unused, histogram: unused },
    prometheus: prometheusSettings({}),
    publicApi: unused,
    counterStore: unused,
    valueStore: unused,
    calls: unused,
    ownFunction: unused,
    mayAsk: true,
    cache: () => undefined,
    batches: { open: unused },
    gateway: { hostname: 'h', version: '1' },
    lines: unused,
    variable: () => () => undefined,
    template: (text) => () => text,
    condition: () => () => true,
    httpsPort: unused,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    consumers: () => consumers,
    contracts: () => contracts,
    proto: () => undefined,
    metadata: (policy) => metadata.get(policy),
    hasUpstream: (key) => key === 'upstream:u',
    isUpstreamUp: (key) => key === 'upstream:u',
    upstreamOrigin: () => undefined,
    now: () => 1,
    onResourcesChanged(listener) {
      notify = listener
    },
  }
  return {
    offered,
    consumers,
    contracts,
    changed: (kind: ResourceKind, ...ids: string[]) => notify(new Map([[kind, ids]])),
  }
}

const only = (policy: AnyPolicy) => new Map([[policy.name, policy]])

const place = { policy: 'probe', routeId: 'r', serviceId: 's', owner: 'route:r' }
const jack: ConsumerSpec = { username: 'jack', plugins: { probe: { key: 'k' } }, credentials: [] }

test('a factory stands for each policy and hands the binding to create', () => {
  const factory = buildPolicies(only(probe), services().offered).get('probe')!
  assert.equal(factory.stage, 'identify')
  assert.equal(factory.priority, 7)
  factory.create({}, place)
  assert.equal(hosts.at(-1)!.binding, place)
  assert.deepEqual(hosts.at(-1)!.metadata, { x: 1 })
})

test('a policy whose metadata lacks a secret cannot be set up', () => {
  const { offered } = services()
  const metadata = () => ({ _meta: { secrets: 'missing' as const } })
  const factory = buildPolicies(only(probe), { ...offered, metadata }).get('probe')!
  assert.throws(() => factory.create({}, place), Unavailable)
})

test('what is read from the body has it held', () => {
  const asked: number[] = []
  const reader = {
    ...probe,
    create(_config: PluginConfig, host: PolicyHost) {
      for (const text of ['$uri', 'a $post_arg_x', '$graphql_name']) host.template(text)
      host.variable('http_x')
      host.variable('request_body')
      host.condition([['arg_a', '==', 'b']])
      host.condition([['OR', ['arg_a', '==', 'b'], ['post_arg.a', '==', 'b']]])
      host.holdBody(7)
      return {}
    },
  }
  buildPolicies(only(reader), services().offered)
    .get('probe')!
    .create({}, place, (limit) => asked.push(limit))
  const [postArgs, graphql] = [64 << 20, 1 << 20]
  assert.deepEqual(asked, [postArgs, graphql, postArgs, postArgs, 7])
})

test('all bindings share one index, which follows the plan', () => {
  const { offered, consumers, changed } = services()
  const factory = buildPolicies(only(probe), offered).get('probe')!
  factory.create({}, place)
  factory.create({}, { ...place, routeId: 'r2' })
  const [first, second] = hosts.slice(-2).map((host) => host.credentials(keyOf))
  assert.equal(first, second)
  assert.equal(first!.find('k'), undefined)

  consumers.set('jack', jack)
  changed('routes')
  assert.equal(first!.find('k'), undefined)
  changed('consumers', 'jack')
  assert.equal(first!.find('k')?.consumer.username, 'jack')
  assert.equal(hosts.at(-1)!.consumers.find('jack'), first!.find('k')?.consumer)
})

test('contracts follow the plan', () => {
  const { offered, contracts, changed } = services()
  buildPolicies(only(probe), offered).get('probe')!.create({}, place)
  const lookup = hosts.at(-1)!.contracts
  const binding = {
    routeId: 'r',
    serviceId: 's',
    routeName: '',
    serviceName: '',
    matchedUri: '',
    matchedHost: '',
  }
  assert.equal(lookup.governs(binding), false)
  contracts.set('c', { id: 'c', consumer: 'jack', service_id: 's', tier: 't' })
  changed('contracts')
  assert.equal(lookup.find('jack', binding)?.id, 'c')
})
