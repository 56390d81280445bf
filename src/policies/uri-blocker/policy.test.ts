import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

function statusOf(config: object, uri: string) {
  return bindPolicy(policy, { config, variables: { request_uri: uri } })
    .run()
    .then(({ answer }) => answer.status)
}

test('one rule that matches is enough', async () => {
  const config = { block_rules: ['root.exe', 'select.+(from|limit)', '^/admin'] }
  assert.equal(await statusOf(config, '/hello?x=root.exe'), 403)
  assert.equal(await statusOf(config, '/hello?q=select%20a%20from'), 403)
  assert.equal(await statusOf(config, '/admin/x'), 403)
  assert.equal(await statusOf(config, '/x/admin'), 200)
  assert.equal(await statusOf(config, '/hello?x=ROOT.exe'), 200)
  assert.equal(await statusOf({ ...config, case_insensitive: true }, '/hello?x=ROOT.exe'), 403)
})

test('status and message of a rejection', async () => {
  const config = { block_rules: ['.'], rejected_code: 404, rejected_msg: 'gone' }
  const { answer } = await bindPolicy(policy, { config, variables: { request_uri: '/x' } }).run()
  assert.equal(answer.status, 404)
  assert.equal(answer.body, '{"error_msg":"gone"}\n')
})

test('what is no expression is refused', () => {
  assert.throws(() => bindPolicy(policy, { config: { block_rules: ['('] } }), /block_rules/)
})
