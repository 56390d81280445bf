import { existsSync } from 'node:fs'
import { suite, test } from 'node:test'
import { checkSchema } from './schema.ts'
import { type GatewayInput, gatewaySchema, resolveSettings } from './settings.ts'

function settings(input: GatewayInput) {
  const problems = checkSchema(gatewaySchema, input)
  if (problems.length > 0) throw new Error(problems[0]!.message)
  return resolveSettings(input, '1.2.3')
}

suite('settings', () => {
  test('have a default for everything', (t) => {
    t.assert.deepEqual(settings({}), {
      listeners: [{ name: 'http', host: '0.0.0.0', port: 9080, protocol: 'http', http2: true }],
      router: 'radixtree_host_uri',
      workers: 'auto',
      trusted_addresses: [],
      timeouts: {
        handshake: 10_000,
        header: 10_000,
        body_idle: 30_000,
        keepalive: 60_000,
        session: 600_000,
        datagrams: 60_000,
        write_stall: 30_000,
        drain: 30_000,
      },
      limits: {
        head: 32_768,
        headers: 100,
        target: 16_384,
        body: 0,
        replay: 65_536,
        post_args: 64 * 1024 * 1024,
        graphql: 1024 * 1024,
        held_bodies: 256 * 1024 * 1024,
        connections: 20_000,
        connection_buffer: 131_072,
        requests_per_connection: 10_000,
        websocket_message: 0,
        websocket_rate: 0,
        datagram_sessions: 10_000,
      },
      paths: {
        encoded_slash: 'reject',
        encoded_backslash: 'reject',
        encoded_nul: 'reject',
        backslash: 'reject',
        repeated_slashes: 'merge',
        parameters: 'check',
        trailing_slash: 'keep',
      },
      forwarding: { forwarded: false, replace_server: false, show_cause: false, show_upstream_status: false },
      tls: {
        protocols: ['TLSv1.2', 'TLSv1.3'],
        ciphers:
          'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:' +
          'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305',
        session_tickets: true,
        session_ticket_rotation: 43_200_000,
        fallback_sni: '',
      },
      upstream_tls: { verify: true, ca: [] },
      server: 'sluice/1.2.3',
      dns: { min_ttl: 1000, max_ttl: 300_000, timeout: 5000 },
      health_checks: true,
      https_port: 443,
      discovery: { start_timeout: 1000 },
      secrets: { ttl: 300_000, failure_ttl: 60_000, timeout: 5000, unresolved: 'refuse' },
      control: { host: '127.0.0.1', port: 9090, enabled: true },
      metrics: { host: '127.0.0.1', port: 9091, enabled: true },
      tracing: null,
      prometheus: {
        path: '/apisix/prometheus/metrics',
        prefix: 'apisix_',
        latency_buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000],
        extra_labels: {},
        expire: {},
      },
      batch_requests: { path: '/apisix/batch-requests' },
      status: { host: '127.0.0.1', port: 7085, enabled: false },
      probe: { host: '127.0.0.1', port: 3000, enabled: false },
      admin: {
        host: '127.0.0.1',
        port: 9180,
        enabled: false,
        keys: [],
        key_required: true,
        keyring: [],
        encrypt: true,
        allow: ['127.0.0.0/8', '::1'],
        cors: true,
        api_version: 'v3',
      },
      cache: {
        ttl: 10_000,
        zones: [
          { name: 'disk_cache_one', size: 1024 ** 3, path: '/tmp/disk_cache_one', levels: [1, 2] },
          { name: 'disk_cache_two', size: 1024 ** 3, path: '/tmp/disk_cache_two', levels: [1, 2] },
          { name: 'memory_cache', size: 50 * 1024 ** 2, levels: [1, 2] },
        ],
      },
      sync: {
        max_size: 64 * 1024 ** 2,
        heartbeat: 10_000,
        telemetry: 15_000,
        start_timeout: 30_000,
        renew: true,
      },
      policies: [],
      functions: { modules: [] },
      commands: [],
      watchdog: { slow: 1000, stuck: 10_000, unsettled: 60_000, heap: 0 },
      data_dir: existsSync('/var/lib/sluice') ? '/var/lib/sluice' : '.sluice',
      log: { level: 'info' },
    })
  })

  test('take what is written and keep the other defaults', (t) => {
    const { listeners, workers, timeouts, limits, metrics, server } = settings({
      listeners: [{ port: 80 }, { port: 81, host: '::1' }, { name: 'x', port: 0 }],
      workers: 3,
      timeouts: { header: '250ms' },
      limits: { body: '1MiB', head: 4096 },
      metrics: { port: 0 },
      server: '',
    })
    t.assert.deepEqual(
      listeners.map(({ name, host, port }) => `${name} ${host} ${port}`),
      ['http 0.0.0.0 80', 'http-2 ::1 81', 'x 0.0.0.0 0'],
    )
    t.assert.equal(workers, 3)
    t.assert.deepEqual([timeouts.header, timeouts.drain], [250, 30_000])
    t.assert.deepEqual([limits.body, limits.head, limits.headers], [1_048_576, 4096, 100])
    t.assert.deepEqual(metrics, { host: '127.0.0.1', port: 0, enabled: true })
    t.assert.equal(server, '')
  })

  test('survive a structured clone, because they travel between threads', (t) => {
    t.assert.deepEqual(structuredClone(settings({})), settings({}))
  })
})
