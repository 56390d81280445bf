/** Policies on streams through a real gateway with two threads: what reached the endpoint, and what is told. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, before, suite, test } from 'node:test'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'
import { eventually, talk, tcpServer } from '../harness/stream-engine.ts'

suite('policies on streams', () => {
  let gateway: RunningGateway
  let echo: Awaited<ReturnType<typeof tcpServer>>
  let other: Awaited<ReturnType<typeof tcpServer>>
  let lines: Awaited<ReturnType<typeof tcpServer>>
  const names = ['open', 'refused', 'limited', 'split', 'service', 'metrics', 'slow', 'mqtt'] as const
  const ports = {} as Record<(typeof names)[number], number>
  let logged = ''

  before(async () => {
    echo = await tcpServer((socket) => socket.pipe(socket))
    other = await tcpServer((socket) => {
      socket.write('other:')
      socket.pipe(socket)
    })
    lines = await tcpServer((socket) =>
      socket.on('data', (bytes) => {
        logged += bytes
      }),
    )
    for (const name of names) ports[name] = await freePort()
    gateway = await startGateway(
      (port) => `
gateway:
  workers: 2
  control: { port: 0 }
  metrics: { host: 127.0.0.1, port: ${ports.metrics} }
  listeners:
    - { host: 127.0.0.1, port: ${port} }
${names
  .filter((name) => name !== 'metrics')
  .map((name) => `    - { name: ${name}, protocol: tcp, host: 127.0.0.1, port: ${ports[name]} }\n`)
  .join('')}
upstreams:
  - { id: echo, nodes: { "127.0.0.1:${echo.port}": 1 } }
  - { id: other, nodes: { "127.0.0.1:${other.port}": 1 } }
services:
  - { id: refusing, type: stream, upstream_id: echo, plugins: { ip-restriction: { blacklist: [127.0.0.0/8] } } }
routes: [{ id: all, uri: /*, upstream_id: echo }]
stream_routes:
  - id: open
    name: the open one
    server_port: ${ports.open}
    upstream_id: echo
    plugins:
      prometheus: { prefer_name: true }
      syslog: { host: 127.0.0.1, port: ${lines.port}, batch_max_size: 1 }
  - id: refused
    server_port: ${ports.refused}
    upstream_id: echo
    plugins:
      ip-restriction: { whitelist: [10.0.0.0/8] }
      prometheus: {}
  - id: limited
    server_port: ${ports.limited}
    upstream_id: echo
    plugins:
      limit-conn: { conn: 1, burst: 0, default_conn_delay: 0.1, key: remote_addr }
  - id: slow
    server_port: ${ports.slow}
    upstream_id: echo
    plugins:
      limit-conn: { conn: 1, burst: 1, default_conn_delay: 0.05, key: remote_addr }
  - id: split
    server_port: ${ports.split}
    upstream_id: echo
    plugins:
      traffic-split:
        rules:
          - match: [{ vars: [[server_port, "==", "${ports.split}"]] }]
            weighted_upstreams: [{ upstream_id: other, weight: 1 }]
  - id: mqtt
    server_port: ${ports.mqtt}
    plugins:
      mqtt-proxy: { protocol_level: 4 }
    upstream:
      type: chash
      key: mqtt_client_id
      nodes: { "127.0.0.1:${echo.port}": 1, "127.0.0.1:${other.port}": 1 }
  - { id: service, server_port: ${ports.service}, service_id: refusing }
`,
    )
  })
  after(async () => {
    await gateway?.stop()
    for (const server of [echo, other, lines]) server?.close()
  })

  const metrics = async () => (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text()

  test('ip-restriction closes what may not pass, and nothing of it reaches the endpoint', async () => {
    assert.equal(await talk(ports.refused, 'x'), '')
    assert.equal(await talk(ports.service, 'x'), '', 'from its service')
    assert.equal(echo.sockets.length, 0)
    const text = await metrics()
    assert.match(
      text,
      new RegExp(`stream_status\\{code="403",listen_addr="127.0.0.1:${ports.refused}",node=""} 1`),
    )
    assert.match(text, /stream_connection_total\{route="refused"} 1/)
  })

  test('limit-conn counts sessions over both threads, until they end', async () => {
    const first = net.connect(ports.limited, '127.0.0.1')
    first.write('a')
    await once(first, 'data')
    for (let i = 0; i < 4; i++) assert.equal(await talk(ports.limited, 'x'), '')
    first.end()
    await once(first.resume(), 'close')
    let answer = ''
    const deadline = performance.now() + 5000
    while (answer === '' && performance.now() < deadline) answer = await talk(ports.limited, 'x')
    assert.equal(answer, 'x')
  })

  test('limit-conn lets the burst wait, and forgets who left meanwhile', async () => {
    const first = net.connect(ports.slow, '127.0.0.1')
    first.write('a')
    await once(first, 'data')
    assert.equal(await talk(ports.slow, 'late'), 'late')
    const leaver = net.connect(ports.slow, '127.0.0.1')
    await once(leaver, 'connect')
    leaver.resetAndDestroy()
    let answer = ''
    const deadline = performance.now() + 5000
    while (answer === '' && performance.now() < deadline) answer = await talk(ports.slow, 'x')
    assert.equal(answer, 'x')
    first.destroy()
  })

  test('mqtt-proxy reads who connects, and closes what does not speak as it should', async () => {
    const packet = (level: number, id: string) =>
      Buffer.concat([
        Buffer.of(0x10, 12 + id.length, 0, 4),
        Buffer.from('MQTT'),
        Buffer.of(level, 2, 0, 60, 0, id.length),
        Buffer.from(id),
      ])
    const places = new Set<string>()
    for (const id of Array.from({ length: 40 }, (_, n) => `client ${n}`)) {
      const [once, twice] = [await talk(ports.mqtt, packet(4, id)), await talk(ports.mqtt, packet(4, id))]
      assert.equal(once, twice, 'the same client goes to the same place')
      assert.ok(once.endsWith(packet(4, id).toString('latin1')))
      places.add(once.startsWith('other:') ? 'other' : 'echo')
    }
    assert.equal(places.size, 2, 'and not all to one')
    assert.equal(await talk(ports.mqtt, packet(5, 'foo')), '')
    assert.equal(await talk(ports.mqtt, packet(4, 'foo').subarray(0, -1)), '')
    assert.equal(await talk(ports.mqtt, 'GET / HTTP/1.1\r\n\r\n'), '')
    const slow = net.connect({ port: ports.mqtt, host: '127.0.0.1', noDelay: true })
    await once(slow, 'connect')
    for (const byte of packet(4, 'slow')) {
      slow.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await once(slow, 'data')
    slow.destroy()
  })

  test('traffic-split sends a session elsewhere', async () => {
    assert.equal(await talk(ports.split, 'x'), 'other:x')
  })

  test('prometheus and syslog tell of a session when it is over', async () => {
    assert.equal(await talk(ports.open, 'hello'), 'hello')
    const address = `listen_addr="127.0.0.1:${ports.open}"`
    let text = ''
    const deadline = performance.now() + 5000
    while (!text.includes('the open one') && performance.now() < deadline) text = await metrics()
    for (const line of [
      'stream_connection_total{route="the open one"} 1',
      `stream_active_connections{${address}} 0`,
      `stream_status{code="200",${address},node="127.0.0.1:${echo.port}"} 1`,
      `stream_bandwidth{${address},type="ingress",side="downstream"} 5`,
      `stream_bandwidth{${address},type="egress",side="downstream"} 5`,
      `stream_bandwidth{${address},type="egress",side="upstream"} 5`,
      `stream_bandwidth{${address},type="ingress",side="upstream"} 5`,
    ]) {
      assert.ok(text.includes(`apisix_${line}`), `${line}\n${text.match(/.*stream_.*/g)?.join('\n')}`)
    }
    await eventually(() => logged.includes('\n'))
    const entry = JSON.parse(logged.slice(logged.indexOf('{'))) as Record<string, unknown>
    assert.deepEqual(
      [entry.protocol, entry.client_ip, entry.route_id, entry.upstream, entry.status, entry.bytes_received],
      ['TCP', '127.0.0.1', 'open', `127.0.0.1:${echo.port}`, 200, 5],
    )
  })

  test('a flood of connections that say nothing leaves others alone', async () => {
    const flood = Array.from({ length: 500 }, () =>
      net.connect(ports.refused, '127.0.0.1').on('error', () => {}),
    )
    assert.equal(await talk(ports.open, 'through'), 'through')
    await Promise.all(flood.map((socket) => (socket.closed ? undefined : once(socket.resume(), 'close'))))
    assert.equal(await talk(ports.open, 'through'), 'through')
  })
})
