import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import { upstreamHosts } from './upstream-hosts.ts'

test('names of upstreams, wherever they stand, and no addresses', () => {
  const plan = planOf(`
upstreams: [{ id: u, nodes: [{ host: one.test, port: 1, weight: 1 }, { host: 10.0.0.1, port: 1, weight: 1 }] }]
services: [{ id: s, upstream: { nodes: [{ host: two.test, port: 1, weight: 1 }] } }]
routes:
  - { id: a, uri: /a, upstream: { nodes: [{ host: three.test, port: 1, weight: 1 }, { host: "::1", port: 1, weight: 1 }] } }
  - { id: b, uri: /b, service_id: s }
  - { id: c, uri: /c, upstream_id: u }
`)
  assert.deepEqual([...upstreamHosts(plan)].toSorted(), ['one.test', 'three.test', 'two.test'])
})
