import assert from 'node:assert/strict'
import { test } from 'node:test'
import { catalogue, policySchemas } from '../policies/index.ts'
import { definePolicy, inlineUpstream, Type, upstreamId } from '../policies/kit/index.ts'
import { check } from './check.ts'
import { type Loaded, readText } from './load.ts'

const mirror = definePolicy({
  name: 'mirror',
  summary: '',
  stage: 'transform',
  priority: 1,
  config: Type.Object({
    to: Type.Array(Type.Object({ id: upstreamId('An id.'), upstream: inlineUpstream('In place.') })),
  }),
  create: () => ({}),
})

const run = (text: string) => checkText(text, new Map([[mirror.name, mirror]]))

function checkText(text: string, policies: Parameters<typeof policySchemas>[0] = catalogue) {
  const loaded: Loaded = { documents: [], findings: [] }
  readText('sluice.yaml', text, {}, loaded)
  return check(loaded, policySchemas(policies), { gatewayVersion: '1.0.0' })
}

const upstream = 'upstream: { nodes: { "127.0.0.1:1": 1 } }'
const keys = (spec: { policy_upstreams?: { key: string }[] } | undefined) =>
  spec?.policy_upstreams?.map(({ key }) => key)

test('belong to the resource that holds the policy, with every default', () => {
  const { plan, configuration } = run(`
routes:
  - { id: r, uri: /, ${upstream}, plugins: { mirror: { to: [{}, { ${upstream} }] } } }
  - { id: off, uri: /off, ${upstream}, plugins: { mirror: { to: [{ ${upstream} }], _meta: { disable: true } } } }
services: [{ id: s, plugins: { mirror: { to: [{ ${upstream} }] } } }]
consumers: [{ username: jack, plugins: { mirror: { to: [{ ${upstream} }] } } }]
global_rules: [{ id: g, plugins: { mirror: { to: [{ ${upstream} }] } } }]
`)
  assert.deepEqual(keys(plan?.routes.get('r')), ['route:r/mirror/to.1.upstream'])
  assert.equal(keys(plan?.routes.get('off')), undefined)
  assert.deepEqual(keys(plan?.services.get('s')), ['service:s/mirror/to.0.upstream'])
  assert.deepEqual(keys(plan?.consumers.get('jack')), ['consumer:jack/mirror/to.0.upstream'])
  assert.deepEqual(keys(plan?.global_rules.get('g')), ['global_rule:g/mirror/to.0.upstream'])
  assert.equal(plan?.routes.get('r')?.policy_upstreams?.[0]?.timeout.connect, 60)

  const input = configuration!.get('routes', 'r')!
  configuration!.set('routes', 'r', { ...input, plugins: { mirror: { to: [{ upstream: {} }, {}] } } })
  assert.deepEqual(configuration!.takeChanges(plan!).put.routes?.map(keys), [
    ['route:r/mirror/to.0.upstream'],
  ])
})

test('are checked as any other', () => {
  const findingsOf = (entries: string) =>
    run(`routes: [{ id: r, uri: /, ${upstream}, plugins: { mirror: { to: [${entries}] } } }]`).findings.map(
      ({ code, path }) => `${code} ${path.replace('routes[0].plugins.mirror.', '')}`,
    )
  assert.deepEqual(findingsOf('{ upstream: { nodes: { "127.0.0.1:1": x } } }'), [
    'wrong-type to[0].upstream.nodes["127.0.0.1:1"]',
  ])
  assert.deepEqual(findingsOf('{ id: none }, { id: 7 }'), [
    'dangling-reference to[0].id',
    'dangling-reference to[1].id',
  ])
  assert.deepEqual(findingsOf('{ upstream: { type: chash, nodes: { "127.0.0.1:1": 1 } } }'), [
    'missing-field to[0].upstream',
  ])
  assert.deepEqual(findingsOf('{}, { upstream: { pass_host: rewrite, nodes: { "127.0.0.1:1": 1 } } }'), [
    'missing-field to[1].upstream',
  ])
  assert.deepEqual(findingsOf('{ upstream: { discovery_type: dns, service_name: a } }'), [
    'unknown-registry to[0].upstream.discovery_type',
  ])
})

test('a route needs no upstream of its own where a policy chooses one', () => {
  const { findings } = checkText(`
routes:
  - { id: a, uri: /a, plugins: { traffic-split: { rules: [{ weighted_upstreams: [{ ${upstream} }] }] } } }
  - { id: b, uri: /b, plugin_config_id: c }
  - { id: none, uri: /none, plugins: { traffic-split: {} } }
  - { id: off, uri: /off, plugins: { traffic-split: { rules: [{ weighted_upstreams: [{ ${upstream} }] }], _meta: { disable: true } } } }
plugin_configs: [{ id: c, plugins: { workflow: { rules: [{ actions: [[return, { code: 403 }]] }] } } }]
`)
  const without = findings.filter(({ code }) => code === 'route-without-upstream')
  assert.deepEqual(
    without.map(({ path }) => path),
    ['routes[2]', 'routes[3]'],
  )
})
