import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { definePolicy, Type } from '../kit/index.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

let ended: string[] = []

/** Stands in for the policy of that name. */
const limit = definePolicy({
  name: 'limit-count',
  summary: '',
  stage: 'limit',
  priority: 1,
  config: Type.Object({ count: Type.Integer() }),
  create: ({ count }, { binding }) => {
    let left = count
    return {
      request: () => (left-- > 0 ? undefined : { status: 503 }),
      observe: () => void ended.push(binding.owner),
    }
  },
})

const bind = (rules: unknown) => bindPolicy(policy, { config: { rules } as never, policies: [limit] })
const rejection = (code: number) => ['return', { code }]
const isX = (value: string) => [['http_x', '==', value]]

suite('workflow', () => {
  test('the first case that holds decides; without one the request passes', async () => {
    const { run } = bind([
      { case: isX('a'), actions: [rejection(403)] },
      {
        case: ['OR', ['http_x', '==', 'a'], ['http_x', '==', 'b']],
        actions: [rejection(401), rejection(402)],
      },
    ])
    assert.deepEqual((await run({ headers: { x: 'a' } })).verdict, {
      status: 403,
      body: { error_msg: 'rejected by workflow' },
    })
    assert.equal((await run({ headers: { x: 'b' } })).verdict?.status, 401)
    assert.ok((await run({ headers: { x: 'c' } })).upstream)
    assert.ok((await run({})).upstream)
  })

  test('a rule without a case is for all, one without an action for nothing', async () => {
    assert.equal((await bind([{ actions: [rejection(418)] }]).run({})).verdict?.status, 418)
    assert.ok((await bind([{ actions: [] }]).run({})).upstream)
  })

  test('a policy that it runs has no further turn at the request', async () => {
    const { run } = bind([
      { case: isX('a'), actions: [['limit-count', { count: 9 }]] },
      { case: isX('b'), actions: [rejection(403)] },
    ])
    const skipped = async (x: string) => (await run({ headers: { x } })).exchange.skippedPolicies
    assert.deepEqual(await skipped('a'), ['limit-count'])
    assert.equal(await skipped('b'), null)
    assert.equal(await skipped('c'), null)
  })

  test('limits of rules count on their own and hear of the end of their requests', async () => {
    ended = []
    const { run } = bind([
      { case: isX('a'), actions: [['limit-count', { count: 1 }]] },
      { case: isX('b'), actions: [['limit-count', { count: 1 }]] },
    ])
    for (const x of ['a', 'b']) assert.ok((await run({ headers: { x } })).upstream)
    assert.equal((await run({ headers: { x: 'a' } })).verdict?.status, 503)
    await run({ headers: { x: 'c' } })
    assert.deepEqual(ended, ['route:r1/rules.0', 'route:r1/rules.1', 'route:r1/rules.0'])
  })

  const refused: [unknown, RegExp][] = [
    [undefined, /rules/],
    [[{}], /actions/],
    [[{ actions: [[]] }], /actions/],
    [[{ case: [], actions: [] }], /case/],
    [[{ case: 1, actions: [] }], /case/],
    [[{ case: [['a', '??', 'b']], actions: [] }], /failed to validate the 'case' expression/],
    [[{ actions: [['fly']] }], /unsupported action: fly/],
    [[{ actions: [['return', {}]] }], /the 'return' action: property "code" is required/],
    [[{ actions: [['return', { code: '403' }]] }], /expected integer, got string/],
    [[{ actions: [rejection(199)] }], /at least 200/],
    [[{ actions: [rejection(600)] }], /at most 599/],
    [[{ actions: [['limit-count']] }], /it has no configuration/],
    [[{ actions: [['limit-count', { group: 'a' }]] }], /group is not supported/],
  ]
  for (const [rules, finding] of refused) {
    test(`${JSON.stringify(rules)} is refused`, () => assert.throws(() => bind(rules), finding))
  }
})
