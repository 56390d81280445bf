import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const post = (body: string, headers: Record<string, string> = {}) => ({ method: 'POST', body, headers })

test('an announced body above the limit is rejected, one up to it passes', async () => {
  const config = { max_body_size: 5 }
  assert.equal((await runPolicy(policy, { config, request: post('12345') })).upstream?.body, '12345')
  const { verdict, upstream } = await runPolicy(policy, { config, request: post('123456') })
  assert.deepEqual(verdict, { status: 413 })
  assert.equal(upstream, undefined)
})

test('a body of unknown length is stopped beyond the limit', async () => {
  const request = post('123456', { 'transfer-encoding': 'chunked' })
  assert.equal((await runPolicy(policy, { config: { max_body_size: 5 }, request })).verdict?.status, 413)
  assert.equal((await runPolicy(policy, { config: { max_body_size: 6 }, request })).verdict, undefined)
})

test('0 and nothing at all are no limit', async () => {
  for (const config of [{ max_body_size: 0 }, {}])
    assert.equal((await runPolicy(policy, { config, request: post('x'.repeat(99)) })).verdict, undefined)
})

test('a wrong value is a finding', () => {
  for (const max_body_size of [-1, 1.5, '5'])
    assert.throws(() => bindPolicy(policy, { config: { max_body_size } as never }), /max_body_size/)
})
