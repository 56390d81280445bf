import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('requests and answers pass as they are', async () => {
  const { upstream, answer } = await runPolicy(policy, { config: { i: 1 }, response: { body: 'x' } })
  assert.ok(upstream)
  assert.deepEqual(answer, { status: 200, headers: {}, body: 'x' })
})

test('a node that is named takes the place of the upstream', async () => {
  const { sentTo } = await runPolicy(policy, { config: { i: 1, ip: '10.0.0.1', port: 8080 } })
  assert.equal(sentTo, '')
  assert.equal((await runPolicy(policy, { config: { i: 1 } })).sentTo, undefined)
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{}, /"?i"?/],
    [{ i: -1 }, /i: must be >= 0/],
    [{ i: 1, s: 123 }, /s: /],
    [{ i: 1, t: [] }, /t: /],
    [{ i: 1, ip: 1 }, /ip: /],
    [{ i: 1, port: 'x' }, /port: /],
    [{ i: 1, ip: '10.0.0.1' }, /a node has an ip and a port/],
    [{ i: 1, ip: '10.0.0.1', port: 0 }, /a node has an ip and a port/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
