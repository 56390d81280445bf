import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datagramServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const metadata = {
  host: '127.0.0.1',
  namespace: 'edge',
  constant_tags: ['source:apisix'],
  max_pending_entries: 10,
}

test('metrics of an exchange are one datagram', async (t) => {
  const { port, messages } = await datagramServer(t)
  const config = { batch_max_size: 1, include_path: true, include_method: true, constant_tags: ['env:test'] }
  const bound = bindPolicy(policy, {
    config,
    metadata: { ...metadata, port },
    binding: { routeName: 'orders', matchedUri: '/o/*' },
  })
  await bound.run(
    { method: 'POST', consumer: 'ja,ck|x', body: 'abc' },
    { status: 404, body: 'no', duration: 9, upstreamDuration: 4 },
  )
  const tags =
    '|#source:apisix,env:test,route_name:orders,path:/o/*,method:POST,service_name:s1,consumer:ja_ck_x,' +
    'balancer_ip:192.0.2.1,response_status:404,response_status_class:4xx,scheme:http'
  assert.deepEqual((await messages.next()).split('\n'), [
    `edge.request.counter:1|c${tags}`,
    `edge.request.latency:9|h${tags}`,
    `edge.upstream.latency:4|h${tags}`,
    `edge.apisix.latency:5|h${tags}`,
    `edge.ingress.size:3|ms${tags}`,
    `edge.egress.size:2|ms${tags}`,
  ])
})

test('metrics that do not fit are datagrams of their own', async (t) => {
  const { port, messages } = await datagramServer(t)
  const constant_tags = Array.from({ length: 20 }, (_, n) => `t${n}${'x'.repeat(190)}`)
  const bound = bindPolicy(policy, {
    config: { batch_max_size: 1, constant_tags },
    metadata: { ...metadata, port },
  })
  await bound.run({}, { notProxied: true })
  for (let n = 0; n < 5; n++) assert.match(await messages.next(), /^edge\.[\w.]+:\d+\|[^\n]+$/)
})

for (const config of [
  { constant_tags: ['1x'] },
  { constant_tags: ['a:'] },
  { constant_tags: [''] },
  { prefer_name: 1 },
  { batch_max_size: 0 },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
