/** What policies learn is known to all threads. Each request comes over a connection of its own, to either thread. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { freePort } from '../harness/gateway.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const control = await freePort()

const gateway = policyGateway(
  (port) => `
gateway:
  workers: 2
  control: { host: 127.0.0.1, port: ${control} }
routes:
  - id: split
    uri: /split
    upstream_id: u
    plugins:
      traffic-split:
        rules:
          - weighted_upstreams:
              - { upstream: { pass_host: rewrite, upstream_host: canary.example, nodes: { "127.0.0.1:${port}": 1 } }, weight: 1 }
              - { weight: 9 }
  - id: broken
    uri: /broken/*
    upstream_id: u
    plugins: { api-breaker: { break_response_code: 503, unhealthy: { failures: 20 }, max_breaker_sec: 300 } }
  - id: limited
    uri: /limited
    upstream_id: u
    plugins:
      workflow: { rules: [{ actions: [[limit-count, { count: 1, time_window: 3600, rejected_code: 429 }]] }] }
`,
  ({ target }, response) => {
    if (!target.startsWith('/broken')) return false
    response.writeHead(500).end()
    return true
  },
)

const send = (path: string) => gateway.send(path, { headers: { connection: 'close' } })

async function clear(parameters: string): Promise<Record<string, number>> {
  const response = await fetch(`http://127.0.0.1:${control}/v1/state?${parameters}`, { method: 'DELETE' })
  return ((await response.json()) as { cleared: Record<string, number> }).cleared
}

suite('two threads', () => {
  test('split the traffic exactly', async () => {
    const canary: number[] = []
    for (let n = 0; n < 40; n++) {
      const { seen } = await send('/split')
      if (seen?.headers.host === 'canary.example') canary.push(n)
    }
    assert.equal(canary.length, 4)
    assert.deepEqual(
      canary.map((n) => n - canary[0]!),
      [0, 10, 20, 30],
    )
    await send('/split')
    assert.equal((await clear('kind=balancers&resource=routes/broken')).balancers, 0)
    assert.equal((await clear('kind=balancers&resource=routes/split')).balancers, 1)
    const again: boolean[] = []
    for (let n = 0; n <= canary[0]!; n++)
      again.push((await send('/split')).seen?.headers.host === 'canary.example')
    assert.equal(again.indexOf(true), canary[0], 'cleared, the turns begin anew')
  })

  test('break together', async () => {
    for (let n = 0; n < 20; n++) assert.equal((await send('/broken/a')).status, 500)
    for (let n = 0; n < 8; n++) assert.equal((await send('/broken/a')).status, 503)
    assert.equal((await clear('kind=breakers&resource=routes/split')).breakers, 0)
    assert.equal((await clear('kind=breakers&resource=routes/broken')).breakers, 1)
    for (let n = 0; n < 8; n++) assert.equal((await send('/broken/a')).status, 500)
  })

  test('forget limits inside of a workflow with their route', async () => {
    assert.deepEqual([(await send('/limited')).status, (await send('/limited')).status], [200, 429])
    assert.equal((await clear('kind=limits&resource=routes/limited')).limits, 1)
    assert.equal((await send('/limited')).status, 200)
  })
})
