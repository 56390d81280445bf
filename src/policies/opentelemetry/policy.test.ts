import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const traceparent = `00-${traceId}-b7ad6b7169203331-01`
const metadata = { batch_span_processor: { max_export_batch_size: 1 } }

/** Members that have defaults may be left out, as in a configuration. */
function bind(config: object, more: object = metadata) {
  return bindPolicy(policy, { config: config as never, metadata: more as never })
}

async function sentWith(config: object, headers: Record<string, string>, more: object = {}) {
  const { upstream } = await bind(config, { ...metadata, ...more }).run({ headers })
  return upstream!.headers.traceparent
}

test('without metadata it does nothing, and says so', async () => {
  const bound = bindPolicy(policy, { config: { sampler: { name: 'always_on' } } as never })
  const { upstream } = await bound.run()
  assert.equal(upstream!.headers.traceparent, undefined)
  assert.match(JSON.stringify(bound.logged), /opentelemetry does nothing without plugin_metadata/)
})

for (const [sampler, parent, sampled] of [
  [{}, undefined, false],
  [{}, traceparent, false],
  [{ name: 'always_on' }, undefined, true],
  [{ name: 'always_on' }, traceparent.replace(/1$/, '0'), true],
  [{ name: 'trace_id_ratio', options: { fraction: 1 } }, undefined, true],
  [{ name: 'trace_id_ratio' }, traceparent, false],
  [{ name: 'parent_base' }, undefined, false],
  [{ name: 'parent_base' }, traceparent, true],
  [{ name: 'parent_base', options: { root: { name: 'always_on' } } }, undefined, true],
  [{ name: 'parent_base', options: { root: { name: 'always_on' } } }, traceparent.replace(/1$/, '0'), false],
  [
    { name: 'parent_base', options: { root: { name: 'trace_id_ratio', options: { fraction: 1 } } } },
    undefined,
    true,
  ],
] as const) {
  test(`${JSON.stringify(sampler)} below ${parent ?? 'nobody'}: ${sampled}`, async () => {
    const told = await sentWith({ sampler }, parent === undefined ? {} : { traceparent: parent })
    assert.match(told!, /^00-[\da-f]{32}-[\da-f]{16}-0[01]$/)
    assert.equal(told!.endsWith('-01'), sampled)
    if (parent !== undefined) assert.equal(told!.slice(3, 35), traceId)
  })
}

test('a ratio takes that share of traces, by their ids', async () => {
  const config = { sampler: { name: 'trace_id_ratio', options: { fraction: 0.25 } } }
  const bound = bind(config)
  for (const [id, sampled] of [
    [`${'f'.repeat(19)}0000000000000`, true],
    [`${'0'.repeat(19)}3ffffffffffff`, true],
    [`${'0'.repeat(19)}4000000000000`, false],
    [`${'0'.repeat(19)}fffffffffffff`, false],
  ] as const) {
    const { upstream } = await bound.run({ headers: { traceparent: `00-${id}-b7ad6b7169203331-00` } })
    assert.equal(upstream!.headers.traceparent!.endsWith('-01'), sampled, id)
  }
})

for (const [id, taken] of [
  ['550E8400E29B41D4A716446655440000', true],
  ['550e8400-e29b-41d4-a716-446655440000', false],
  ['0'.repeat(32), false],
  ['z'.repeat(32), false],
] as const) {
  test(`X-Request-Id ${id} ${taken ? 'is' : 'is not'} the id of a new trace`, async () => {
    const config = { sampler: { name: 'always_on' } }
    const told = await sentWith(config, { 'x-request-id': id }, { trace_id_source: 'x-request-id' })
    assert.equal(told!.slice(3, 35) === id.toLowerCase(), taken)
    assert.doesNotMatch(told!, /^00-0{32}/)
  })
}

test('the span of a failure says who failed', async (t) => {
  const { url, requests } = await logServer(t)
  const collector = { address: new URL(url).host }
  const bound = bind({ sampler: { name: 'always_on' } }, { ...metadata, collector })
  await bound.run({ target: '/a?token=s3cret' }, { status: 502, errorCode: 'upstream_connect_failed' })
  const { headers, target, body } = await requests.next()
  assert.deepEqual([target, headers['content-type']], ['/v1/traces', 'application/x-protobuf'])
  assert.match(body, /nginx error: 502/)
  assert.doesNotMatch(body, /s3cret/)
})

for (const wrong of [
  { sampler: { name: 'sometimes' } },
  { sampler: { options: { fraction: 'all' } } },
  { sampler: { options: { root: { name: 'parent_base' } } } },
  { additional_attributes: [''] },
  { additional_header_prefix_attributes: [1] },
]) {
  test(`is refused: ${JSON.stringify(wrong)}`, () => {
    assert.throws(() => bind(wrong), new RegExp(Object.keys(wrong)[0]!))
  })
}
