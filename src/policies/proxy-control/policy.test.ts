import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('a body is waited for, and goes on as it came', async () => {
  const bound = bindPolicy(policy)
  const request = { method: 'POST', body: 'body' }
  const { exchange, verdict } = bound.begin(request)
  let asked = 0
  exchange.request.readBody = async (limit) => {
    asked = limit
    return 'body'
  }
  assert.equal(bound.handlers.request?.(exchange) instanceof Promise, true)
  assert.equal(await verdict, undefined)
  assert.equal(asked, 1024 * 1024)
  assert.equal((await bound.run(request)).upstream?.body, 'body')
})

test('nothing is waited for without a body, with one that is too large, or when it is off', async () => {
  const bound = bindPolicy(policy)
  assert.equal(bound.handlers.request?.(bound.begin().exchange), undefined)
  const large = bound.begin({ method: 'POST', headers: { 'content-length': '1048577' } })
  assert.equal(bound.handlers.request?.(large.exchange), undefined)
  const off = await runPolicy(policy, { config: { request_buffering: false }, request: { body: 'x' } })
  assert.equal(off.upstream?.body, 'x')
  assert.equal(bindPolicy(policy, { config: { request_buffering: false } }).handlers.request, undefined)
})

test('a wrong value is a finding', () => {
  assert.throws(
    () => bindPolicy(policy, { config: { request_buffering: 'on' } as never }),
    /request_buffering/,
  )
})
