import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

suite('the target', () => {
  test('an absent variable leaves nothing, or its default', async () => {
    const { upstream } = await runPolicy(policy, {
      config: { uri: `/x$http_missing/\${ http_missing ?? y }` },
      request: { target: '/a?b=1' },
    })
    assert.equal(upstream?.target, '/x/y?b=1')
  })

  test('a value cannot begin a query', async () => {
    const { upstream } = await runPolicy(policy, {
      config: { uri: '/$http_name' },
      request: { headers: { name: 'a?b=c d' } },
    })
    assert.equal(upstream?.target, '/a%253Fb=c%20d')
  })

  test('a question mark of the client stays in the path; one of the replacement begins a query', async () => {
    const { run } = bindPolicy(policy, { config: { regex_uri: ['^/(.*)', '/p?at=$1'] } })
    assert.equal((await run({ target: '/a?z=1' })).upstream?.target, '/p?at=a&z=1')
    assert.equal((await run({ target: '/a%3fb' })).upstream?.target, '/p%3Fat=a%3Fb')
  })
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{ regex_uri: ['a', 'b', 'c'] }, /should be an even number/],
    [{ regex_uri: ['(', 'b'] }, /invalid regex_uri/],
    [{ headers: { 'Content-Length': '1' } }, /own to write/],
    [{ headers: { 'a b': '1' } }, /invalid field character/],
    [{ headers: { a: 'x\r\ny: z' } }, /invalid value character/],
    [{ method: 'BREW' }, /must be one of/],
    [{ uri: 'no-slash' }, /must match/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () => {
      assert.throws(() => bindPolicy(policy, { config }), finding)
    })
  }
})
