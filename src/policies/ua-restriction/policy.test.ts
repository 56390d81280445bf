import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const statusFor = async (config: object, ...agents: string[]) => {
  const headers = agents.map((agent): [string, string] => ['User-Agent', agent])
  return (await bindPolicy(policy, { config }).run({ headers })).answer.status
}

test('rules are searched for, with regard to case', async () => {
  const config = { denylist: ['my-bot', '(Baiduspider)/(\\d+)\\.(\\d+)'] }
  assert.equal(await statusFor(config, 'this is my-bot/1'), 403)
  assert.equal(await statusFor(config, 'Baiduspider/3.0'), 403)
  assert.equal(await statusFor(config, 'baiduspider/3.0'), 200)
  assert.equal(await statusFor({ allowlist: ['^curl'] }, 'curl/8'), 200)
  assert.equal(await statusFor({ allowlist: ['^curl'] }, 'x curl/8'), 403)
})

test('of several fields one is enough', async () => {
  assert.equal(await statusFor({ denylist: ['my-bot'] }, 'fine', 'my-bot'), 403)
  assert.equal(await statusFor({ denylist: ['my-bot'] }, 'my-bot', 'fine'), 403)
  assert.equal(await statusFor({ allowlist: ['curl'] }, 'other', 'curl'), 200)
})

test('without the field the request is rejected, unless it may be missing', async () => {
  const { answer } = await bindPolicy(policy, { config: { denylist: ['x'], message: 'go' } }).run()
  assert.deepEqual([answer.status, answer.body], [403, '{"message":"go"}\n'])
  assert.equal(await statusFor({ denylist: ['x'], bypass_missing: true }), 200)
  assert.equal(await statusFor({ allowlist: ['x'], bypass_missing: true }), 200)
  assert.equal(await statusFor({ allowlist: ['x'] }, ''), 403)
})

suite('the configuration', () => {
  for (const [config, finding] of [
    [{}, /allowlist|denylist|one of/],
    [{ allowlist: ['a'], denylist: ['a'] }, /config/],
    [{ allowlist: [] }, /allowlist/],
    [{ denylist: [''] }, /denylist/],
    [{ denylist: [1] }, /denylist/],
    [{ denylist: ['a'], bypass_missing: 1 }, /bypass_missing/],
    [{ denylist: ['a'], message: '' }, /message/],
    [{ denylist: ['a('] }, /the expression a\(/],
    [{ denylist: ['(?=(a+)+b)\\1'] }, /the expression/],
    [{ denylist: ['a'], blocklist: ['b'] }, /blocklist/],
  ] as [object, RegExp][]) {
    test(`${JSON.stringify(config)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config }), finding)
    })
  }
})
