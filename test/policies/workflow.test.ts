/** Actions by condition, through the wire. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

const { send } = policyGateway(
  () => `
routes:
  - id: r
    uri: /*
    upstream_id: u
    plugins:
      workflow:
        rules:
          - { case: [[uri, ==, /no]], actions: [[return, { code: 403 }]] }
          - { case: [[uri, ==, /a]], actions: [[limit-count, { count: 1, time_window: 60, rejected_code: 429 }]] }
          - { case: [[uri, ==, /b]], actions: [[limit-count, { count: 1, time_window: 60, rejected_code: 429 }]] }
  - id: chain
    uri: /chain
    upstream_id: u
    plugins:
      limit-count: { count: 1, time_window: 60, rejected_code: 503 }
      workflow: { rules: [{ case: [[arg_x, ==, "1"]], actions: [[limit-count, { count: 2, time_window: 60, rejected_code: 429 }]] }] }
  - { id: closed, uri: /closed, plugins: { workflow: { rules: [{ actions: [[return, { code: 410 }]] }] } } }
`,
)

test('a rejection reaches no upstream', async () => {
  const { status, text, seen } = await send('/no')
  assert.deepEqual([status, text, seen], [403, '{"error_msg":"rejected by workflow"}\n', undefined])
})

test('each rule limits on its own', async () => {
  for (const path of ['/a', '/b']) assert.ok((await send(path)).seen)
  for (const path of ['/a', '/b']) {
    const { status, seen } = await send(path)
    assert.deepEqual([status, seen], [429, undefined])
  }
  assert.ok((await send('/c')).seen)
})

test('the same policy of the route has no turn where a rule runs it', async () => {
  const statuses: number[] = []
  for (const target of ['/chain?x=1', '/chain?x=1', '/chain?x=1', '/chain', '/chain'])
    statuses.push((await send(target)).status)
  assert.deepEqual(statuses, [200, 200, 429, 200, 503])
})

test('a route that answers itself needs no upstream', async () => {
  assert.equal((await send('/closed')).status, 410)
})
