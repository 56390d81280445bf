import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import { diffPlans } from '../config/diff.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { Runtime } from './runtime.ts'
import { HealthRegister } from './upstream/health/health-register.ts'
import { createHealthTable } from './upstream/health/table.ts'

const upstream = 'upstream: { nodes: { "127.0.0.1:1": 1 } }'
const plan = (entry: string, more = '') =>
  planOf(
    `
routes: [{ id: r, uri: /, ${upstream}, plugins: { traffic-split: { rules: [{ weighted_upstreams: [${entry}] }] } } }]
${more}`,
    policySchemas(catalogue),
  )

test('upstreams of policies come and go with the resources that hold them', () => {
  const runtime = new Runtime(new Map(), 'radixtree_uri', () => {}, new HealthRegister(createHealthTable(1)))
  const first = plan(
    `{ ${upstream} }`,
    `global_rules: [{ id: g, plugins: { traffic-split: { rules: [{ weighted_upstreams: [{ ${upstream} }] }] } } }]`,
  )
  const key = 'traffic-split/rules.0.weighted_upstreams.0.upstream'
  runtime.apply(diffPlans(null, first))
  const made = runtime.upstream(`route:r/${key}`)
  assert.ok(made)
  assert.ok(runtime.upstream(`global_rule:g/${key}`))

  const second = plan(`{ ${upstream}, weight: 2 }`)
  runtime.apply(diffPlans(first, second))
  assert.equal(runtime.upstream(`route:r/${key}`), made, 'a change beside it leaves its pools and counters')
  assert.equal(runtime.upstream(`global_rule:g/${key}`), null)
  assert.ok(runtime.upstream('route:r'))

  runtime.apply(diffPlans(second, plan('{ weight: 1 }')))
  assert.equal(runtime.upstream(`route:r/${key}`), null)
})
