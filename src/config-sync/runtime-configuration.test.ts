import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRuntimeConfiguration, withUpstreamDefaults } from './runtime-configuration.ts'

test('the examples of the Gateway Manager API are taken, and what has no effect is named', () => {
  const managed = {
    logging: { anypoint: { forwardLogs: true }, runtimeLogs: { logLevel: 'fatal' } },
    tracing: { enabled: true, provider: { type: 'anypoint' }, sampling: { overall: 2 } },
    proxyProtocol: { enabled: false },
    timeouts: { streamIdleSeconds: 300, upstreamResponseSeconds: 15, upstreamConnectionIdleSeconds: 60 },
    routing: { rewriteHostHeader: false },
  }
  assert.deepEqual(readRuntimeConfiguration(managed), {
    logLevel: 'error',
    forwardLogs: true,
    logOutputs: [],
    proxyProtocol: false,
    bodyIdle: 300_000,
    upstreams: { responseTimeout: 15, idleTimeout: 60, passHost: 'pass' },
    tracing: managed.tracing,
    withoutEffect: ['tracing.provider.type'],
  })
  assert.deepEqual(readRuntimeConfiguration({ probe: { enabled: true }, later: 1 }), {
    forwardLogs: false,
    logOutputs: [],
    upstreams: {},
    probe: { path: '/health', port: 8080 },
    withoutEffect: ['later'],
  })
})

test('outputs that cannot be written to have no effect, and others have', () => {
  const logging = { outputs: { a: { type: 'splunk' }, b: { type: 'file', parameters: { file: '/b' } } } }
  const settings = readRuntimeConfiguration({ logging })
  assert.ok('upstreams' in settings)
  assert.deepEqual(settings.withoutEffect, ['logging.outputs.a'])
  assert.deepEqual(settings.logOutputs, [{ name: 'b', type: 'file', path: '/b' }])
})

test('a buffer without a bound has a large one', () => {
  const buffer = (global: number) => {
    const settings = readRuntimeConfiguration({ connectionBufferLimits: { global } })
    assert.ok('upstreams' in settings)
    assert.deepEqual(settings.withoutEffect, [])
    return settings.connectionBuffer
  }
  assert.deepEqual([buffer(0), buffer(1)], [16 * 1024 * 1024, 1])
})

test('thresholds of the circuit breaker are limits of upstreams, as far as those have them', () => {
  const read = (thresholds: Record<string, number>) => {
    const settings = readRuntimeConfiguration({ circuitBreaker: { thresholds } })
    assert.ok('upstreams' in settings)
    return [settings.upstreams, settings.withoutEffect]
  }
  const all = { maxConnections: 10, maxPendingRequests: 5, maxRequests: 2_147_483_647, maxRetries: 0 }
  assert.deepEqual(read(all), [
    { limits: { max_connections: 10, max_pending: 5, max_requests: 1_000_000, max_retries: 0 } },
    [],
  ])
  assert.deepEqual(read({ maxConnections: 0, maxPendingRequests: 0, maxRequests: 0 }), [
    { limits: { max_connections: 0, max_pending: 0, max_requests: 0 } },
    [],
  ])
  assert.deepEqual(read({ maxConnectionPools: 3, maxLater: 3 }), [
    { limits: { max_pools: 3 } },
    ['circuitBreaker.thresholds.maxLater'],
  ])
  const limits = { max_requests: 1 }
  const own = { nodes: {}, circuit_breaker: { max_retries: 3 } }
  assert.deepEqual(withUpstreamDefaults({ upstreams: [own, { nodes: {} }] }, { limits }), {
    upstreams: [own, { nodes: {}, circuit_breaker: limits }],
  })
})

for (const [place, value] of [
  ['logging.runtimeLogs.logLevel', { logging: { runtimeLogs: { logLevel: 'trace' } } }],
  ['tracing.provider.properties.address', { tracing: { provider: { properties: { address: 'host:1' } } } }],
  ['tracing.sampling.overall', { tracing: { sampling: { overall: 101 } } }],
  ['timeouts.upstreamResponseSeconds', { timeouts: { upstreamResponseSeconds: '15' } }],
  ['circuitBreaker.thresholds.maxRetries', { circuitBreaker: { thresholds: { maxRetries: -1 } } }],
  ['connectionBufferLimits.global', { connectionBufferLimits: { global: 1.5 } }],
  ['probe.path', { probe: { path: 'health' } }],
  ['probe.port', { probe: { port: 65_536 } }],
] as const) {
  test(`a wrong ${place} is a finding at its place`, () => {
    const answer = readRuntimeConfiguration(structuredClone(value) as Record<string, unknown>)
    assert.ok('code' in answer)
    assert.deepEqual(
      answer.findings.map(({ path }) => path),
      [`runtime_configuration.${place}`],
    )
  })
}

test('defaults go to upstreams that say nothing themselves', () => {
  const own = { nodes: {}, pass_host: 'rewrite', timeout: { connect: 1, send: 1, read: 1 } }
  const resources = { upstreams: [own], routes: [{ upstream: { nodes: {} } }, { uri: '/' }] }
  assert.deepEqual(withUpstreamDefaults(resources, { responseTimeout: 9, passHost: 'node' }), {
    upstreams: [own],
    routes: [
      { upstream: { nodes: {}, pass_host: 'node', timeout: { connect: 60, send: 60, read: 9 } } },
      { uri: '/' },
    ],
  })
})
