import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const binding = {
  routeName: 'users',
  serviceName: 'Users API',
  matchedUri: '/users/*',
  matchedHost: '*.example',
}

test('one exchange counts its status, its three latencies and its bytes', async () => {
  const bound = bindPolicy(policy, { binding })
  await bound.run(
    { method: 'POST', body: 'four', consumer: 'jack' },
    { status: 201, body: 'created', duration: 12.5, upstreamDuration: 10 },
  )
  const place = 'route="r1",service="s1",consumer="jack",node="192.0.2.1"'
  const models = 'request_type="traditional_http",request_llm_model="",llm_model=""'
  assert.deepEqual(bound.series().sort(), [
    `apisix_bandwidth{type="egress",${place},${models}} 7`,
    `apisix_bandwidth{type="ingress",${place},${models}} 4`,
    `apisix_http_latency{type="apisix",${place},${models}} count=1 sum=2.5`,
    `apisix_http_latency{type="request",${place},${models}} count=1 sum=12.5`,
    `apisix_http_latency{type="upstream",${place},${models}} count=1 sum=10`,
    'apisix_http_status{code="201",route="r1",matched_uri="/users/*",matched_host="*.example",' +
      `service="s1",consumer="jack",node="192.0.2.1",${models},response_source="upstream"} 1`,
  ])
})

test('statuses and callers have series of their own, which add up', async () => {
  const bound = bindPolicy(policy)
  await bound.run({ consumer: 'jack' })
  await bound.run({ consumer: 'jack' }, { status: 404 })
  await bound.run({ consumer: 'jill' })
  await bound.run({ consumer: 'jack' })
  const statuses = bound.series().filter((line) => line.startsWith('apisix_http_status'))
  assert.deepEqual(
    statuses.map((line) => [
      /code="(\d+)"/.exec(line)?.[1],
      /consumer="(\w+)"/.exec(line)?.[1],
      line.split('} ')[1],
    ]),
    [
      ['200', 'jack', '2'],
      ['404', 'jack', '1'],
      ['200', 'jill', '1'],
    ],
  )
  assert.equal(bound.counters().apisix_http_latency_count, 12)
})

test('the source tells answers of the upstream, of the gateway, and for an upstream that failed', async () => {
  const source = async (response: object) => {
    const bound = bindPolicy(policy)
    await bound.run({}, response)
    const line = bound.series().find((text) => text.startsWith('apisix_http_status'))!
    return { source: /response_source="(\w+)"/.exec(line)?.[1], node: /node="([^"]*)"/.exec(line)?.[1] }
  }
  assert.deepEqual(await source({}), { source: 'upstream', node: '192.0.2.1' })
  assert.deepEqual(await source({ status: 502, errorCode: 'upstream_connect_failed' }), {
    source: 'nginx',
    node: '192.0.2.1',
  })
  assert.deepEqual(await source({ status: 404, notProxied: true }), { source: 'apisix', node: '' })
})

test('an exchange that reached no upstream has no upstream latency', async () => {
  const bound = bindPolicy(policy)
  await bound.run({}, { status: 404, notProxied: true, duration: 3 })
  const sums = bound.series().filter((line) => line.startsWith('apisix_http_latency'))
  assert.deepEqual(
    sums.map((line) => [/type="(\w+)"/.exec(line)?.[1], line.split('} ')[1]]),
    [
      ['request', 'count=1 sum=3'],
      ['apisix', 'count=1 sum=3'],
    ],
  )
})

test('prefer_name labels with names, and with ids where there is no name', async () => {
  const named = bindPolicy(policy, { config: { prefer_name: true }, binding })
  await named.run()
  assert.match(named.series().join('\n'), /route="users".*service="Users API"/)
  const nameless = bindPolicy(policy, { config: { prefer_name: true } })
  await nameless.run()
  assert.match(nameless.series().join('\n'), /route="r1".*service="s1"/)
})

test('metadata empties labels, never those that tell series apart', async () => {
  const metadata = { disabled_labels: { http_status: ['consumer', 'node'] } }
  const bound = bindPolicy(policy, { metadata })
  await bound.run({ consumer: 'jack' })
  await bound.run({ consumer: 'jill' }, { upstream: '192.0.2.2:80' })
  const statuses = bound.series().filter((line) => line.startsWith('apisix_http_status'))
  assert.equal(statuses.length, 1)
  assert.match(statuses[0]!, /consumer="",node="".*\} 2$/)
  const structural = { disabled_labels: { http_status: ['code'] } }
  assert.throws(() => bindPolicy(policy, { metadata: structural }), /disabled_labels/)
})

test('labels of the operator come after the others, each metric with its own', async () => {
  const prometheus = {
    extra_labels: {
      http_status: { agent: '$http_user_agent', none: '$dummy' },
      bandwidth: { kind: 'x-$http_kind' },
    },
  }
  const bound = bindPolicy(policy, { prometheus })
  for (const agent of ['one', 'two', 'one']) {
    await bound.run({ headers: { 'user-agent': agent, kind: 'k' } })
  }
  const series = bound.series()
  const statuses = series.filter((line) => line.startsWith('apisix_http_status{'))
  assert.deepEqual(
    statuses.map((line) => line.slice(line.indexOf('response_source'))),
    [
      'response_source="upstream",agent="one",none=""} 2',
      'response_source="upstream",agent="two",none=""} 1',
    ],
  )
  assert.ok(series.some((line) => /^apisix_bandwidth.*llm_model="",kind="x-k"\}/.test(line)))
  assert.ok(series.every((line) => !line.startsWith('apisix_http_latency') || line.includes('llm_model=""}')))
})

test('a value of a label of the operator is no longer than 256 characters', async () => {
  const bound = bindPolicy(policy, {
    prometheus: { extra_labels: { http_status: { agent: '$http_user_agent' } } },
  })
  await bound.run({ headers: { 'user-agent': 'a'.repeat(5000) } })
  assert.ok(bound.series().some((line) => line.includes(`agent="${'a'.repeat(256)}"`)))
})

test('labels of language models may be left empty before there are any', () => {
  bindPolicy(policy, {
    metadata: { disabled_labels: { llm_latency: ['node'], ai_cache_hits_total: ['route_id'] } },
  })
  assert.throws(
    () => bindPolicy(policy, { metadata: { disabled_labels: { ai_cache_hits_total: ['layer'] } } }),
    /ai_cache_hits_total/,
  )
})
