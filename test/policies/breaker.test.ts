/** A policy that answers in place of an upstream that fails, through the wire. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

const { send } = policyGateway(
  () => `
routes:
  - id: broken
    uri: /broken/*
    upstream_id: u
    plugins:
      api-breaker:
        break_response_code: 502
        break_response_body: '{"busy":true}'
        break_response_headers: [{ key: Content-Type, value: application/json }, { key: X-Who, value: $arg_who }]
        unhealthy: { http_statuses: [500], failures: 2 }
`,
  ({ target }, response) => {
    if (!target.includes('fail')) return false
    response.writeHead(500).end()
    return true
  },
)

test('an upstream that fails gets no more requests of that path', async () => {
  for (let i = 0; i < 2; i++) assert.equal((await send('/broken/a?fail')).status, 500)
  const { status, text, headers, seen } = await send('/broken/a?who=me')
  assert.deepEqual([status, text, seen], [502, '{"busy":true}', undefined])
  assert.equal(headers.get('content-type'), 'application/json')
  assert.equal(headers.get('x-who'), 'me')
  assert.ok((await send('/broken/b')).seen)
})
