import { suite, test } from 'node:test'
import { copyOf } from '../../test/threads/plan.ts'
import { applyInPlace, diffPlans, invertDelta, isEmptyDelta } from './diff.ts'
import { type Plan, type PlanResources, type RouteSpec, resourceKinds } from './plan.ts'
import { checkSchema } from './schema.ts'
import { gatewaySchema, resolveSettings } from './settings.ts'

const gateway = {}
checkSchema(gatewaySchema, gateway)
const settings = resolveSettings(gateway, '1.0.0')

const route = (id: string, uri = '/'): RouteSpec => ({
  id,
  uris: [uri],
  hosts: [],
  methods: [],
  priority: 0,
  enable_websocket: false,
})

function planOf(version: number, routes: RouteSpec[], rest: Partial<Plan> = {}): Plan {
  return {
    ...(Object.fromEntries(resourceKinds.map((kind) => [kind, new Map()])) as unknown as PlanResources),
    version,
    settings: structuredClone(settings),
    routes: new Map(routes.map((one) => [one.id, one])),
    ...rest,
  }
}

suite('deltas', () => {
  const before = planOf(1, [route('a'), route('b'), route('c')])
  const after = planOf(2, [route('a'), route('b', '/changed'), route('d')], {
    consumers: new Map([['jack', { username: 'jack', credentials: [] }]]),
  })

  test('hold what changed, and nothing else', (t) => {
    t.assert.deepEqual(diffPlans(before, after), {
      version: 2,
      put: {
        routes: [route('b', '/changed'), route('d')],
        consumers: [{ username: 'jack', credentials: [] }],
      },
      remove: { routes: ['c'] },
    })
  })

  test('are empty between equal plans, whatever the order of keys', (t) => {
    const { id, ...rest } = route('a')
    const same = planOf(2, [{ ...rest, id } as RouteSpec, route('b'), route('c')])
    t.assert.equal(isEmptyDelta(diffPlans(before, same)), true)
    t.assert.equal(isEmptyDelta(diffPlans(before, after)), false)
  })

  test('lead from one plan to the other, and keep what is equal', (t) => {
    const result = copyOf(before)
    applyInPlace(result, diffPlans(before, after))
    t.assert.deepEqual(
      { ...result, routes: new Map([...result.routes].sort()) },
      { ...after, routes: new Map([...after.routes].sort()) },
    )
    t.assert.equal(result.routes.get('a'), before.routes.get('a'))
  })

  test('against nothing hold the whole plan', (t) => {
    const result = planOf(0, [])
    applyInPlace(result, diffPlans(null, after))
    t.assert.deepEqual(result, after)
  })

  test('can be taken back', (t) => {
    const changed = planOf(2, [route('z')], { settings: { ...settings, workers: 7 } })
    for (const next of [after, changed]) {
      const delta = diffPlans(before, next)
      const back = copyOf(before)
      applyInPlace(back, delta)
      applyInPlace(back, invertDelta(before, delta))
      t.assert.equal(isEmptyDelta(diffPlans(before, back)), true)
      t.assert.equal(back.version, 1)
    }
    t.assert.deepEqual(invertDelta(null, diffPlans(null, before)), {
      version: 0,
      put: {},
      remove: { routes: ['a', 'b', 'c'] },
    })
  })
})
