/** A gateway that follows a control plane: real processes, real TLS, and a client that counts. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, get, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RefusalCode } from '../../src/config-sync/protocol/index.ts'
import { keyIdOf, paths, publicKeyOf } from '../../src/config-sync/protocol/index.ts'
import { type Registration, writeRegistration } from '../../src/config-sync/registration.ts'
import { type BundleParts, ControlPlane, newSigningKey, serialOf } from '../harness/control-plane.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'
import { startKafkaBroker } from '../harness/kafka-broker.ts'

let control: ControlPlane
let upstream: Server
let folder: string
let registration: Registration
let gateway: RunningGateway | undefined
let metricsPort: number
let controlPort: number

beforeEach(async () => {
  control = await ControlPlane.start()
  upstream = createServer((request, response) => response.end(`upstream ${request.url}`))
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  folder = await mkdtemp(join(tmpdir(), 'sluice-sync-'))
  metricsPort = await freePort()
  controlPort = await freePort()
  registration = control.registration()
})

afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
  await control.stop()
  await new Promise((resolve) => upstream.close(resolve))
  await rm(folder, { recursive: true, force: true })
})

/** A route to the upstream, under a path. */
function routes(...paths: string[]) {
  const { port } = upstream.address() as AddressInfo
  const nodes = { [`127.0.0.1:${port}`]: 1 }
  return {
    resources: {
      routes: paths.map((uri) => ({ id: uri.slice(1), uri, upstream: { type: 'roundrobin', nodes } })),
    },
  }
}

/** As API7's install scripts set it, without a file. */
const environment = (): Record<string, string> => ({
  API7_CONTROL_PLANE_ENDPOINTS: `["${control.url}"]`,
  API7_GATEWAY_GROUP_SHORT_ID: registration.group.id,
  API7_CONTROL_PLANE_CERT: registration.certificate.replaceAll('\n', '\\n'),
  API7_CONTROL_PLANE_KEY: registration.key,
  API7_CONTROL_PLANE_CA: registration.ca,
  API7_CONTROL_PLANE_SNI: 'localhost',
  SLUICE_CONFIGURATION_ROOTS: JSON.stringify(registration.roots),
})

async function start(
  settings = 'start_timeout: 30s, heartbeat: 200ms',
  env: Record<string, string> = { SLUICE_REGISTRATION: join(folder, 'registration.yaml') },
  more = '',
): Promise<RunningGateway> {
  if ('SLUICE_REGISTRATION' in env) await writeRegistration(folder, registration, false).catch(() => {})
  gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  data_dir: ${folder}
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  metrics: { port: ${metricsPort} }
  control: { port: ${controlPort} }
  sync: { ${settings} }
${more}
`,
    env,
  )
  return gateway
}

const fails = async (message: RegExp) => {
  await assert.rejects(start('start_timeout: 200ms'), (error: Error) => {
    assert.match(error.message, message)
    return true
  })
}

function fetchText(port: number, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode!, text }))
      response.on('error', reject)
    }).on('error', reject)
  })
}

const statusOf = async (path: string) => (await fetchText(gateway!.port, path)).status
const sync = async () => JSON.parse((await fetchText(controlPort, '/v1/status')).text).sync

async function eventually<T>(look: () => Promise<T>, fits: (value: T) => boolean): Promise<T> {
  for (let round = 0; ; round++) {
    const value = await look()
    if (fits(value)) return value
    assert.ok(round < 200, `it never became true: ${JSON.stringify(value)}`)
    await sleep(50)
  }
}

/** Asks for a path over and over until it is stopped. @returns how many answers there were, and those that were not 200 */
function traffic(path: string) {
  let running = true
  const bad: string[] = []
  let good = 0
  const done = (async () => {
    while (running) {
      try {
        const { status } = await fetchText(gateway!.port, path)
        if (status === 200) good++
        else bad.push(String(status))
      } catch (error) {
        bad.push(String(error))
      }
    }
  })()
  return async () => {
    running = false
    await done
    return { good, bad }
  }
}

suite('a gateway with a control plane', () => {
  test('runs what is published, follows changes as patches, and reports', async () => {
    control.publish(routes('/a'))
    await start()
    assert.equal(await statusOf('/a'), 200)
    assert.equal(await statusOf('/b'), 404)
    const stop = traffic('/a')
    control.publish(routes('/a', '/b'))
    await control.acknowledged(2)
    assert.equal(await statusOf('/b'), 200)
    assert.equal(control.polls.at(-1)!.get('whole'), null)
    const { good, bad } = await stop()
    assert.deepEqual(bad, [])
    assert.ok(good > 0)
    await control.until(() => control.heartbeats.at(-1)?.control_plane_revision === 2)
    const heartbeat = control.heartbeats.at(-1)!
    assert.deepEqual(heartbeat.ports, [gateway!.port])
    assert.equal(heartbeat.cores, 2)
    assert.equal(heartbeat.ip, '127.0.0.1')
    assert.equal(heartbeat.sluice?.configuration.state, 'applied')
    assert.equal(heartbeat.sluice?.certificate.serial, serialOf(registration))
    await control.until(
      () => control.heartbeats.reduce((sum, { api_calls: calls }) => sum + calls, 0) >= good,
    )
    const { text } = await fetchText(metricsPort, '/readyz?verbose')
    assert.match(text, /\[\+\] control plane: reached/)
    assert.match(text, /\[\+\] configuration in sync: version 2/)
    assert.match((await fetchText(metricsPort, '/metrics')).text, /^sluice_sync_configuration_version 2$/m)
  })

  test('repeats an acknowledgement that was lost, until it is taken', async () => {
    control.lostAcknowledgements = 2
    control.publish(routes('/a'))
    await start()
    await control.acknowledged(1)
    assert.equal(control.lostAcknowledgements, 0)
    const beats = control.heartbeats.length
    await control.until(() => control.heartbeats.length > beats + 2)
    assert.equal(control.acknowledgements.length, 1)
  })

  test('starts from what it kept when the control plane is gone, and says so', async () => {
    control.publish(routes('/a'))
    await start()
    await control.acknowledged(1)
    process.kill(gateway!.pid, 'SIGKILL')
    await gateway!.stop()
    await control.stop()
    await start()
    assert.equal(await statusOf('/a'), 200)
    // The other data thread may still be on its way.
    const { text } = await eventually(
      () => fetchText(metricsPort, '/readyz?verbose'),
      ({ status }) => status === 200,
    )
    assert.match(text, /\[-\] control plane: it was not reached since the start/)
    assert.match(text, /\[-\] configuration in sync: version 1 from the disk/)
    control = await ControlPlane.start()
  })

  test('does not listen without a control plane and without anything kept, and says what to do', async () => {
    registration = control.registration({ sync: ['https://127.0.0.1:1'] })
    await fails(
      /there is no configuration to start with: https:\/\/127\.0\.0\.1:1: nothing listens there[\s\S]*Check that it runs/,
    )
  })

  test('needs no file where the environment names the control plane, as API7 does', async () => {
    control.publish(routes('/a'))
    await start(undefined, environment())
    assert.equal(await statusOf('/a'), 200)
    await gateway!.stop()
    const { SLUICE_CONFIGURATION_ROOTS: _, ...others } = environment()
    await assert.rejects(start(undefined, others), /it has to give SLUICE_CONFIGURATION_ROOTS too/)
  })

  test('reaches its control plane through an HTTP proxy', async () => {
    const targets: string[] = []
    const proxy = createServer()
    proxy.on('connect', (request, client, head) => {
      targets.push(request.url!)
      const [host, port] = request.url!.split(':')
      const through = connect(Number(port), host)
      through.on('connect', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n')
        through.write(head)
        through.pipe(client).pipe(through)
      })
      through.on('error', () => client.destroy())
      client.on('error', () => through.destroy())
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    try {
      control.publish(routes('/a'))
      const { port } = proxy.address() as AddressInfo
      await start(`start_timeout: 3s, heartbeat: 200ms, proxy: "http://127.0.0.1:${port}"`)
      await control.acknowledged(1)
      assert.equal(await statusOf('/a'), 200)
      assert.equal(targets[0], control.url.slice('https://'.length))
    } finally {
      await gateway?.stop()
      await new Promise((resolve) => proxy.close(resolve))
    }
  })

  test('killed at any point runs one complete version: the last acknowledged, or a newer one', async () => {
    const rounds = Number(process.env.SLUICE_KILLS ?? 3)
    control.publish(routes('/v1'))
    await start()
    await control.acknowledged(1)
    let state = 7
    const random = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return state % below
    }
    for (let round = 0; round < rounds; round++) {
      const before = control.version
      // While it is sent, checked, put to work, written, or acknowledged.
      for (let burst = 0; burst < 3; burst++) {
        control.publish(routes(`/v${control.version + 1}`))
        await sleep(random(30))
      }
      process.kill(gateway!.pid, 'SIGKILL')
      const acknowledged = Math.max(
        ...control.acknowledgements
          .filter(({ outcome }) => outcome === 'applied')
          .map(({ version }) => version),
      )
      await gateway!.stop()
      const silent = () => undefined
      control.answer = silent
      await start()
      const { configuration } = await sync()
      assert.ok(configuration.version >= acknowledged, `${configuration.version} after ${acknowledged}`)
      assert.ok(configuration.version >= before && configuration.version <= control.version)
      assert.equal(await statusOf(`/v${configuration.version}`), 200)
      for (let other = 1; other <= control.version; other++) {
        if (other !== configuration.version) assert.equal(await statusOf(`/v${other}`), 404)
      }
      control.answer = undefined
      await gateway!.stop()
      await start()
      // An acknowledgement that was lost is not repeated; the next heartbeat says the same.
      await control.until(() => control.heartbeats.at(-1)?.control_plane_revision === control.version)
    }
  })

  test('tries its other URLs', async () => {
    registration = control.registration({ sync: ['https://127.0.0.1:1', control.url] })
    control.publish(routes('/a'))
    await start()
    assert.equal(await statusOf('/a'), 200)
  })

  test('closes and opens its listeners as the control plane wants it, while sync goes on', async () => {
    control.publish(routes('/a'))
    await start()
    control.publish({ ...routes('/a'), desired_status: 'STOPPED' })
    await control.acknowledged(2)
    await assert.rejects(statusOf('/a'), /ECONNREFUSED/)
    await control.until(() => control.heartbeats.at(-1)?.sluice?.status === 'STOPPED')
    control.publish({ ...routes('/a', '/b'), desired_status: 'STARTED' })
    await control.acknowledged(3)
    assert.equal(await statusOf('/b'), 200)
  })

  test('that is STOPPED does not listen when it starts either, and does once it is STARTED', async () => {
    control.publish({ ...routes('/a'), desired_status: 'STOPPED' })
    const starting = start()
    await control.until(() => control.heartbeats.at(-1)?.sluice?.status === 'STOPPED')
    assert.match(
      (await fetchText(metricsPort, '/readyz')).text,
      /not ready: listening \(0 of 2 data threads\)/,
    )
    control.publish(routes('/a'))
    await starting
    assert.equal(await statusOf('/a'), 200)
  })

  test('sends its metrics, the health of upstreams and, where it is asked to, the lines of its log', async () => {
    const { port } = upstream.address() as AddressInfo
    const nodes = [{ host: '127.0.0.1', port, weight: 1 }]
    const active = { http_path: '/', healthy: { interval: 1 } }
    const watched = { id: 'watched', type: 'roundrobin', nodes, checks: { active } }
    const resources = { upstreams: [watched], routes: [{ id: 'a', uri: '/a', upstream_id: 'watched' }] }
    control.publish({ resources })
    await start('heartbeat: 200ms, telemetry: 100ms')
    const sent = (path: string) => control.uploads.filter((upload) => upload.path === path)
    await control.until(() => sent(paths.metrics).length > 1 && sent(paths.healthcheck).length > 0)
    assert.match(sent(paths.metrics)[0]!.body.metrics, /^sluice_sync_connected 1$/m)
    assert.deepEqual(sent(paths.healthcheck)[0]!.body.data, [
      { upstream_id: 'watched', nodes: [{ host: '127.0.0.1', port, status: 'healthy' }] },
    ])
    assert.deepEqual(sent(paths.logs), [])
    const logging = { anypoint: { forwardLogs: true }, runtimeLogs: { logLevel: 'info' } }
    control.publish({ resources, runtime_configuration: { logging } })
    await control.acknowledged(2)
    control.publish({ resources, runtime_configuration: { logging }, desired_status: 'STOPPED' })
    await control.until(() => sent(paths.logs).length > 0)
    const { lines, instance_id: instance } = sent(paths.logs)[0]!.body
    assert.ok(
      lines.some((line: string) => JSON.parse(line).message.startsWith('STOPPED')),
      lines.join('\n'),
    )
    assert.equal(instance, control.heartbeats[0]!.instance_id)
  })

  test('follows the runtime configuration', async () => {
    const probe = { enabled: true, path: '/health', port: await freePort() }
    control.publish(routes('/a'))
    await start()
    control.publish({
      ...routes('/a'),
      runtime_configuration: {
        logging: { runtimeLogs: { logLevel: 'debug' } },
        timeouts: { streamIdleSeconds: 7, upstreamResponseSeconds: 11, upstreamConnectionIdleSeconds: 13 },
        routing: { rewriteHostHeader: true },
        tracing: { enabled: true, provider: { type: 'anypoint' } },
        connectionBufferLimits: { global: 65_536 },
        probe,
      },
    })
    await control.acknowledged(2)
    assert.equal(
      (
        await eventually(
          () => fetchText(probe.port, '/health'),
          () => true,
        )
      ).status,
      200,
    )
    const route = JSON.parse((await fetchText(controlPort, '/v1/route/a')).text)
    const { timeout, keepalive_pool: pool, pass_host: passHost } = (route.value ?? route).upstream
    assert.deepEqual([timeout.read, pool.idle_timeout, passHost], [11, 13, 'node'])
    assert.deepEqual((await sync()).without_effect, ['tracing.provider.type'])
    control.publish({ ...routes('/a'), runtime_configuration: { timeouts: { streamIdleSeconds: -1 } } })
    const { refusal } = await control.refusal('invalid-configuration')
    assert.equal(refusal!.findings[0]!.path, 'runtime_configuration.timeouts.streamIdleSeconds')
    control.publish(routes('/a'))
    await control.acknowledged(4)
    await assert.rejects(fetchText(probe.port, '/health'), /ECONNREFUSED/)
  })

  test('sends its log where the runtime configuration says, and only as long as it says so', async () => {
    const file = join(folder, 'out.log')
    const received: { message: string }[] = []
    let key: string | undefined
    const collector = createServer(async (request, response) => {
      key = request.headers['x-key'] as string
      let body = ''
      for await (const chunk of request) body += chunk
      received.push(...(JSON.parse(body) as { message: string }[]))
      response.end()
    })
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = collector.address() as AddressInfo
      const outputs = {
        disk: { type: 'file', parameters: { Path: folder, File: 'out.log' } },
        server: { type: 'http', parameters: { Port: String(port), Header: 'X-Key secret-of-the-output' } },
      }
      control.publish(routes('/a'))
      await start()
      const logging = { runtimeLogs: { logLevel: 'info' }, outputs }
      control.publish({ ...routes('/a'), runtime_configuration: { logging }, desired_status: 'STOPPED' })
      await control.acknowledged(2)
      control.publish({ ...routes('/a'), runtime_configuration: { logging } })
      await control.acknowledged(3)
      const again = (message: string) => message === 'traffic is taken again'
      await control.until(() => received.some(({ message }) => again(message)))
      assert.equal(key, 'secret-of-the-output')
      const lines = async () =>
        (await readFile(file, 'utf8'))
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line).message)
      assert.ok((await lines()).some(again))
      control.publish({ ...routes('/a'), desired_status: 'STOPPED' })
      await control.acknowledged(4)
      const before = (await lines()).length
      control.publish(routes('/a'))
      await control.acknowledged(5)
      assert.equal((await lines()).length, before)
      assert.doesNotMatch(gateway!.output(), /secret-of-the-output/)
    } finally {
      await new Promise((resolve) => collector.close(resolve))
    }
  })

  test('sends its log to a topic of Kafka, line by line, to a broker that wants to know who it is', async () => {
    const broker = await startKafkaBroker({ topic: 'gateway', user: 'edge', password: 'of-the-output' })
    try {
      const parameters = {
        Brokers: `127.0.0.1:${broker.port}`,
        Topics: 'gateway',
        message_key_field: 'level',
        timestamp_key: 'at',
        'rdkafka.security.protocol': 'sasl_plaintext',
        'rdkafka.sasl.mechanism': 'SCRAM-SHA-256',
        'rdkafka.sasl.username': 'edge',
        'rdkafka.sasl.password': 'of-the-output',
      }
      const outputs = { topic: { type: 'kafka', parameters } }
      const logging = { runtimeLogs: { logLevel: 'info' }, outputs }
      control.publish(routes('/a'))
      await start()
      control.publish({ ...routes('/a'), runtime_configuration: { logging }, desired_status: 'STOPPED' })
      await control.acknowledged(2)
      control.publish({ ...routes('/a'), runtime_configuration: { logging } })
      await control.acknowledged(3)
      const found = () => broker.messages.find(({ value }) => value.includes('traffic is taken again'))
      await broker.until(() => found() !== undefined)
      const { key, value, acks } = found()!
      const { at, time, level } = JSON.parse(value)
      assert.deepEqual([key, acks, at], [level, -1, Date.parse(time) / 1000])
      assert.deepEqual((await sync()).without_effect, [])
      assert.doesNotMatch(gateway!.output(), /of-the-output/)
    } finally {
      broker.close()
    }
  })

  test('takes no request where the runtime configuration admits none', async () => {
    const admitting = (thresholds: Record<string, number>) => ({
      ...routes('/a'),
      runtime_configuration: { circuitBreaker: { thresholds } },
    })
    control.publish(admitting({ maxConnectionPools: 0 }))
    await start()
    assert.equal(await statusOf('/a'), 503)
    const becomes = (wanted: number) =>
      eventually(
        () => statusOf('/a'),
        (status) => status === wanted,
      )
    control.publish(routes('/a'))
    await control.acknowledged(2)
    await becomes(200)
    control.publish(admitting({ maxRequests: 0 }))
    await control.acknowledged(3)
    await becomes(503)
    assert.deepEqual((await sync()).without_effect, [])
  })

  test('traces requests as the runtime configuration says, into the collector of its own files', async () => {
    const spans: string[] = []
    const collector = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      spans.push(body)
      response.end('{}')
    })
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = collector.address() as AddressInfo
      const endpoint = `http://127.0.0.1:${port}`
      const exporter = { endpoint, protocol: 'http/json' }
      const tracing = { exporter, sampling: { overall: 0 }, batch: { delay: '50ms' } }
      control.publish(routes('/a'))
      await start(undefined, undefined, `  tracing: ${JSON.stringify(tracing)}`)
      assert.equal(await statusOf('/a'), 200)
      const labels = [{ name: 'site', type: 'requestHeader', keyName: 'host', defaultValue: 'none' }]
      const wanted = {
        enabled: true,
        provider: { type: 'opentelemetry' },
        sampling: { overall: 100 },
        labels,
      }
      control.publish({ ...routes('/a'), runtime_configuration: { tracing: wanted } })
      await control.acknowledged(2)
      assert.equal(await statusOf('/a'), 200)
      await control.until(() => spans.length > 0)
      assert.match(spans[0]!, /"site"/)
      control.publish({ ...routes('/a'), runtime_configuration: { tracing: { enabled: false } } })
      await control.acknowledged(3)
      assert.deepEqual((await sync()).without_effect, [])
    } finally {
      await new Promise((resolve) => collector.close(resolve))
    }
  })

  test('expects the PROXY protocol once the runtime configuration switches it on, and not after', async () => {
    control.publish(routes('/a'))
    await start()
    const { port } = gateway!
    assert.equal(await statusOf('/a'), 200)
    control.publish({ ...routes('/a'), runtime_configuration: { proxyProtocol: { enabled: true } } })
    await control.acknowledged(2)
    const exchanged = (text: string) =>
      new Promise<string>((resolve) => {
        let answer = ''
        const socket = connect(port, '127.0.0.1', () => socket.write(text))
        socket.on('data', (chunk) => {
          answer += chunk
        })
        socket.on('error', () => {})
        socket.on('close', () => resolve(answer))
      })
    const request = 'GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    assert.match(await exchanged(`PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n${request}`), /^HTTP\/1\.1 200 /)
    assert.equal(await exchanged(request), '')
    control.publish(routes('/a'))
    await control.acknowledged(3)
    assert.equal(await statusOf('/a'), 200)
  })

  test('tells findings of a configuration that it does not take', async () => {
    control.publish(routes('/a'))
    await start()
    control.publish({ resources: { routes: [{ id: 'b', uris: '/b' }] } })
    const { refusal, version } = await control.refusal('invalid-configuration')
    assert.equal(version, 2)
    assert.ok(
      refusal!.findings.some(({ path }) => path.startsWith('routes[0]')),
      JSON.stringify(refusal),
    )
    assert.equal((await sync()).configuration.version, 1)
    control.publish({ resources: { gateway: { workers: 9 } } as never })
    await control.until(() =>
      control.acknowledgements.some((one) => one.version === 3 && one.outcome === 'refused'),
    )
    control.publish(routes('/b'))
    await control.acknowledged(4)
    assert.equal(await statusOf('/b'), 200)
  })
})

suite('what is refused leaves traffic alone', () => {
  const manifest = (parts: BundleParts, changes: Partial<BundleParts['manifest']>) => ({
    ...parts,
    manifest: { ...parts.manifest, ...changes },
  })
  const thief = newSigningKey()
  const cases: [what: string, code: RefusalCode, sabotage: () => void][] = [
    [
      'a tampered payload',
      'hash-mismatch',
      () => {
        control.tamper = (bundle) => {
          const changed = Buffer.from(bundle)
          changed[changed.length - 3] = changed[changed.length - 3]! ^ 1
          return changed
        }
      },
    ],
    [
      'a tampered signature',
      'bad-signature',
      () => {
        control.tamper = (bundle) => {
          const lines = bundle.toString('latin1').split('\n')
          const at = lines[1]!.length - 20
          lines[1] = lines[1]!.slice(0, at) + (lines[1]![at] === 'A' ? 'B' : 'A') + lines[1]!.slice(at + 1)
          return Buffer.from(lines.join('\n'), 'latin1')
        }
      },
    ],
    [
      "another group's bundle",
      'other-group',
      () => {
        control.alter = (parts) => manifest(parts, { group: 'core' })
      },
    ],
    [
      'a replayed old version',
      'rolled-back',
      () => {
        control.alter = (parts) => manifest(parts, { version: 1 })
      },
    ],
    [
      'the same version with another content',
      'equivocation',
      () => {
        control.alter = (parts) => manifest(parts, { version: 2 })
      },
    ],
    [
      'an expired bundle',
      'expired',
      () => {
        control.alter = (parts) => manifest(parts, { expires: parts.manifest.issued - 1 })
      },
    ],
    [
      'an unknown signing key',
      'unknown-key',
      () => {
        control.alter = (parts) => ({ ...parts, signer: thief })
      },
    ],
    [
      'a document of keys by a root that is not pinned',
      'unknown-root',
      () => {
        control.alter = (parts) => ({ ...parts, root: thief })
      },
    ],
    [
      'a revoked signing key',
      'key-revoked',
      () => {
        control.revokedKeys = [keyIdOf(publicKeyOf(control.signer))]
        control.delegationVersion = 2
      },
    ],
    [
      'a truncated stream',
      'malformed',
      () => {
        control.tamper = (bundle) => bundle.subarray(0, 300)
      },
    ],
    [
      'a bundle of 100 MB',
      'too-large',
      () => {
        control.answer = (_, response) => {
          response.writeHead(200, { 'Content-Length': 100_000_000 })
          response.write('x')
        }
      },
    ],
    [
      'a bundle of 100 MB that does not say so',
      'too-large',
      () => {
        control.answer = (_, response) => {
          const chunk = Buffer.alloc(1_000_000, 'x')
          const more = () => {
            while (!response.destroyed && response.write(chunk));
          }
          response.on('drain', more)
          more()
        }
      },
    ],
  ]
  for (const [what, code, sabotage] of cases) {
    test(`${what}: ${code}`, async () => {
      control.publish(routes('/a'))
      await start('heartbeat: 200ms, max_size: 20MiB')
      control.publish(routes('/a', '/b'))
      await control.acknowledged(2)
      const stop = traffic('/b')
      sabotage()
      control.publish(routes('/a'))
      await control.refusal(code)
      assert.equal(await statusOf('/b'), 200)
      const { configuration } = await sync()
      assert.equal(configuration.version, 2)
      assert.equal(configuration.refusal.code, code)
      await control.until(() => control.heartbeats.at(-1)?.sluice?.configuration.refusal?.code === code)
      const { text } = await fetchText(metricsPort, '/metrics')
      assert.match(text, new RegExp(`^sluice_sync_refused_total\\{code="${code}"\\} [1-9]`, 'm'))
      assert.match(gateway!.output(), /CONFIGURATION OF THE CONTROL PLANE REFUSED/)
      const { good, bad } = await stop()
      assert.deepEqual(bad, [])
      assert.ok(good > 0)
    })
  }

  test('a stream that breaks off', async () => {
    control.publish(routes('/a'))
    await start()
    const stop = traffic('/a')
    control.answer = (_, response) => {
      response.writeHead(200, { 'Content-Length': 1000 })
      response.write('x')
      setImmediate(() => response.destroy())
    }
    control.publish(routes('/b'))
    await eventually(sync, ({ connected }) => connected === false)
    control.answer = undefined
    await control.acknowledged(2)
    assert.equal(await statusOf('/b'), 200)
    const { bad } = await stop()
    assert.deepEqual(
      bad.filter((answer) => answer !== '404'),
      [],
    )
  })

  test('a control plane that drips', async () => {
    control.publish(routes('/a'))
    await start()
    const stop = traffic('/a')
    const drips: NodeJS.Timeout[] = []
    control.answer = (_, response) => {
      response.writeHead(200, { 'Content-Length': 1_000_000 })
      drips.push(setInterval(() => response.write('x'), 20))
    }
    control.publish(routes('/b'))
    await control.until(() => control.heartbeats.length > 5 && drips.length > 0)
    assert.equal(await statusOf('/a'), 200)
    // Heartbeats go on beside it.
    const beats = control.heartbeats.length
    await control.until(() => control.heartbeats.length > beats + 2)
    for (const drip of drips) clearInterval(drip)
    assert.deepEqual((await stop()).bad, [])
  })

  test('a patch that does not fit is asked for as a whole', async () => {
    control.publish(routes('/a'))
    await start()
    control.alter = (parts) => {
      const { content } = parts.manifest
      if (content.form !== 'patch') return parts
      return manifest(parts, { content: { ...content, base: { ...content.base, sha256: '0'.repeat(64) } } })
    }
    control.publish(routes('/a', '/b'))
    await control.acknowledged(2)
    assert.ok(control.polls.some((poll) => poll.get('whole') === '1'))
    assert.equal(await statusOf('/b'), 200)
  })
})

suite('keys and certificates', () => {
  test('a new signing key is taken while both are delegated, and after the old one has retired', async () => {
    control.publish(routes('/a'))
    await start()
    const next = newSigningKey()
    control.otherSigners = [control.signer]
    control.signer = next
    control.delegationVersion = 2
    control.publish(routes('/b'))
    await control.acknowledged(2)
    control.otherSigners = []
    control.delegationVersion = 3
    control.publish(routes('/c'))
    await control.acknowledged(3)
    control.delegationVersion = 2
    control.publish(routes('/d'))
    await control.refusal('keys-rolled-back')
    assert.equal(await statusOf('/c'), 200)
  })

  test('a control plane of another authority is not spoken to', async () => {
    const other = await ControlPlane.start()
    try {
      registration = control.registration({ sync: [other.url] })
      other.publish(routes('/a'))
      await fails(/does not come from an authority that is trusted here/)
      assert.equal(other.polls.length, 0)
    } finally {
      await other.stop()
    }
  })

  test('with an expired certificate a new gateway does not start, and one that has kept something does', async () => {
    control.publish(routes('/a'))
    registration = control.registration({ days: -1, from: -40 })
    await fails(
      /CERT_HAS_EXPIRED[\s\S]*sluice registration renew --client-id=ID --client-secret=SECRET --output-directory=new .*registration\.yaml/,
    )
    await rm(join(folder, 'registration.yaml'))
    const good = control.registration()
    registration = good
    await start()
    await control.acknowledged(1)
    await gateway!.stop()
    await rm(join(folder, 'registration.yaml'))
    const { certificate, key } = control.registration({ days: -1, from: -40 })
    registration = { ...good, certificate, key }
    await start()
    assert.equal(await statusOf('/a'), 200)
    await eventually(sync, ({ failure }) => /CERT_HAS_EXPIRED/.test(failure ?? ''))
    assert.match(gateway!.output(), /THE CERTIFICATE OF THE REGISTRATION HAS EXPIRED/)
    assert.match(
      (await fetchText(metricsPort, '/readyz?verbose')).text,
      /\[-\] registration certificate: expired at/,
    )
  })

  test('a revoked certificate is told of, and traffic goes on', async () => {
    control.publish(routes('/a'))
    await start()
    control.revoked.add(serialOf(registration))
    control.wake()
    const { failure } = await eventually(sync, ({ connected }) => connected === false)
    assert.match(failure, /the client certificate is revoked \(403\)/)
    assert.equal(await statusOf('/a'), 200)
  })

  test('a certificate is renewed at two thirds of its life, with a new key, and the file with it', async () => {
    registration = control.registration({ days: 20, from: -70 })
    control.publish(routes('/a'))
    await start()
    await control.until(() => control.renewals > 0)
    const path = join(folder, 'registration.yaml')
    const text = await eventually(
      () => readFile(path, 'utf8'),
      (now) => !now.includes(registration.key.split('\n')[1]!),
    )
    assert.equal(text.includes('PRIVATE KEY'), true)
    control.publish(routes('/b'))
    await control.acknowledged(2)
    await control.until(
      () => control.heartbeats.at(-1)?.sluice?.certificate.serial !== serialOf(registration),
    )
  })

  test('a certificate that cannot be written to its file is kept beside the configuration', async () => {
    registration = control.registration({ days: 20, from: -70 })
    control.publish(routes('/a'))
    const { API7_CONTROL_PLANE_ENDPOINTS: _, ...others } = environment()
    await start(undefined, { ...others, API7_DP_MANAGER_ENDPOINTS: `["${control.url}"]` })
    await control.until(() => control.renewals > 0)
    const path = join(folder, 'sync', registration.id, 'registration.yaml')
    await eventually(
      () => readFile(path, 'utf8').catch(() => ''),
      (text) => text.includes('PRIVATE KEY'),
    )
    await gateway!.stop()
    const renewals = control.renewals
    await start(undefined, environment())
    await control.until(
      () => control.heartbeats.at(-1)?.sluice?.certificate.serial !== serialOf(registration),
    )
    assert.equal(control.renewals, renewals)
  })

  test('clocks that are an hour apart are told of, and change nothing', async () => {
    for (const ahead of [3600, -3600]) {
      const skewed = await ControlPlane.start({ ahead })
      try {
        registration = skewed.registration()
        skewed.publish(routes('/a'))
        await rm(folder, { recursive: true, force: true })
        folder = await mkdtemp(join(tmpdir(), 'sluice-sync-'))
        await start()
        await skewed.acknowledged(1)
        skewed.publish(routes('/b'))
        await skewed.acknowledged(2)
        assert.ok(Math.abs((await sync()).clock_skew + ahead) < 60)
        assert.match(gateway!.output(), /clock.*far apart/)
      } finally {
        await gateway?.stop()
        await skewed.stop()
      }
    }
  })
})

suite('what was kept is refused when it', () => {
  const file = (name: string) => join(folder, 'sync', registration.id, name)

  async function runOnce(...paths: string[]) {
    control.publish(routes(...paths))
    await start()
    await control.acknowledged(control.version)
    await gateway!.stop()
  }

  const cases: [what: string, spoil: () => Promise<void>][] = [
    [
      'was edited',
      async () => spoil((bytes) => Buffer.from(bytes.toString('latin1').replace('/a', '/x'), 'latin1')),
    ],
    ['was truncated', async () => spoil((bytes) => bytes.subarray(0, bytes.length - 10))],
    ['is empty', async () => spoil(() => Buffer.alloc(0))],
  ]
  const spoil = async (change: (bytes: Buffer) => Buffer) => {
    const path = file('configuration')
    await writeFile(path, change(await readFile(path)))
  }
  for (const [what, change] of cases) {
    test(what, async () => {
      await runOnce('/a')
      await change()
      await control.stop()
      await fails(/THE KEPT CONFIGURATION IS REFUSED[\s\S]*there is no configuration to start with/)
      control = await ControlPlane.start()
    })
  }

  test('is an older copy', async () => {
    await runOnce('/a')
    const older = await readFile(file('configuration'))
    control.publish(routes('/b'))
    await start()
    await control.acknowledged(2)
    await gateway!.stop()
    await writeFile(file('configuration'), older)
    await control.stop()
    await fails(/"code":"rolled-back"/)
    control = await ControlPlane.start()
  })

  test('stands without what says that it is the newest', async () => {
    await runOnce('/a')
    await rm(file('seen'))
    await fails(/`seen`, which says what was in force last, is missing[\s\S]*delete/)
  })

  test('is signed by a key that was revoked since', async () => {
    await runOnce('/a')
    await start()
    control.revokedKeys = [keyIdOf(publicKeyOf(control.signer))]
    control.delegationVersion = 2
    control.publish(routes('/b'))
    await control.refusal('key-revoked')
    await gateway!.stop()
    await control.stop()
    await fails(/"code":"key-revoked"/)
    control = await ControlPlane.start()
  })

  test('and the control plane is there to give another', async () => {
    await runOnce('/a')
    await writeFile(file('configuration'), 'nonsense')
    control.publish(routes('/b'))
    await start()
    assert.equal(await statusOf('/b'), 200)
  })
})
