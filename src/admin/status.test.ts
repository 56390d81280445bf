import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SupervisorStatus } from '../proxy/supervisor.ts'
import type { AdminRequest } from './server.ts'
import { probeEndpoints, statusEndpoints } from './status.ts'

const running = {
  state: 'running',
  appliedAt: 1_700_000_000_000,
  threads: [
    { threadId: 1, listening: true },
    { threadId: 2, listening: true },
  ],
} as unknown as SupervisorStatus

async function answer(path: '/status' | '/status/ready', status: Partial<SupervisorStatus> = {}) {
  const endpoints = statusEndpoints(() => ({ ...running, ...status }))
  const { status: code, body } = await endpoints[`GET ${path}`]!({} as AdminRequest)
  return [code, body]
}

test('a gateway that runs is ok, whether it is ready or not', async () => {
  const ok = [200, '{"status":"ok"}']
  assert.deepEqual(await answer('/status'), ok)
  assert.deepEqual(await answer('/status', { state: 'starting', appliedAt: 0 }), ok)
})

test('it is ready when every data thread has its configuration', async () => {
  assert.deepEqual(await answer('/status/ready'), [200, '{"status":"ok"}'])
  const threads = [
    { threadId: 1, listening: true },
    { threadId: 2, listening: false },
  ]
  assert.deepEqual(await answer('/status/ready', { threads }), [
    503,
    '{"status":"error","error":"worker id: 1 has not received configuration"}',
  ])
  assert.deepEqual(await answer('/status/ready', { appliedAt: 0 }), [
    503,
    '{"status":"error","error":"no worker has received configuration"}',
  ])
  assert.deepEqual(await answer('/status/ready', { state: 'draining' }), [
    503,
    '{"status":"error","error":"the gateway is stopping"}',
  ])
})

test('the probes of Flex Gateway say the same in its words', async () => {
  const probe = async (path: '/probes/readiness' | '/probes/liveness', status: Partial<SupervisorStatus>) => {
    const endpoints = probeEndpoints(() => ({ ...running, ...status }))
    const { status: code, body } = await endpoints[`GET ${path}`]!({} as AdminRequest)
    return [code, body]
  }
  const well = [200, '{"status":200,"message":"OK"}']
  assert.deepEqual(await probe('/probes/readiness', {}), well)
  assert.deepEqual(await probe('/probes/liveness', { appliedAt: 0 }), well)
  assert.deepEqual(await probe('/probes/readiness', { appliedAt: 0 }), [
    503,
    '{"name":"Service Unavailable","message":"Gateway not started: no worker has received configuration","status":503}',
  ])
})
