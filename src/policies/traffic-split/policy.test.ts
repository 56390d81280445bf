import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const inline = { nodes: { '127.0.0.1:1981': 1 } }
const at = (rule: number, entry: number) => `rules.${rule}.weighted_upstreams.${entry}.upstream`

/** Where requests with these fields went, in order; undefined: to the upstream of the route. */
async function destinations(config: object, ...requests: Record<string, string>[]) {
  const bound = bindPolicy(policy, { config })
  const sentTo: (string | undefined)[] = []
  for (const headers of requests) sentTo.push((await bound.run({ headers })).sentTo)
  return sentTo
}

suite('traffic-split', () => {
  test('without rules leaves the upstream of the route', async () => {
    assert.deepEqual(await destinations({}, {}), [undefined])
    assert.deepEqual(await destinations({ rules: [] }, {}), [undefined])
    assert.deepEqual(await destinations({ rules: [{}] }, {}), [undefined])
  })

  test('takes smooth turns by weight', async () => {
    const entries = [{ upstream: inline, weight: 3 }, { upstream_id: 7 }, { weight: 1 }]
    assert.deepEqual(await destinations({ rules: [{ weighted_upstreams: entries }] }, {}, {}, {}, {}, {}), [
      at(0, 0),
      'upstream:7',
      at(0, 0),
      undefined,
      at(0, 0),
    ])
  })

  test('an entry without weight takes nothing; with none at all the route keeps the traffic', async () => {
    const entries = [{ upstream: inline, weight: 0 }, { upstream_id: 'b' }]
    assert.deepEqual(await destinations({ rules: [{ weighted_upstreams: entries }] }, {}, {}), [
      'upstream:b',
      'upstream:b',
    ])
    const none = [{ upstream: inline, weight: 0 }]
    assert.deepEqual(await destinations({ rules: [{ weighted_upstreams: none }] }, {}), [undefined])
  })

  test('upstream_id comes before upstream', async () => {
    const entries = [{ upstream_id: 1, upstream: inline }]
    assert.deepEqual(await destinations({ rules: [{ weighted_upstreams: entries }] }, {}), ['upstream:1'])
  })

  test('the first rule of which any match holds decides, else the route does', async () => {
    const rules = [
      {
        match: [{ vars: [['http_x', '==', 'a']] }, { vars: [['http_y', '==', 'a']] }],
        weighted_upstreams: [{ upstream: inline }],
      },
      { match: [{ vars: [['http_x', '~~', '[ab]']] }], weighted_upstreams: [{ upstream_id: 2 }] },
    ]
    assert.deepEqual(await destinations({ rules }, { x: 'a' }, { y: 'a' }, { x: 'b' }, { x: 'c' }, {}), [
      at(0, 0),
      at(0, 0),
      'upstream:2',
      undefined,
      undefined,
    ])
  })

  test('an upstream that there is not is answered with 500', async () => {
    const config = { rules: [{ weighted_upstreams: [{ upstream_id: 'gone' }, { weight: 1 }] }] }
    const bound = bindPolicy(policy, { config: config as never, missingUpstreams: ['gone'] })
    for (let i = 0; i < 2; i++) {
      const { verdict } = await bound.run()
      assert.equal(verdict?.status, 500)
      assert.equal(verdict?.body, 'failed to fetch upstream info by upstream id: gone')
    }
  })

  const refused: [object, RegExp][] = [
    [{ rules: 1 }, /rules: must be a list/],
    [{ rules: [{ match: 1 }] }, /match: must be a list/],
    [{ rules: [{ match: [{}] }] }, /missing argument rule/],
    [{ rules: [{ match: [{ vars: [['a', '??', 'b']] }] }] }, /failed to validate the 'vars' expression/],
    [{ rules: [{ match: [{ vars: 'a' }] }] }, /vars: must be a list/],
    [{ rules: [{ weighted_upstreams: [] }] }, /weighted_upstreams: must/],
    [{ rules: [{ weighted_upstreams: [{ weight: -1 }] }] }, /weight: must be >= 0/],
    [{ rules: [{ weighted_upstreams: [{ weight: '1' }] }] }, /weight: must be/],
    [{ rules: [{ weighted_upstreams: [{ upstream_id: 'a b' }] }] }, /upstream_id/],
    [{ rules: [{ weighted_upstreams: [{ upstream: {} }] }] }, /upstream/],
    [{ rules: [{ weighted_upstreams: [{ upstream: { nodes: { 'a:1': -1 } } }] }] }, /nodes/],
    [{ rules: [{ weighted_upstreams: Array.from({ length: 21 }, () => ({})) }] }, /weighted_upstreams/],
  ]
  for (const [config, finding] of refused) {
    test(`${JSON.stringify(config).slice(0, 80)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding)
    })
  }
})
