import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { endpoint: 'http://127.0.0.1:1/', sample_ratio: 1 }
const traceId = '80f198ee56343ba864fe8b2a57d3eff7'
const spanId = 'e457b5a2e4d86bd1'

async function sent(headers: Record<string, string>, ratio = 1) {
  const { upstream, verdict } = await bindPolicy(policy, { config: { ...config, sample_ratio: ratio } }).run({
    headers,
  })
  return { verdict, b3: (name: string) => upstream?.headers[`x-b3-${name}`], single: upstream?.headers.b3 }
}

test('a trace goes on with the caller’s id, and its decision is kept', async () => {
  for (const headers of [
    { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '1' },
    { b3: `${traceId}-${spanId}-1` },
    { b3: `${traceId}-${spanId}-d` },
  ] as Record<string, string>[]) {
    const { b3, single } = await sent(headers, 0.00001)
    assert.deepEqual([b3('traceid'), b3('sampled'), single], [traceId, '1', undefined])
    assert.match(b3('spanid')!, /^[\da-f]{16}$/)
    assert.match(b3('parentspanid')!, /^[\da-f]{16}$/)
    assert.notEqual(b3('parentspanid'), spanId, 'the parent is the span of the gateway')
  }
  const refused = await sent({ 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '0' })
  assert.deepEqual(
    [refused.b3('traceid'), refused.b3('parentspanid'), refused.b3('sampled')],
    [traceId, spanId, '0'],
  )
})

for (const [headers, sampled] of [
  [{ 'x-b3-sampled': 'true' }, '1'],
  [{ 'x-b3-sampled': 'false' }, '0'],
  [{ 'x-b3-flags': '1' }, '1'],
  [{ 'x-b3-flags': '1', 'x-b3-sampled': '0' }, '0'],
  [{ b3: '0' }, '0'],
] as const) {
  test(`${JSON.stringify(headers)} decides: ${sampled}`, async () => {
    const ratio = sampled === '1' ? 0.00001 : 1
    assert.equal((await sent(headers, ratio)).b3('sampled'), sampled)
  })
}

test('ids that are none begin a new trace', async () => {
  for (const headers of [
    { 'x-b3-traceid': 'xyz', 'x-b3-spanid': spanId },
    { 'x-b3-traceid': traceId, 'x-b3-spanid': '1' },
    { 'x-b3-traceid': traceId, 'x-b3-parentspanid': `${spanId}0` },
  ]) {
    const { b3 } = await sent(headers)
    assert.match(b3('traceid')!, /^[\da-f]{32}$/)
    assert.notEqual(b3('traceid'), traceId)
  }
})

test('a single field that cannot be read is answered with 400', async () => {
  for (const b3 of ['1', traceId, `-${spanId}`]) assert.equal((await sent({ b3 })).verdict?.status, 400)
})

test('spans tell request, upstream and answer, without credentials', async (t) => {
  const { url, requests } = await logServer(t)
  for (const [span_version, expected] of [
    [2, ['apisix.proxy', 'apisix.response_span', 'apisix.request']],
    [1, ['apisix.rewrite', 'apisix.access', 'apisix.body_filter', 'apisix.proxy', 'apisix.request']],
  ] as const) {
    const bound = bindPolicy(policy, {
      config: { ...config, endpoint: url, span_version, server_addr: '1.2.3.4' },
    })
    const headers = { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId }
    // A full batch leaves at once.
    for (let n = 0; n * expected.length < 1000; n++)
      await bound.run({ target: '/a?token=s3cret', headers }, { status: 404, duration: 7 })
    const { body } = await requests.next()
    const spans = (JSON.parse(body) as Record<string, unknown>[]).slice(0, expected.length)
    assert.deepEqual(
      spans.map(({ name }) => name),
      expected,
    )
    assert.ok(spans.every((span) => span.traceId === traceId && (span.duration as number) > 0))
    const { id: _, ...request } = spans.at(-1)!
    assert.deepEqual(request, {
      traceId,
      localEndpoint: { serviceName: 'APISIX', ipv4: '1.2.3.4', port: 9080 },
      remoteEndpoint: { ipv4: '203.0.113.7', port: 50_000 },
      tags: {
        component: 'apisix',
        'http.method': 'GET',
        'http.url': '/a?token=***',
        'http.status_code': '404',
        'apisix.response_source': 'upstream',
      },
      name: 'apisix.request',
      parentId: spanId,
      kind: 'SERVER',
      timestamp: Date.UTC(2026, 0, 1) * 1000,
      duration: 7000,
    })
  }
})

test('an address of IPv6 stands in the field that Zipkin has for it', async (t) => {
  const { url, requests } = await logServer(t)
  const bound = bindPolicy(policy, { config: { ...config, endpoint: url, span_version: 1 } })
  for (let n = 0; n < 200; n++) await bound.run({ address: '2001:db8::7' })
  const request = JSON.parse((await requests.next()).body)[4]
  assert.deepEqual(request.remoteEndpoint, { ipv6: '2001:db8::7', port: 50_000 })
})

for (const wrong of [
  { endpoint: 'nowhere' },
  { sample_ratio: 0 },
  { sample_ratio: 2 },
  { server_addr: 'badip' },
  { span_version: 3 },
]) {
  test(`is refused: ${JSON.stringify(wrong)}`, () => {
    assert.throws(
      () => bindPolicy(policy, { config: { ...config, ...wrong } as never }),
      new RegExp(Object.keys(wrong)[0]!),
    )
  })
}
