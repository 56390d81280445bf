import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const publicApis = { '/apisix/status': async () => ({ status: 200, body: 'fine' }) }

test('the path of the request is the endpoint', async () => {
  const { run } = bindPolicy(policy, { publicApis })
  const { answer, upstream } = await run({ target: '/apisix/status?a=b' })
  assert.deepEqual([answer.status, answer.body, upstream], [200, 'fine', undefined])
})

test('another path can stand for it', async () => {
  const { run } = bindPolicy(policy, { config: { uri: '/apisix/status' }, publicApis })
  assert.equal((await run({ target: '/health' })).answer.body, 'fine')
})

test('what is no endpoint is not found, and reaches no upstream', async () => {
  const { run } = bindPolicy(policy, { publicApis })
  const { answer, upstream } = await run({ target: '/apisix/admin/routes' })
  assert.deepEqual([answer.status, upstream], [404, undefined])
})

test('its setting is a text', () => {
  assert.throws(() => bindPolicy(policy, { config: { uri: 3233 } as never }), /uri/)
})
