import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Random,
  type RandomRoute,
  randomRequest,
  randomRoute,
  seedOfRun,
} from '../../../test/harness/random-routes.ts'
import { orderRoutes } from './route-order.ts'
import { Router, type RouterMode } from './router.ts'

const modes: RouterMode[] = ['radixtree_host_uri', 'radixtree_uri', 'radixtree_uri_with_parameter']
const seed = seedOfRun()

for (const mode of modes) {
  test(`${mode}: the first entry that fits is the route that the router finds (SEED=${seed})`, () => {
    const random = new Random(seed)
    for (let round = 0; round < 100; round++) {
      const router = new Router<RandomRoute, number>(mode, () => undefined)
      const routes = new Map<string, RandomRoute>()
      for (let count = random.below(20); count > 0; count--) {
        const route = randomRoute(random)
        if (routes.has(route.id)) continue
        routes.set(route.id, route)
        router.put(route, route)
      }
      const entries = orderRoutes(mode, routes.values()).map(({ route, host, pattern }) => {
        // A router with this entry alone says whether it fits.
        const alone = new Router<RandomRoute, number>(mode, () => undefined)
        alone.put({ ...route, uris: [pattern.source], hosts: host === '' ? route.hosts : [host] }, route)
        return { route, alone }
      })
      for (let i = 0; i < 50; i++) {
        const { host, path, method, x } = randomRequest(random)
        const first = entries.find(({ alone }) => alone.match(host, path, method, x) !== null)
        const found = router.match(host, path, method, x)
        assert.equal(first?.route.id, found?.value.id, `${method} ${host}${path} ${x}, round ${round}`)
      }
    }
  })
}

test('what belongs together stands together, the more specific first', () => {
  const route = (id: string, host: string, ...uris: string[]) => ({
    id,
    uris,
    hosts: host === '' ? [] : [host],
    methods: [],
    priority: 0,
  })
  const entries = orderRoutes('radixtree_host_uri', [
    route('all', '', '/*'),
    route('users', '', '/users/*', '/users/me', '/users'),
    route('api', 'api.example.com', '/*'),
    route('any', '*.example.com', '/*'),
    route('other', 'shop.test', '/'),
  ])
  assert.deepEqual(
    entries.map(({ host, pattern }) => `${host}${pattern.source}`),
    ['api.example.com/*', '*.example.com/*', 'shop.test/', '/users/me', '/users/*', '/users', '/*'],
  )
})
