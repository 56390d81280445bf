import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('the condition decides about each answer', async () => {
  const { run } = bindPolicy(policy, {
    config: { vars: [['request_method', '==', 'POST']], status_code: 202, body: 'accepted' },
  })
  assert.deepEqual((await run({ method: 'POST' }, { body: 'x' })).answer, {
    status: 202,
    headers: {},
    body: 'accepted',
  })
  assert.equal((await run({}, { body: 'x' })).answer.body, 'x')
})

test('a body in base64 is sent as what it stands for', async () => {
  const { answer } = await runPolicy(policy, { config: { body: 'aGVsbG8=', body_base64: true } })
  assert.equal(answer.body, 'hello')
})

test('a body that is too large is cut off before it is changed', async () => {
  const { run, logged } = bindPolicy(policy, {
    config: { max_resp_body_size: 3, filters: [{ regex: 'a', replace: 'b', scope: 'once', options: 'jo' }] },
  })
  assert.equal((await run({}, { body: 'aaaa' })).answer.body, 'baa')
  assert.equal((await run({}, { body: 'aaa' })).answer.body, 'baa')
  assert.equal(logged.length, 1)
})

suite('the configuration', () => {
  const filter = { regex: 'a', replace: 'b' }
  const refused: [object, RegExp][] = [
    [{ body: 'x', body_base64: true }, /invalid base64 content/],
    [{ body: 'x', filters: [filter] }, /.+/],
    [{ filters: [{ ...filter, regex: '(' }] }, /validation failed/],
    [
      { filters: [{ ...filter, options: 'ih' }] },
      /regex "a" validation failed: unknown flag "h" \(flags "ih"\)/,
    ],
    [{ vars: ['x'] }, /failed to validate the 'vars' expression/],
    [{ headers: { set: { Connection: 'x' } } }, /own to write/],
    [{ status_code: 101 }, /.+/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () => {
      assert.throws(() => bindPolicy(policy, { config }), finding)
    })
  }
})
