import { suite, test } from 'node:test'
import { check } from './check.ts'
import { type Loaded, readText } from './load.ts'
import { formatFinding } from './problem.ts'

function upstreams(text: string) {
  const loaded: Loaded = { documents: [], findings: [] }
  readText('gateway.yaml', text, {}, loaded)
  const { plan, findings } = check(loaded, new Map(), { gatewayVersion: '1.0.0' })
  if (plan === undefined) throw new Error(findings.map(formatFinding).join(''))
  return plan.upstreams
}

suite('health checks in a plan', () => {
  test('have every default of APISIX', (t) => {
    const { checks } = upstreams(
      'upstreams: [{ id: 1, nodes: { "127.0.0.1:1": 1 }, checks: { active: {}, passive: {} } }]',
    ).get('1')!
    t.assert.deepEqual(checks, {
      active: {
        type: 'http',
        timeout: 1,
        concurrency: 10,
        http_method: 'GET',
        http_path: '/',
        http_req_body: '',
        https_verify_certificate: true,
        req_headers: [],
        healthy: { interval: 1, http_statuses: [200, 302], successes: 2 },
        unhealthy: {
          interval: 1,
          http_statuses: [429, 404, 500, 501, 502, 503, 504, 505],
          http_failures: 5,
          tcp_failures: 2,
          timeouts: 3,
        },
      },
      passive: {
        healthy: {
          http_statuses: [
            200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308,
          ],
          successes: 5,
        },
        unhealthy: { http_statuses: [429, 500, 503], tcp_failures: 2, timeouts: 7, http_failures: 5 },
      },
    })
  })

  test('keep what was given, and leave out what was not', (t) => {
    const spec = upstreams(`
upstreams:
  - id: 1
    nodes: { "127.0.0.1:1": 1 }
    checks:
      active: { type: tcp, timeout: 1.5, host: foo.com, port: 81, unhealthy: { interval: 7 } }
    outlier_ejection: { consecutive_5xx: 3 }
    panic_threshold: 50
  - { id: 2, nodes: { "127.0.0.1:1": 1 } }`)
    const { checks, outlier_ejection: ejection, panic_threshold: panic } = spec.get('1')!
    t.assert.equal(checks?.passive, undefined)
    t.assert.deepEqual(
      [checks?.active.type, checks?.active.timeout, checks?.active.host, checks?.active.port],
      ['tcp', 1.5, 'foo.com', 81],
    )
    t.assert.deepEqual([checks?.active.unhealthy.interval, checks?.active.unhealthy.tcp_failures], [7, 2])
    t.assert.deepEqual(ejection, {
      consecutive_5xx: 3,
      consecutive_gateway_failures: 5,
      base_ejection_time: 30,
      max_ejection_time: 300,
      max_ejection_percent: 10,
    })
    t.assert.equal(panic, 50)
    t.assert.deepEqual(Object.keys(spec.get('2')!).includes('checks'), false)
  })
})
