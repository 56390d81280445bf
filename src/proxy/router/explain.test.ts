import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  Random,
  type RandomRoute,
  randomRequest,
  randomRoute,
  seedOfRun,
} from '../../../test/harness/random-routes.ts'
import { type RouteConditions, Router, type RouterMode } from './router.ts'

const modes: RouterMode[] = ['radixtree_host_uri', 'radixtree_uri', 'radixtree_uri_with_parameter']
const seed = seedOfRun()

for (const mode of modes) {
  test(`${mode}: who wins in an explanation is who matches, and nobody before it fits (SEED=${seed})`, () => {
    const random = new Random(seed)
    for (let round = 0; round < 200; round++) {
      const router = new Router<RandomRoute, number>(mode, () => undefined)
      for (const route of random.times(random.below(40), () => randomRoute(random))) router.put(route, route)
      for (let i = 0; i < 50; i++) {
        const { host, path, method, x } = randomRequest(random)
        const request = `${method} ${host}${path} ${x}, round ${round}`
        const match = router.match(host, path, method, x)
        const considered = router.explain(host, path, method, x)
        const last = considered.at(-1)
        const winner = last?.losses.length === 0 ? last : undefined
        assert.equal(winner?.value.id, match?.value.id, request)
        assert.equal(winner?.uri, match?.uri, request)
        assert.equal(winner?.host, match?.host, request)
        for (const { losses, value } of considered.slice(0, -1)) {
          assert.notDeepEqual(losses, [], `${request}: ${value.id} stands before the winner without a loss`)
        }
      }
    }
  })
}

suite('an explanation', () => {
  const route = (id: string, uri: string, more: Partial<RouteConditions<string>> = {}) => ({
    id,
    uris: [uri],
    hosts: [],
    methods: [],
    priority: 0,
    ...more,
  })

  function routerOf(mode: RouterMode, ...routes: RouteConditions<string>[]): Router<string, string> {
    const router = new Router<string, string>(mode, () => undefined)
    for (const one of routes) router.put(one, one.id)
    return router
  }

  test('names everything that a candidate misses, in the order of the lookup', () => {
    const router = routerOf(
      'radixtree_host_uri',
      route('new', '/a/b', { methods: ['POST'], accepts: (x) => x === 'beta', priority: 5 }),
      route('beta', '/a/b', { accepts: (x) => x === 'beta' }),
      route('gap', '/a/*/c'),
      route('short', '/a'),
      route('all', '/*'),
      route('never', '/*', { priority: -1 }),
    )
    assert.deepEqual(
      router.explain('', '/a/b', 'GET', 'stable').map(({ value, losses }) => [value, losses]),
      [
        ['new', ['method', 'condition']],
        ['beta', ['condition']],
        ['gap', ['path']],
        ['all', []],
      ],
    )
  })

  test('where hosts are a condition it says so', () => {
    const router = routerOf(
      'radixtree_uri',
      route('shop', '/a', { hosts: ['shop.test'] }),
      route('all', '/*'),
    )
    assert.deepEqual(
      router.explain('other.test', '/a', 'GET', '').map(({ value, losses }) => [value, losses]),
      [
        ['shop', ['host']],
        ['all', []],
      ],
    )
  })

  test('finds routes that only the host keeps away', () => {
    const router = routerOf(
      'radixtree_host_uri',
      route('shop', '/a', { hosts: ['shop.test', '*.shop.test'] }),
      route('post', '/a', { hosts: ['post.test'], methods: ['POST'] }),
      route('all', '/*'),
    )
    const others = (host: string, most = 10) =>
      router.explainHosts(host, '/a', 'GET', '', most).map((other) => `${other.value} ${other.host}`)
    assert.deepEqual(others('www.test'), ['shop shop.test', 'shop *.shop.test'])
    assert.deepEqual(others('shop.test'), ['shop *.shop.test'])
    assert.deepEqual(others('www.test', 1), ['shop shop.test'])
  })
})
