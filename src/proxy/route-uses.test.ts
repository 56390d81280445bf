import { test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import { diffPlans } from '../config/diff.ts'
import type { PlanChanges } from '../config/plan.ts'
import { RouteUses } from './route-uses.ts'

const plan = planOf(`
upstreams: [{ id: u, nodes: { "127.0.0.1:1": 1 } }, { id: v, nodes: { "127.0.0.1:1": 1 } }]
services: [{ id: s, upstream_id: u }, { id: t, upstream_id: v }]
plugin_configs: [{ id: c, plugins: {} }]
routes:
  - { id: a, uri: /a, service_id: s }
  - { id: b, uri: /b, service_id: t, plugin_config_id: c }
  - { id: c, uri: /c, upstream_id: u }
`)

test('routes are found by what they refer to, and through their service', (t) => {
  const uses = new RouteUses()
  uses.apply(diffPlans(null, plan))
  const reached = (services: string[], configs: string[], upstreams: string[]) =>
    [...uses.reached(services, configs, upstreams)].map(({ id }) => id).toSorted()
  t.assert.deepEqual(reached(['s'], [], []), ['a'])
  t.assert.deepEqual(reached([], ['c'], []), ['b'])
  t.assert.deepEqual(reached([], [], ['u']), ['a', 'c'])
  t.assert.deepEqual(reached(['unknown'], ['unknown'], ['unknown']), [])

  const route = plan.routes.get('a')!
  const change: PlanChanges = {
    put: { routes: [{ ...route, service_id: 't' }], services: [{ id: 't', upstream_id: 'u' }] },
    remove: { routes: ['c'], services: ['s'] },
  }
  uses.apply(change)
  t.assert.deepEqual(reached(['t'], [], []), ['a', 'b'])
  t.assert.deepEqual(reached(['s'], [], ['v']), [])
  t.assert.deepEqual(reached([], [], ['u']), ['a', 'b'])
})
