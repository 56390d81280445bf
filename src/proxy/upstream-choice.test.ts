import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UpstreamSpec } from '../config/plan.ts'
import { chosenUpstream } from './upstream-choice.ts'

const [own, shared] = ['own', 'shared'].map((key) => ({ key }) as UpstreamSpec) as [
  UpstreamSpec,
  UpstreamSpec,
]

test('the route’s upstream comes before the service’s, an id before one that is written in place', () => {
  const route = { upstream: own, upstream_id: '1' }
  const service = { upstream: shared, upstream_id: '2' }
  assert.deepEqual(chosenUpstream(route, service), { id: '1' })
  assert.deepEqual(chosenUpstream({ upstream: own }, service), { spec: own })
  assert.deepEqual(chosenUpstream({}, service), { id: '2' })
  assert.deepEqual(chosenUpstream({}, { upstream: shared }), { spec: shared })
  assert.equal(chosenUpstream({}, {}), undefined)
  assert.equal(chosenUpstream({}, undefined), undefined)
})
