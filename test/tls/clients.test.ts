/** TLS with clients: real handshakes by node:tls, curl and openssl, through a real gateway. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { after, before, suite, test } from 'node:test'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { request } from 'undici'
import { Authority, type Certificate, pemBlock } from '../harness/certificates.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'

const run = promisify(execFile)
const adminKey = 'key-of-the-tests-of-tls'

const authority = new Authority()
const intermediate = new Authority('Between', authority)
const deepest = new Authority('Below', intermediate)
const strangers = new Authority('Strangers')
const one = authority.issue({ names: ['one.test'] })
const oneRsa = authority.issue({ names: ['one.test'], kind: 'rsa' })
const oneSooner = authority.issue({ names: ['twice.test'] })
const oneLater = authority.issue({ names: ['twice.test'] })
const wild = authority.issue({ names: ['*.wild.test'] })
const referred = authority.issue({ names: ['referred.test'] })
const guarded = authority.issue({ names: ['guarded.test', 'half.test'] })
const jack = authority.issue({ subject: '/O=Sluice tests/CN=jack', names: [] })
const jill = intermediate.issue({ subject: '/CN=jill', names: [] })
const joan = deepest.issue({ subject: '/CN=joan', names: [] })
const stranger = strangers.issue({ subject: '/CN=stranger', names: [] })
after(() => {
  authority.remove()
  strangers.remove()
})

const pair = ({ cert, key }: Certificate) => `cert: ${pemBlock(cert, 6)}
    key: ${pemBlock(key, 6)}`

let gateway: RunningGateway
let secure = 0
let admin = 0
let metrics = 0
/** Fields of requests as the origin got them. */
const received: Record<string, string | string[] | undefined>[] = []

const origin = http.createServer((incoming, response) => {
  received.push(incoming.headers)
  incoming.pipe(response)
})

before(async () => {
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  const { port: originPort } = origin.address() as net.AddressInfo
  ;[secure, admin, metrics] = await Promise.all([freePort(), freePort(), freePort()])
  gateway = await startGateway(
    (port) => `
gateway:
  listeners:
    - { host: 127.0.0.1, port: ${port} }
    - { host: 127.0.0.1, port: ${secure}, protocol: https }
  workers: 2
  control: { enabled: false }
  metrics: { port: ${metrics} }
  timeouts: { handshake: 500ms }
  admin: { port: ${admin}, keys: [{ key: ${adminKey} }] }
  data_dir: ":memory:"
ssls:
  - id: one
    sni: One.test
    ${pair(one)}
    certs:
      - ${pemBlock(oneRsa.cert, 8)}
    keys:
      - ${pemBlock(oneRsa.key, 8)}
  - id: twice
    sni: twice.test
    ${pair(oneSooner)}
    certs:
      - ${pemBlock(oneLater.cert, 8)}
    keys:
      - ${pemBlock(oneLater.key, 8)}
  - id: wild
    snis: ["*.wild.test"]
    ${pair(wild)}
  - id: old
    sni: old.test
    ssl_protocols: [TLSv1.2]
    ${pair(one)}
  - id: referred
    sni: referred.test
    cert: $env://REFERRED_CERTIFICATE
    key: $env://REFERRED_KEY
  - id: guarded
    sni: guarded.test
    client: { ca: ${JSON.stringify(authority.cert)} }
    ${pair(guarded)}
  - id: half
    sni: half.test
    client: { ca: ${JSON.stringify(authority.cert)}, skip_mtls_uri_regex: ["^/open"] }
    ${pair(guarded)}
upstreams: [{ id: u, nodes: { "127.0.0.1:${originPort}": 1 } }]
routes:
  - id: r
    uri: /*
    upstream_id: u
    plugins:
      proxy-rewrite:
        headers:
          set: { X-DN: "$ssl_client_s_dn", X-Verify: "$ssl_client_verify", X-Name: "$ssl_server_name", X-Scheme: "$scheme$https" }
`,
    { REFERRED_CERTIFICATE: referred.cert, REFERRED_KEY: referred.key },
  )
})
after(async () => {
  await gateway?.stop()
  origin.closeAllConnections()
  origin.close()
})

type Options = tls.ConnectionOptions & { host?: string; path?: string }

function open(name: string, options: tls.ConnectionOptions = {}): tls.TLSSocket {
  return tls.connect({
    host: '127.0.0.1',
    port: secure,
    ca: authority.cert,
    ...(name !== '' && { servername: name }),
    ...(name === '' && { checkServerIdentity: () => undefined }),
    ...options,
  })
}

/** One request over a connection of its own. Rejects when the handshake or the connection fails. */
async function ask(name: string, { host = name, path = '/', ...options }: Options = {}) {
  const socket = open(name, options)
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text
  })
  let session: Buffer | undefined
  socket.on('session', (latest) => {
    session = latest
  })
  let reused = false
  socket.on('secureConnect', () => {
    reused = socket.isSessionReused()
  })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  await once(socket, 'close')
  if (answer === '') throw new Error('no answer')
  return {
    status: Number(answer.slice(9, 12)),
    answer,
    session,
    reused,
  }
}

/** What the server shows for a name. */
async function shown(name: string, options: tls.ConnectionOptions = {}) {
  const socket = open(name, options)
  await once(socket, 'secureConnect')
  const facts = {
    subject: socket.getPeerX509Certificate()!.subjectAltName,
    kind: socket.getPeerX509Certificate()!.publicKey.asymmetricKeyType,
    fingerprint: socket.getPeerX509Certificate()!.fingerprint256,
    protocol: socket.getProtocol(),
    alpn: socket.alpnProtocol,
  }
  socket.destroy()
  return facts
}

const identity = ({ cert, key }: Certificate) => ({ cert, key })

suite('the certificate that is shown', () => {
  test('is the one for the name, whatever its case', async () => {
    assert.equal((await shown('one.test')).subject, 'DNS:one.test')
    assert.equal((await shown('ONE.test')).subject, 'DNS:one.test')
    assert.equal((await shown('referred.test')).subject, 'DNS:referred.test')
    assert.equal((await shown('a.wild.test')).subject, 'DNS:*.wild.test')
  })

  test('is of the kind of key that the client takes', async () => {
    const tls12 = { maxVersion: 'TLSv1.2' as const }
    assert.equal((await shown('one.test', { ...tls12, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })).kind, 'rsa')
    assert.equal((await shown('one.test', { ...tls12, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).kind, 'ec')
  })

  test('is the last one of an entry that has several with the same kind of key', async () => {
    assert.equal((await shown('twice.test')).fingerprint, new X509Certificate(oneLater.cert).fingerprint256)
    assert.equal((await ask('twice.test')).status, 200)
  })

  for (const name of ['nobody.test', 'a.b.wild.test', 'wild.test', '']) {
    test(`is none for ${name === '' ? 'a client that asks for no name' : name}: the handshake fails`, async () => {
      await assert.rejects(ask(name), /unrecognized name|no answer|disconnected/)
    })
  }

  test('comes with the versions that it is for', async () => {
    assert.equal((await shown('one.test')).protocol, 'TLSv1.3')
    assert.equal((await shown('old.test', { checkServerIdentity: () => undefined })).protocol, 'TLSv1.2')
    await assert.rejects(ask('old.test', { minVersion: 'TLSv1.3' }))
    await assert.rejects(ask('one.test', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' }))
  })

  test('comes with h2 and http/1.1 in ALPN', async () => {
    assert.equal((await shown('one.test', { ALPNProtocols: ['http/1.1', 'h2'] })).alpn, 'h2')
    assert.equal((await shown('one.test', { ALPNProtocols: ['http/1.1'] })).alpn, 'http/1.1')
  })
})

suite('a request over TLS', () => {
  test('tells the upstream about it', async () => {
    received.length = 0
    assert.equal((await ask('one.test')).status, 200)
    const [fields] = received
    assert.equal(fields?.['x-forwarded-proto'], 'https')
    assert.equal(fields?.['x-forwarded-port'], String(secure))
    assert.equal(fields?.['x-name'], 'one.test')
    assert.equal(fields?.['x-scheme'], 'httpson')
  })

  test('is one that curl makes, with bodies of any size', async () => {
    const body = 'x'.repeat(100_000)
    const { stdout } = await run('curl', [
      ...['-sS', '--cacert', authority.certFile, '--resolve', `one.test:${secure}:127.0.0.1`],
      ...['--data-raw', body, `https://one.test:${secure}/`],
    ])
    assert.equal(stdout, body)
  })

  test('that is not one gets the page of nginx', async () => {
    const { statusCode, body, headers } = await request(`http://127.0.0.1:${secure}/`)
    assert.equal(statusCode, 400)
    assert.match(await body.text(), /The plain HTTP request was sent to HTTPS port/)
    assert.equal(headers.connection, 'close')
  })
})

suite('a certificate of the client', () => {
  test('is asked for, and known to policies and upstream', async () => {
    received.length = 0
    assert.equal((await ask('guarded.test', identity(jack))).status, 200)
    assert.equal(received[0]?.['x-verify'], 'SUCCESS')
    assert.equal(received[0]?.['x-dn'], 'CN=jack,O=Sluice tests')
  })

  test('may have one certificate between it and the authority, not two', async () => {
    assert.equal((await ask('guarded.test', identity(jill))).status, 200)
    await assert.rejects(ask('guarded.test', identity(joan)))
  })

  test('that is missing, or of a stranger, ends the handshake', async () => {
    received.length = 0
    await assert.rejects(ask('guarded.test'))
    await assert.rejects(ask('guarded.test', identity(stranger)))
    assert.deepEqual(received, [])
  })

  test('is not needed for paths that are open', async () => {
    received.length = 0
    assert.equal((await ask('half.test', { path: '/open' })).status, 200)
    assert.equal(received[0]?.['x-verify'], 'NONE')
    assert.equal((await ask('half.test', { path: '/closed' })).status, 400)
    assert.equal((await ask('half.test', { path: '/x/../closed?/open' })).status, 400)
    assert.equal((await ask('half.test', { path: '/closed', ...identity(stranger) })).status, 400)
    assert.equal((await ask('half.test', { path: '/closed', ...identity(jack) })).status, 200)
    assert.equal(received.length, 2)
  })

  test('counts for its name alone: not for another Host, and no other name opens a guarded one', async () => {
    received.length = 0
    assert.equal((await ask('one.test', { host: 'guarded.test' })).status, 400)
    assert.equal((await ask('guarded.test', { host: 'half.test', ...identity(jack) })).status, 400)
    assert.deepEqual(received, [])
    assert.equal((await ask('guarded.test', { host: 'one.test', ...identity(jack) })).status, 200)
  })

  test('in a session counts for that name alone, too', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await ask('one.test', { maxVersion })
      assert.ok(first.session)
      await assert.rejects(ask('guarded.test', { maxVersion, session: first.session }))
    }
  })
})

suite('a session', () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`is continued by whichever thread takes the next connection (${maxVersion})`, async () => {
      const { session } = await ask('one.test', { maxVersion })
      for (let i = 0; i < 8; i++) {
        assert.equal((await ask('one.test', { maxVersion, ...(session && { session }) })).reused, true)
      }
    })
  }
})

suite('what is no handshake', () => {
  /** Resolves when the gateway ends the connection. */
  async function closed(bytes: Buffer): Promise<void> {
    const socket = net.connect(secure, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write(bytes)
    await once(socket, 'close')
  }

  test('ends its connection', async () => {
    await closed(Buffer.from([0x80, 0x2e, 1, 3, 1]))
    await closed(Buffer.from([22, 3, 1, 0, 5, 2, 0, 0, 1, 0]))
    await closed(Buffer.from([22, 3, 1, 0xff, 0xff]))
  })

  test('and what takes too long ends too, at whichever byte', async () => {
    await closed(Buffer.alloc(0))
    await closed(Buffer.from([22, 3, 1, 0, 200, 1, 0]))
  })

  test('leaves those alone that come later', async () => {
    assert.equal((await ask('one.test')).status, 200)
  })
})

suite('certificates that change', () => {
  const api = `/apisix/admin/ssls/new`
  const put = (certificate: Certificate) =>
    request(`http://127.0.0.1:${admin}${api}`, {
      method: 'PUT',
      headers: { 'x-api-key': adminKey, 'content-type': 'application/json' },
      body: JSON.stringify({ sni: 'new.test', cert: certificate.cert, key: certificate.key }),
    })

  test('serve new handshakes, and leave open connections alone', async () => {
    const [first, second] = ['First', 'Second'].map((name) =>
      authority.issue({ names: ['new.test'], subject: `/CN=${name}` }),
    ) as [Certificate, Certificate]
    const { statusCode, body } = await put(first)
    assert.equal(statusCode, 201)
    const { value } = (await body.json()) as { value: Record<string, unknown> }
    assert.equal(value.key, '******')
    const kept = open('new.test')
    await once(kept, 'secureConnect')
    assert.match(kept.getPeerX509Certificate()!.subject, /First/)
    assert.equal((await put(second)).statusCode, 200)
    const fresh = open('new.test')
    await once(fresh, 'secureConnect')
    assert.match(fresh.getPeerX509Certificate()!.subject, /Second/)
    for (const socket of [kept, fresh]) {
      socket.write('GET / HTTP/1.1\r\nHost: new.test\r\n\r\n')
      const [text] = (await once(socket, 'data')) as [Buffer]
      assert.match(text.toString(), /^HTTP\/1\.1 200/)
      socket.destroy()
    }
  })

  test('show when they end in the metrics', async () => {
    const { body } = await request(`http://127.0.0.1:${metrics}/metrics`)
    const text = await body.text()
    const line =
      /^sluice_certificate_expiry_timestamp_seconds\{ssl="wild",sni="\*\.wild\.test"\} (\d+)$/m.exec(text)
    const days = (Number(line?.[1]) - Date.now() / 1000) / 86_400
    assert.ok(days > 1.9 && days < 2.1, text)
    assert.match(text, /^sluice_tls_handshake_failures_total \d/m)
  })
})

test('openssl continues a session, and sees close_notify at the end', async () => {
  const { stdout } = await run('bash', [
    '-c',
    `printf 'GET / HTTP/1.1\\r\\nHost: one.test\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client -connect 127.0.0.1:${secure} -servername one.test -CAfile ${authority.certFile} -quiet -ign_eof -verify_return_error`,
  ])
  assert.match(stdout, /^HTTP\/1\.1 200/)
})
