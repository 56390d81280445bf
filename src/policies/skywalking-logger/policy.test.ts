import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('entries name the trace of their request', async (t) => {
  const { url, requests } = await logServer(t)
  const bound = bindPolicy(policy, {
    config: { endpoint_addr: url, batch_max_size: 2, service_instance_name: '$hostname' },
  })
  const id = (text: string) => Buffer.from(text).toString('base64')
  await bound.run({ target: '/a%20b', headers: { sw8: `1-${id('trace')}-${id('segment')}-3-a-b-c-d` } })
  await bound.run({ headers: { sw8: 'nonsense' } })
  const { target, body } = await requests.next()
  assert.equal(target, '/v3/logs')
  const [first, second] = JSON.parse(body)
  assert.deepEqual(first.traceContext, { traceId: 'trace', traceSegmentId: 'segment', spanId: 3 })
  assert.deepEqual(
    [first.service, first.serviceInstance, first.endpoint],
    ['APISIX', 'gateway.example', '/a b'],
  )
  assert.equal(JSON.parse(first.body.json.json).route_id, 'r1')
  assert.equal(second.traceContext, undefined)
})

for (const config of [
  {},
  { endpoint_addr: 'nowhere' },
  { endpoint_addr: 'http://a', timeout: 0 },
  { endpoint_addr: 'http://a', service_name: 1 },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
