/** TLS towards upstreams: real servers with certificates of a real authority, asked through a real gateway. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type tls from 'node:tls'
import { request } from 'undici'
import { Authority, pemBlock } from '../harness/certificates.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'

const authority = new Authority()
const strangers = new Authority('Strangers')
const server = authority.issue({ names: ['api.test', 'node.test', '127.0.0.1'] })
const client = authority.issue({ names: ['gateway'] })
after(() => {
  authority.remove()
  strangers.remove()
})

interface Seen {
  host: string | undefined
  sni: string | false | null
  client: string | undefined
  reused: boolean
  /** Which of the connections it came over. */
  connection: number
}

/** A server that writes down what it sees. */
async function startServer(t: TestContext, options: https.ServerOptions = {}) {
  const seen: Seen[] = []
  const connections = new Map<tls.TLSSocket, number>()
  const origin = https.createServer(
    { cert: server.cert, key: server.key, ...options },
    (incoming, response) => {
      const socket = incoming.socket as tls.TLSSocket
      if (!connections.has(socket)) connections.set(socket, connections.size + 1)
      seen.push({
        host: incoming.headers.host,
        // The type of Node says less than it does.
        sni: (socket as unknown as { servername: string | false | null }).servername,
        client: socket.getPeerX509Certificate()?.subject.match(/CN=(.*)/)?.[1],
        reused: socket.isSessionReused(),
        connection: connections.get(socket)!,
      })
      if (incoming.url === '/close') response.setHeader('Connection', 'close')
      incoming.pipe(response)
    },
  )
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  t.after(() => {
    origin.closeAllConnections()
    origin.close()
  })
  return { port: (origin.address() as AddressInfo).port, seen }
}

const settings = (port: number, more = '') => `
gateway:
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  workers: 1
  control: { enabled: false }
  metrics: { enabled: false }
  admin: { enabled: false }
  upstream_tls: { ca: [${authority.certFile}] }
${more}`

async function start(
  t: TestContext,
  upstream: string,
  configure: (port: number, more: string) => string = settings,
) {
  const gateway = await startGateway((port) =>
    configure(
      port,
      `upstreams: [{ id: u, scheme: https, ${upstream} }]\nroutes: [{ id: r, uri: /*, upstream_id: u }]`,
    ),
  )
  t.after(() => gateway.stop())
  const ask = async (host = 'api.test', path = '/', body?: string) => {
    const options = { headers: { host }, ...(body !== undefined && { body, method: 'POST' as const }) }
    const answer = await request(`http://127.0.0.1:${gateway.port}${path}`, options)
    return { status: answer.statusCode, body: await answer.body.text() }
  }
  return { gateway, ask }
}

/** Waits for a line of the log, which comes from another thread. */
async function logged(gateway: RunningGateway, line: RegExp): Promise<void> {
  while (!line.test(gateway.output())) await sleep(10)
}

suite('an upstream with scheme https', () => {
  test('is asked by the name in Host, and each name has connections of its own', async (t) => {
    const { port, seen } = await startServer(t)
    const { ask } = await start(t, `nodes: { "127.0.0.1:${port}": 1 }`)
    for (const host of ['api.test', 'node.test:8443', 'api.test']) assert.equal((await ask(host)).status, 200)
    assert.deepEqual(
      seen.map(({ sni, host, connection }) => [sni, host, connection]),
      [
        ['api.test', 'api.test', 1],
        ['node.test', 'node.test:8443', 2],
        ['api.test', 'api.test', 1],
      ],
    )
  })

  test('is asked by upstream_host, or by the node', async (t) => {
    const { port, seen } = await startServer(t)
    const rewritten = await start(
      t,
      `pass_host: rewrite, upstream_host: node.test, nodes: { "127.0.0.1:${port}": 1 }`,
    )
    assert.equal((await rewritten.ask()).status, 200)
    const node = await start(t, `pass_host: node, nodes: { "127.0.0.1:${port}": 1 }`)
    assert.equal((await node.ask()).status, 200)
    assert.deepEqual(
      seen.map(({ sni, host }) => [sni, host]),
      [
        ['node.test', 'node.test'],
        // RFC 6066 section 3: addresses are not sent as names.
        [false, `127.0.0.1:${port}`],
      ],
    )
  })

  test('carries bodies of any size both ways', async (t) => {
    const { port } = await startServer(t)
    const { ask } = await start(t, `nodes: { "127.0.0.1:${port}": 1 }`)
    for (const size of [1, 16_384, 70_000, 3_000_000]) {
      const body = 'x'.repeat(size)
      const answer = await ask('api.test', '/', body)
      assert.equal(answer.status, 200)
      assert.equal(answer.body.length, size)
    }
  })

  test('continues a session in a further connection', async (t) => {
    const { port, seen } = await startServer(t)
    const { ask } = await start(t, `nodes: { "127.0.0.1:${port}": 1 }`)
    for (let i = 0; i < 3; i++) assert.equal((await ask('api.test', '/close')).status, 200)
    assert.deepEqual(
      seen.map(({ reused }) => reused),
      [false, true, true],
    )
  })
})

suite('certificates as API7 has them, in files', () => {
  const indented = (pem: string) => pem.trim().replaceAll('\n', '\n      ')
  const resources = `
certificates:
  - id: ours
    name: ours
    cert: |
      ${indented(client.cert)}
    key: |
      ${indented(client.key)}
ca_certificates:
  - id: authority
    name: authority
    cert: |
      ${indented(authority.cert)}
  - id: strangers
    name: strangers
    cert: |
      ${indented(strangers.cert)}
`
  const configure = (listen: number, more: string) =>
    settings(listen, more).replace(/ {2}upstream_tls.*/, '  upstream_tls: { verify: false }') + resources

  test('are shown to nodes, and say who signs theirs', async (t) => {
    const { port, seen } = await startServer(t, {
      requestCert: true,
      ca: [authority.cert],
      rejectUnauthorized: true,
    })
    const nodes = `nodes: { "127.0.0.1:${port}": 1 }`
    const asked = async (fields: string) =>
      (await (await start(t, `${nodes}, ${fields}`, configure)).ask()).status
    assert.equal(await asked('client_certificate: ours, ca_certificates: [strangers, authority]'), 200)
    assert.deepEqual(
      seen.map(({ client: shown }) => shown),
      ['gateway'],
    )
    assert.equal(await asked('client_certificate: ours, ca_certificates: [strangers]'), 502)
    assert.equal(
      await asked('client_certificate: ours, ca_certificates: [strangers], tls_verify: false'),
      200,
    )
    assert.equal(await asked('client_certificate: ours, tls_verify: true'), 502)
    assert.equal(await asked('ca_certificates: [authority]'), 502)
    assert.equal(seen.length, 2)
  })
})

suite('the certificate of a node', () => {
  test('has to be valid for the name, from a known authority: else 502, with the reason in the log', async (t) => {
    const { port, seen } = await startServer(t)
    const { ask, gateway } = await start(t, `nodes: { "127.0.0.1:${port}": 1 }`)
    assert.equal((await ask('other.test')).status, 502)
    await logged(gateway, /"reason":"Hostname\/IP does not match certificate's altnames/)
    const foreign = strangers.issue({ names: ['api.test'] })
    const untrusted = await startServer(t, { cert: foreign.cert, key: foreign.key })
    const second = await start(t, `nodes: { "127.0.0.1:${untrusted.port}": 1 }`)
    assert.equal((await second.ask()).status, 502)
    await logged(second.gateway, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|unable to verify/)
    assert.deepEqual([...seen, ...untrusted.seen], [])
  })

  test('that has expired is refused, too', async (t) => {
    const old = authority.issue({ names: ['api.test'], days: -1 })
    const { port, seen } = await startServer(t, { cert: old.cert, key: old.key })
    const { ask, gateway } = await start(t, `nodes: { "127.0.0.1:${port}": 1 }`)
    assert.equal((await ask()).status, 502)
    await logged(gateway, /CERT_HAS_EXPIRED/)
    assert.deepEqual(seen, [])
  })

  test('is not looked at where the upstream says so, or the settings do', async (t) => {
    const { port } = await startServer(t)
    const upstream = await start(t, `tls: { verify: false }, nodes: { "127.0.0.1:${port}": 1 }`)
    assert.equal((await upstream.ask('other.test')).status, 200)
    const all = await start(t, `nodes: { "127.0.0.1:${port}": 1 }`, (listen, more) =>
      settings(listen, more).replace('upstream_tls: {', 'upstream_tls: { verify: false,'),
    )
    assert.equal((await all.ask('other.test')).status, 200)
  })

  test('is never looked at where the settings say so', async (t) => {
    const { port } = await startServer(t)
    const { ask } = await start(
      t,
      `tls: { verify: true }, nodes: { "127.0.0.1:${port}": 1 }`,
      (listen, more) => settings(listen, more).replace('upstream_tls: {', 'upstream_tls: { verify: never,'),
    )
    assert.equal((await ask('other.test')).status, 200)
  })

  test('is not looked at beside a configuration of APISIX, unless somebody wants it to be', async (t) => {
    const { port } = await startServer(t)
    const apisix = (listen: number, more: string) =>
      `${settings(listen, more)}\napisix: { enable_admin: false }`
    const beside = await start(t, `nodes: { "127.0.0.1:${port}": 1 }`, apisix)
    assert.equal((await beside.ask('other.test')).status, 200)
    await logged(beside.gateway, /unverified-upstream/)
    const wanted = await start(t, `tls: { verify: true }, nodes: { "127.0.0.1:${port}": 1 }`, apisix)
    assert.equal((await wanted.ask('other.test')).status, 502)
  })

  test('of a server that speaks no TLS does not come: 502', async (t) => {
    const { createServer } = await import('node:http')
    const plain = createServer((_: http.IncomingMessage, response) => response.end())
    plain.listen(0, '127.0.0.1')
    await once(plain, 'listening')
    t.after(() => plain.close())
    const { ask, gateway } = await start(
      t,
      `nodes: { "127.0.0.1:${(plain.address() as AddressInfo).port}": 1 }`,
    )
    assert.equal((await ask()).status, 502)
    await logged(gateway, /"fault":"connect_failed"/)
  })
})

test('a handshake that takes too long is cut by the timeout for connecting', async (t) => {
  const { createServer } = await import('node:net')
  const mute = createServer(() => {})
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.after(() => mute.close())
  const node = `nodes: { "127.0.0.1:${(mute.address() as AddressInfo).port}": 1 }`
  const { ask } = await start(t, `timeout: { connect: 0.2, send: 60, read: 60 }, ${node}`)
  assert.equal((await ask()).status, 504)
})

suite('the certificate that an upstream is shown', () => {
  const wantsOne = { requestCert: true, ca: authority.cert }

  test('stands in the upstream', async (t) => {
    const { port, seen } = await startServer(t, wantsOne)
    const pair = `client_cert: ${JSON.stringify(client.cert)}, client_key: ${JSON.stringify(client.key)}`
    const { ask } = await start(t, `tls: { ${pair} }, nodes: { "127.0.0.1:${port}": 1 }`)
    assert.equal((await ask()).status, 200)
    assert.equal(seen[0]?.client, 'gateway')
    const without = await start(t, `nodes: { "127.0.0.1:${port}": 1 }`)
    assert.equal((await without.ask()).status, 502)
  })

  test('is one of ssls, by its id', async (t) => {
    const { port, seen } = await startServer(t, wantsOne)
    const ssls = `
ssls:
  - id: mine
    type: client
    cert: ${pemBlock(client.cert, 6)}
    key: ${pemBlock(client.key, 6)}
`
    const { ask } = await start(
      t,
      `tls: { client_cert_id: mine }, nodes: { "127.0.0.1:${port}": 1 }`,
      (listen, more) => settings(listen, ssls + more),
    )
    assert.equal((await ask()).status, 200)
    assert.equal(seen[0]?.client, 'gateway')
  })
})

test('a check over TLS looks at the certificate, with the authorities of the settings', async (t) => {
  const probes: string[] = []
  const origin = https.createServer({ cert: server.cert, key: server.key }, (incoming, response) => {
    probes.push(String(incoming.url))
    response.end()
  })
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  t.after(() => {
    origin.closeAllConnections()
    origin.close()
  })
  const { port } = origin.address() as AddressInfo
  const active = 'type: https, http_path: /alive, healthy: { interval: 1 }, unhealthy: { interval: 1 }'
  await start(t, `nodes: { "127.0.0.1:${port}": 1 }, checks: { active: { ${active} } }`)
  while (probes.length < 3) await sleep(20)
  assert.equal(probes[0], '/alive')
})
