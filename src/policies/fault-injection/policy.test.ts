import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('an abort answers with its status, fields and body', async () => {
  const { answer, upstream } = await runPolicy(policy, {
    config: {
      abort: { http_status: 503, body: 'down: $uri ü', headers: { 'X-Uri': '$uri', 'X-Number': 1 } },
    },
    request: { target: '/a' },
  })
  assert.equal(upstream, undefined)
  assert.deepEqual(answer, { status: 503, headers: { 'x-uri': '/a', 'x-number': '1' }, body: 'down: /a ü' })
})

test('conditions choose the requests: one that holds is enough', async () => {
  const config = {
    abort: { http_status: 403, vars: [[['request_method', '==', 'POST']], [['uri', '==', '/x']]] },
  }
  const { run } = bindPolicy(policy, { config })
  assert.equal((await run({ method: 'POST' })).answer.status, 403)
  assert.equal((await run({ target: '/x' })).answer.status, 403)
  assert.equal((await run({ target: '/y' })).answer.status, 200)
})

test('a share of none and of all', async () => {
  const statusOf = async (percentage: number) =>
    (await runPolicy(policy, { config: { abort: { http_status: 500, percentage } } })).answer.status
  for (let i = 0; i < 20; i++) {
    assert.equal(await statusOf(0), 200)
    assert.equal(await statusOf(100), 500)
  }
})

test('a delay holds the request for its time', async () => {
  const order: string[] = []
  const running = runPolicy(policy, { config: { delay: { duration: 0.05 } } }).then(() =>
    order.push('request'),
  )
  setImmediate(() => order.push('others'))
  await running
  assert.deepEqual(order, ['others', 'request'])
})

test('what it cannot do is refused', () => {
  for (const config of [
    {},
    { abort: {} },
    { abort: { http_status: 100 } },
    { abort: { http_status: 500, vars: [['x']] } },
    { abort: { http_status: 500, headers: { Connection: 'x' } } },
    { delay: { duration: -1 } },
  ]) {
    assert.throws(() => bindPolicy(policy, { config: config as never }), JSON.stringify(config))
  }
})
