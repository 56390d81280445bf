/** The configurations in docs/guides/split-traffic.md check, and send requests where the guide says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { catalogue, policySchemas } from '../../src/policies/index.ts'
import { bindPolicy, type FakeRequest } from '../../src/policies/kit/testing.ts'
import trafficSplit from '../../src/policies/traffic-split/policy.ts'
import { planOf } from '../threads/plan.ts'

const guide = readFileSync(new URL('../../docs/guides/split-traffic.md', import.meta.url), 'utf8')
const blocks = Array.from(guide.matchAll(/^```yaml\n(.*?)^```$/gms), ([, yaml]) => yaml!)
const configurations = new Map(
  blocks.map((yaml) => {
    const [route] = planOf(yaml, policySchemas(catalogue)).routes.values()
    return [route!.id, route!.plugins!['traffic-split']!]
  }),
)

/** How many of these requests went where, by the key of the upstream; `route`: that of the route. */
async function destinations(route: string, requests: readonly FakeRequest[]) {
  const bound = bindPolicy(trafficSplit, { config: configurations.get(route)! as object })
  const counts: Record<string, number> = {}
  for (const request of requests) {
    const to = (await bound.run(request)).sentTo ?? 'route'
    counts[to] = (counts[to] ?? 0) + 1
  }
  return counts
}

const times = (count: number, request: FakeRequest = {}) => Array.from({ length: count }, () => request)
const inPlace = (entry: number) => `rules.0.weighted_upstreams.${entry}.upstream`

suite('the guide to split traffic', () => {
  test('by weight', async () => {
    assert.deepEqual(await destinations('shares', times(100)), { 'upstream:canary': 10, route: 90 })
  })

  test('by condition', async () => {
    assert.deepEqual(await destinations('header', times(2, { headers: { 'X-Release': 'green' } })), {
      [inPlace(0)]: 2,
    })
    const cookie = { headers: { Cookie: 'a=b; release=green' } }
    assert.deepEqual(await destinations('header', [cookie, { ...cookie, method: 'POST' }, {}]), {
      [inPlace(0)]: 1,
      route: 2,
    })
  })

  test('by consumer', async () => {
    assert.deepEqual(await destinations('consumer', times(3, { consumer: 'tester' })), {
      'upstream:canary': 3,
    })
    assert.deepEqual(await destinations('consumer', times(200, { consumer: 'jack' })), {
      'upstream:canary': 2,
      route: 198,
    })
  })

  test('without an upstream of the route', async () => {
    assert.deepEqual(await destinations('only', times(4)), { [inPlace(0)]: 2, [inPlace(1)]: 2 })
  })

  test('has no example that is not tested', () => {
    assert.deepEqual([...configurations.keys()], ['shares', 'header', 'consumer', 'only'])
  })
})
