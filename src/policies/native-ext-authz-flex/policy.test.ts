import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Call } from '../kit/calls.ts'
import { CallError } from '../kit/index.ts'
import { bindPolicy, type FakeAnswer, type FakeRequest } from '../kit/testing.ts'
import policy from './policy.ts'

const uri = 'http://authz.test/check'

async function ask(config: object, request: FakeRequest, answer: (call: Call) => FakeAnswer = () => ({})) {
  const calls: Call[] = []
  const { run } = bindPolicy(policy, {
    config: { uri, ...config } as never,
    service: (call) => {
      calls.push(call)
      return answer(call)
    },
  })
  const { answer: got, upstream } = await run(request)
  return { call: calls[0], got, upstream }
}

test('the service gets path, query and the fields that it may see', async () => {
  const { call, upstream } = await ask(
    {
      pathPrefix: '/v1/',
      allowedHeaders: ['X-Tenant'],
      serviceRequestHeadersToAdd: [{ key: 'X-Gate', value: 'one' }],
    },
    {
      target: '/orders?id=7',
      method: 'DELETE',
      headers: { authorization: 'Bearer t', 'x-tenant': 'a', 'x-other': 'b', 'x-gate': 'two' },
    },
  )
  assert.deepEqual([call?.method, call?.url], ['POST', 'http://authz.test/check/v1/orders?id=7'])
  const { authorization, 'x-tenant': tenant, 'x-other': other, 'x-gate': gate } = call?.headers ?? {}
  assert.deepEqual([authorization, tenant, other, gate], ['Bearer t', 'a', undefined, 'one'])
  assert.equal(call?.headers?.['x-forwarded-method'], 'DELETE')
  assert.ok(upstream)
})

suite('answers', () => {
  test('with 200 the request passes, with fields for the upstream and the client', async () => {
    const { upstream, got } = await ask(
      {
        serviceResponseUpstreamHeaders: ['X-User', 'X-Role'],
        serviceResponseUpstreamHeadersToAppend: ['X-Seen'],
        serviceResponseClientHeadersOnSuccess: ['X-Quota'],
        serviceResponseClientHeaders: ['X-Why'],
      },
      { headers: { 'x-user': 'root', 'x-role': 'admin', 'x-seen': 'client' } },
      () => ({
        headers: { 'x-user': 'ada', 'x-seen': 'service', 'x-quota': '7', 'x-why': 'no', 'x-more': '1' },
      }),
    )
    const { 'x-user': user, 'x-role': role, 'x-more': more } = upstream?.headers ?? {}
    assert.deepEqual([user, role, more], ['ada', undefined, undefined])
    assert.match(String(upstream?.headers['x-seen']), /service/)
    assert.deepEqual([got.headers['x-quota'], got.headers['x-why']], ['7', undefined])
  })

  test('any other is for the client', async () => {
    for (const status of [201, 302, 401, 403, 500]) {
      const { upstream, got } = await ask({ serviceResponseClientHeaders: ['X-Why'] }, {}, () => ({
        status,
        headers: { 'x-why': 'no', 'x-more': '1', 'content-type': 'application/json' },
        body: '{"no":1}',
      }))
      assert.equal(upstream, undefined)
      assert.deepEqual(
        [got.status, got.headers['x-why'], got.headers['x-more'], got.body],
        [status, 'no', undefined, '{"no":1}'],
      )
    }
  })

  test('none is 403', async () => {
    const { upstream, got } = await ask({}, {}, () => {
      throw new CallError('timeout', 'too slow')
    })
    assert.deepEqual([upstream, got.status], [undefined, 403])
    assert.equal(got.body, '{"error":"The authorization service gave no answer"}')
  })
})

test('what it does not take', () => {
  for (const [config, finding] of [
    [{ uri: 'grpc://a' }, /uri has to begin/],
    [{ serverType: 'grpc' }, /serverType: gRPC/],
    [{ serverType: 'tcp' }, /serverType/],
    [{ serverVersion: 'v2' }, /serverVersion/],
    [{ serverApiVersion: 'v2' }, /serverApiVersion/],
    [{ requestTimeout: 0 }, /requestTimeout/],
    [{ includePeerCertificate: true }, /includePeerCertificate: is for grpc/],
    [{ allowedHeaders: ['a b'] }, /allowedHeaders.0/],
    [{ serviceRequestHeadersToAdd: [{ key: 'Host', value: 'x' }] }, /serviceRequestHeadersToAdd.0/],
    [{ serviceRequestHeadersToAdd: [{ key: 'a', value: 'x\ny' }] }, /serviceRequestHeadersToAdd/],
    [{ serviceResponseUpstreamHeaders: ['Connection'] }, /serviceResponseUpstreamHeaders.0/],
    [{ serviceResponseUpstreamHeadersToAppend: [''] }, /serviceResponseUpstreamHeadersToAppend/],
    [{ serviceResponseClientHeaders: ['a:b'] }, /serviceResponseClientHeaders.0/],
    [{ serviceResponseClientHeadersOnSuccess: [1] }, /serviceResponseClientHeadersOnSuccess/],
    [{ pathPrefix: 'a' }, /pathPrefix/],
    [{ ssl_verify: 1 }, /ssl_verify/],
  ] as const) {
    assert.throws(
      () => bindPolicy(policy, { config: { uri, ...config } as never }),
      finding,
      JSON.stringify(config),
    )
  }
})
