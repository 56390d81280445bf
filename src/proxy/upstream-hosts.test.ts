import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import { UpstreamHosts } from './upstream-hosts.ts'

test('names of upstreams, wherever they stand, and no addresses', () => {
  const plan = planOf(`
upstreams: [{ id: u, nodes: [{ host: one.test, port: 1, weight: 1 }, { host: 10.0.0.1, port: 1, weight: 1 }] }]
services: [{ id: s, upstream: { nodes: [{ host: two.test, port: 1, weight: 1 }] } }]
routes:
  - { id: a, uri: /a, upstream: { nodes: [{ host: three.test, port: 1, weight: 1 }, { host: "::1", port: 1, weight: 1 }] } }
  - { id: b, uri: /b, service_id: s }
  - { id: c, uri: /c, upstream_id: u }
`)
  assert.deepEqual([...new UpstreamHosts(plan).names()].toSorted(), ['one.test', 'three.test', 'two.test'])
})

test('a change counts only what it touches', () => {
  const plan = planOf(`
upstreams:
  - { id: u, nodes: [{ host: one.test, port: 1, weight: 1 }, { host: two.test, port: 1, weight: 1 }] }
  - { id: v, nodes: [{ host: two.test, port: 1, weight: 1 }] }
`)
  const hosts = new UpstreamHosts(plan)
  const node = { host: 'three.test', port: 1, weight: 1, priority: 0 }
  const changes = { put: { upstreams: [{ ...plan.upstreams.get('u')!, nodes: [node] }] }, remove: {} }
  assert.deepEqual(hosts.add(changes), ['three.test'])
  assert.deepEqual(hosts.subtract(plan, changes), ['one.test'])
  assert.deepEqual([...hosts.names()].toSorted(), ['three.test', 'two.test'])
})

test('a change that is withdrawn leaves no trace', () => {
  const plan = planOf('upstreams: [{ id: u, nodes: [{ host: one.test, port: 1, weight: 1 }] }]')
  const hosts = new UpstreamHosts(plan)
  const changes = { put: { upstreams: [plan.upstreams.get('u')!] }, remove: {} }
  assert.deepEqual(hosts.add(changes), [])
  hosts.withdraw(changes)
  assert.deepEqual([...hosts.names()], ['one.test'])
})
