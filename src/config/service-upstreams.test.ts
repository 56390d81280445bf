import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'

suite('further upstreams of a service', () => {
  const plan = planOf(`
services:
  - id: users
    upstream: { nodes: { "10.0.0.1:80": 1 } }
    upstreams:
      - { name: canary, nodes: { "10.0.0.2:80": 1 } }
      - { id: blue, name: other, type: least_conn, nodes: { "10.0.0.3:80": 1 } }
upstreams:
  - nodes: { "10.0.0.4:80": 1 }
routes:
  - { id: r, uri: /, service_id: users, upstream_id: users.canary }
`)

  test('are upstreams like others, by their id or by service and name', () => {
    assert.deepEqual([...plan.upstreams.keys()].toSorted(), ['arr_1', 'blue', 'users.canary'])
    assert.equal(plan.upstreams.get('users.canary')!.nodes[0]!.host, '10.0.0.2')
    assert.equal(plan.upstreams.get('blue')!.type, 'least_conn')
    assert.equal(plan.services.get('users')!.upstream!.nodes[0]!.host, '10.0.0.1')
  })

  test('serve the routes that name them', () => {
    assert.equal(plan.routes.get('r')!.upstream_id, 'users.canary')
  })
})
