/** What Flex Gateway's resources say of connections: TLS with clients and services, times, ports, and folders of files. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import tls from 'node:tls'
import { Agent, request } from 'undici'
import { Authority, pemBlock } from '../harness/certificates.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'

const authority = new Authority()
const strangers = new Authority('Strangers')
const shop = authority.issue({ names: ['shop.test'] })
const other = authority.issue({ names: ['other.test'] })
const service = authority.issue({ names: ['127.0.0.1'] })
const client = authority.issue({ subject: '/CN=client', names: [] })
const stranger = strangers.issue({ subject: '/CN=stranger', names: [] })

let gateway: RunningGateway
const ports = { plain: 0, shop: 0, other: 0, probe: 0, variable: 0, nested: 0 }
const seen: http.IncomingMessage[] = []
const clientNames: string[] = []

const answer: http.RequestListener = (incoming, response) => {
  seen.push(incoming)
  if (incoming.url === '/slow') return
  response.end('answered')
}
const plainOrigin = http.createServer(answer)
const secureOrigin = https.createServer(
  { cert: service.cert, key: service.key, ca: authority.cert, requestCert: true, rejectUnauthorized: false },
  (incoming, response) => {
    clientNames.push((incoming.socket as tls.TLSSocket).getPeerCertificate().subject?.CN?.toString() ?? '')
    answer(incoming, response)
  },
)

const document = (kind: string, name: string, spec: string) => `---
apiVersion: gateway.mulesoft.com/v1alpha1
kind: ${kind}
metadata: { name: ${name} }
spec:
${spec}
`
const bound = (name: string, policy: string, config: string, kind = 'Service') =>
  document(
    'PolicyBinding',
    `${policy}-${name}`,
    `  targetRef: { kind: ${kind}, name: ${name} }
  policyRef: { name: ${policy} }
  config:
${config}`,
  )

const pair = ({ cert, key }: { cert: string; key: string }, indent = 6) => {
  const space = ' '.repeat(indent)
  return `${space}crt: ${pemBlock(cert, indent + 2)}\n${space}key: ${pemBlock(key, indent + 2)}`
}

before(async () => {
  for (const server of [plainOrigin, secureOrigin]) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const at = (server: http.Server | https.Server) => `127.0.0.1:${(server.address() as AddressInfo).port}`
  const plainAt = at(plainOrigin)
  const secureAt = at(secureOrigin)
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort()
  const api = (name: string, address: string, to: string, rest = '') =>
    document('ApiInstance', name, `  address: ${address}\n${rest}`) +
    bound(name, 'route', `    destinationRef: { name: ${to} }`, 'ApiInstance')
  const text = (port: number) =>
    [
      'gateway: { workers: 1, metrics: { enabled: false }, control: { enabled: false } }\n',
      document('Configuration', 'probe', `  probe: { enabled: true, port: ${ports.probe} }`),
      document('Service', 'plain', `  address: http://${plainAt}`),
      ...['trusted', 'untrusted', 'unchecked'].map((name) =>
        document('Service', name, `  address: https://${secureAt}`),
      ),
      bound(
        'trusted',
        'tls-outbound',
        `    trustedCA: ${pemBlock(authority.cert, 6)}\n    certificate:\n${pair(client)}`,
      ),
      bound('unchecked', 'tls-outbound', '    skipValidation: true'),
      api('plain', `http://127.0.0.1:${port}/plain/`, 'plain'),
      api('trusted', `http://127.0.0.1:${port}/trusted/`, 'trusted'),
      api('untrusted', `http://127.0.0.1:${port}/untrusted/`, 'untrusted'),
      api('unchecked', `http://127.0.0.1:${port}/unchecked/`, 'unchecked'),
      api('quick', `http://127.0.0.1:${port}/quick/`, 'plain'),
      bound('quick', 'response-timeout-flex', '    timeout: 0.2', 'ApiInstance'),
      api('shop', `https://127.0.0.1:${ports.shop}/shop`, 'plain'),
      bound(
        'shop',
        'tls',
        `    certificate:\n${pair(shop)}\n    alpn: [http/1.1]\n    minversion: "1.3"`,
        'ApiInstance',
      ),
      api('shop-too', `https://127.0.0.1:${ports.shop}/too`, 'plain'),
      api('other', `https://127.0.0.1:${ports.other}`, 'plain'),
      bound(
        'other',
        'tls',
        `    certificate:\n${pair(other)}\n    requireClientCertificate: true\n    trustedCA: ${pemBlock(authority.cert, 6)}\n    maxversion: "1.2"\n    ciphers: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]`,
        'ApiInstance',
      ),
    ].join('')
  const variable =
    document('Service', 'late', `  address: http://${plainAt}`) +
    api('variable', `http://127.0.0.1:${ports.variable}`, 'late')
  gateway = await startGateway(text, {
    FLEX_CONFIG: variable,
    FLEX_REMOVE_SERVER_HEADER: 'true',
    FLEX_REWRITE_HOST_HEADER: 'false',
  })
})

after(async () => {
  await gateway?.stop()
  for (const server of [plainOrigin, secureOrigin]) {
    server.close()
    server.closeAllConnections()
  }
  authority.remove()
  strangers.remove()
})

async function get(url: string, dispatcher?: Agent, headers = {}) {
  seen.length = 0
  const {
    statusCode,
    headers: fields,
    body,
  } = await request(url, { ...(dispatcher && { dispatcher }), headers })
  return { status: statusCode, fields, text: await body.text() }
}

function handshake(port: number, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    ca: authority.cert,
    checkServerIdentity: () => undefined,
    ...options,
  })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed')))
    socket.once('secureConnect', () => resolve(socket))
  })
}

suite('https with clients', () => {
  test('each port has its certificate, whatever name is asked for', async () => {
    for (const [port, servername, expected, options] of [
      ['shop', 'shop.test', 'shop.test', {}],
      ['shop', 'other.test', 'shop.test', {}],
      ['shop', '', 'shop.test', {}],
      ['other', 'shop.test', 'other.test', { cert: client.cert, key: client.key }],
    ] as const) {
      const socket = await handshake(ports[port], { servername, ...options })
      assert.equal(socket.getPeerCertificate().subject.CN, expected)
      socket.destroy()
    }
  })

  test('versions, ciphers and protocols are those of the policy', async () => {
    const one = await handshake(ports.shop, { ALPNProtocols: ['h2', 'http/1.1'] })
    assert.deepEqual([one.getProtocol(), one.alpnProtocol], ['TLSv1.3', 'http/1.1'])
    one.destroy()
    await assert.rejects(handshake(ports.shop, { maxVersion: 'TLSv1.2' }))
    const two = await handshake(ports.other, { ALPNProtocols: ['h2'], cert: client.cert, key: client.key })
    assert.deepEqual(
      [two.getProtocol(), two.alpnProtocol, two.getCipher().name],
      ['TLSv1.2', 'h2', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
    )
    two.destroy()
  })

  test('instances of a port share it', async () => {
    const agent = new Agent({ connect: { ca: authority.cert, checkServerIdentity: () => undefined } })
    for (const [path, status] of [
      ['/shop/a', 200],
      ['/too/a', 200],
      ['/none/a', 404],
    ] as const) {
      assert.equal((await get(`https://127.0.0.1:${ports.shop}${path}`, agent)).status, status)
      assert.equal(seen.length, status === 200 ? 1 : 0)
    }
    await agent.close()
  })

  test('a client without a certificate that is believed gets nowhere', async () => {
    for (const [own, isLetIn] of [
      [client, true],
      [stranger, false],
      [undefined, false],
    ] as const) {
      const pem = own === undefined ? {} : { cert: own.cert, key: own.key }
      const connect = { ca: authority.cert, checkServerIdentity: () => undefined, ...pem }
      const agent = new Agent({ connect })
      const asked = get(`https://127.0.0.1:${ports.other}/a`, agent)
      if (isLetIn) assert.equal((await asked).text, 'answered')
      else await assert.rejects(asked)
      assert.equal(seen.length, isLetIn ? 1 : 0)
      await agent.destroy()
    }
  })
})

suite('services', () => {
  test('with tls-outbound they are believed by their authority, and see the certificate of the gateway', async () => {
    clientNames.length = 0
    assert.equal((await get(`http://127.0.0.1:${gateway.port}/trusted/a`)).text, 'answered')
    assert.deepEqual(clientNames, ['client'])
  })

  test('without it a certificate that nobody vouches for is not believed, unless that is not looked at', async () => {
    assert.equal((await get(`http://127.0.0.1:${gateway.port}/untrusted/a`)).status, 502)
    assert.equal(seen.length, 0)
    assert.equal((await get(`http://127.0.0.1:${gateway.port}/unchecked/a`)).text, 'answered')
  })

  test('an answer that takes longer than the instance lets it is 504', async () => {
    assert.equal((await get(`http://127.0.0.1:${gateway.port}/quick/slow`)).status, 504)
    assert.equal((await get(`http://127.0.0.1:${gateway.port}/quick/a`)).status, 200)
  })
})

test('what no instance takes is 404 without a body, with an id to ask by', async () => {
  const { status, text, fields } = await get(`http://127.0.0.1:${gateway.port}/elsewhere`)
  assert.deepEqual([status, text], [404, ''])
  assert.match(String(fields['x-correlation-id']), /^[\da-f-]{36}$/)
})

test('the probes answer on their port', async () => {
  for (const path of ['readiness', 'liveness']) {
    assert.equal((await get(`http://127.0.0.1:${ports.probe}/probes/${path}`)).status, 200)
  }
})

suite('the environment', () => {
  test('FLEX_CONFIG holds further resources', async () => {
    assert.equal((await get(`http://127.0.0.1:${ports.variable}/a`)).text, 'answered')
  })

  test('services can get the host of the client, and answers name no server', async () => {
    const { fields } = await get(`http://127.0.0.1:${gateway.port}/elsewhere`)
    assert.equal(fields.server, undefined)
    await get(`http://127.0.0.1:${ports.variable}/a`, undefined, { host: 'shop.example' })
    assert.equal(seen[0]?.headers.host, 'shop.example')
  })
})

test('resources in a subfolder are read, and what is none is left alone', async () => {
  const folder = join(dirname(gateway.file), 'apis', 'deep')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'values.yaml'), 'not: a configuration\n')
  const { port } = plainOrigin.address() as AddressInfo
  const nested = document(
    'ApiInstance',
    'nested',
    `  address: http://127.0.0.1:${ports.nested}\n  services: { one: { address: "http://127.0.0.1:${port}" } }`,
  )
  await writeFile(join(folder, 'nested.yaml'), nested)
  for (;;) {
    const status = await get(`http://127.0.0.1:${ports.nested}/a`).then(
      (found) => found.status,
      () => 0,
    )
    if (status === 200) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.equal(seen.length, 1)
})
