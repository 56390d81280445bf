import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import { diffPlans } from '../config/diff.ts'
import { changedUpstreams, planUpstreams } from './plan-upstreams.ts'

const plan = planOf(`
upstreams: [{ id: u, nodes: { "10.0.0.1:1": 1 } }]
services: [{ id: s, upstream: { nodes: { "10.0.0.2:1": 1 } } }, { id: t, upstream_id: u }]
routes:
  - { id: a, uri: /a, upstream: { nodes: { "10.0.0.3:1": 1 } } }
  - { id: b, uri: /b, service_id: s }
`)

const keys = (upstreams: readonly { key: string }[]) => upstreams.map(({ key }) => key).toSorted()

test('upstreams of a plan, wherever they stand', () => {
  assert.deepEqual(keys(planUpstreams(plan)), ['route:a', 'service:s', 'upstream:u'])
})

test('upstreams that a change brings, replaces and takes away', () => {
  const next = planOf(`
upstreams: [{ id: u, nodes: { "10.0.0.1:1": 1 } }]
services: [{ id: s, upstream_id: u }]
routes:
  - { id: a, uri: /a, upstream: { nodes: { "10.0.0.3:2": 1 } } }
  - { id: b, uri: /b, service_id: s }
  - { id: c, uri: /c, upstream: { nodes: { "10.0.0.4:1": 1 } } }
`)
  const { added, gone } = changedUpstreams(plan, diffPlans(plan, next))
  assert.deepEqual(keys(added), ['route:a', 'route:c'])
  assert.deepEqual(keys(gone), ['route:a', 'service:s'])
})
